//! Access lists and forwarding by them.

use vpp_api::abf::{
    AbfItfAttach, AbfItfAttachAddDel, AbfItfAttachDump, AbfPolicy, AbfPolicyAddDel, AbfPolicyDump,
};
use vpp_api::acl::{
    AclAddReplace, AclDel, AclDump, AclInterfaceListDump, AclInterfaceSetAclList,
    AclPluginControlPing, AclPluginGetConnTableMaxEntries, AclStatsIntfCountersEnable,
};
use vpp_api::acl_types::{AclAction, AclRule};
use vpp_api::interface::DeleteLoopback;
use vpp_api::ip_types::IpProto;
use vpp_api::{ApiError, FixedString};

use crate::target::{Target, path, prefix};

/// TCP port 80 from one prefix.
fn rule(from: &str) -> AclRule {
    AclRule {
        is_permit: AclAction::Permit,
        src_prefix: prefix(from),
        dst_prefix: prefix("0.0.0.0/0"),
        proto: IpProto::Tcp,
        srcport_or_icmptype_last: u16::MAX,
        dstport_or_icmpcode_first: 80,
        dstport_or_icmpcode_last: 80,
        ..AclRule::default()
    }
}

fn acl(rule: AclRule) -> AclAddReplace {
    let tag = FixedString::new("contract").unwrap();
    AclAddReplace {
        acl_index: u32::MAX,
        tag,
        r: vec![rule],
    }
}

#[tokio::test]
async fn an_acl_in_use_cannot_be_deleted() {
    for target in Target::all().await {
        let sw_if_index = target.loopback().await;
        let rule = rule("10.77.5.0/24");
        let acl_index = target.api.request(&acl(rule)).await.unwrap().acl_index;
        let dumped = target.api.dump(&AclDump { acl_index }).await.unwrap();
        assert_eq!((dumped.len(), &dumped[0].r), (1, &vec![rule]));
        let apply = AclInterfaceSetAclList {
            sw_if_index,
            n_input: 1,
            acls: vec![acl_index],
        };
        target.ok(&apply).await;
        let dump = AclInterfaceListDump { sw_if_index };
        let lists = target.api.dump(&dump).await.unwrap();
        assert_eq!((lists[0].n_input, &lists[0].acls), (1, &vec![acl_index]));
        let delete = AclDel { acl_index };
        target.refuses(&delete, &[ApiError::AclInUseInbound]).await;
        let release = AclInterfaceSetAclList {
            n_input: 0,
            acls: Vec::new(),
            ..apply
        };
        target.ok(&release).await;
        target.ok(&delete).await;
        target.refuses(&delete, &[ApiError::NoSuchEntry]).await;
        target.ok(&DeleteLoopback { sw_if_index }).await;
    }
}

#[tokio::test]
async fn the_plugin_reflects_flows_counts_matches_and_says_so() {
    for target in Target::all().await {
        target.ok(&AclPluginControlPing {}).await;
        let ask = AclPluginGetConnTableMaxEntries {};
        let limit = target.api.request(&ask).await.unwrap();
        assert_eq!(limit.conn_table_max_entries, 500_000, "{}", target.name);
        for enable in [true, false] {
            let request = AclStatsIntfCountersEnable { enable };
            if target.is_vpp() {
                // It does it, but answers with the number of another message.
                let impatient = target.impatient().await;
                assert!(impatient.request(&request).await.is_err());
                impatient.request(&AclPluginControlPing {}).await.unwrap();
            } else {
                target.ok(&request).await;
            }
        }
        let reflecting = AclRule {
            is_permit: AclAction::PermitReflect,
            ..rule("10.77.9.0/24")
        };
        let request = acl(reflecting);
        let acl_index = target.api.request(&request).await.unwrap().acl_index;
        let dumped = target.api.dump(&AclDump { acl_index }).await.unwrap();
        assert_eq!(dumped[0].r, [reflecting], "{}", target.name);
        target.ok(&AclDel { acl_index }).await;
    }
}

#[tokio::test]
async fn a_prefix_with_host_bits_is_no_rule() {
    for target in Target::all().await {
        let request = acl(rule("10.77.5.1/24"));
        target
            .refuses(&request, &[ApiError::InvalidSrcAddress])
            .await;
    }
}

#[tokio::test]
async fn a_policy_steers_by_an_acl_where_it_is_attached() {
    for target in Target::all().await {
        let sw_if_index = target.loopback().await;
        let request = acl(rule("10.77.6.0/24"));
        let acl_index = target.api.request(&request).await.unwrap().acl_index;
        let paths = vec![path("10.77.6.9", sw_if_index)];
        let policy = AbfPolicy {
            policy_id: 7701,
            acl_index,
            paths,
        };
        target
            .ok(&AbfPolicyAddDel {
                is_add: true,
                policy: policy.clone(),
            })
            .await;
        let policies = target.api.dump(&AbfPolicyDump::default()).await.unwrap();
        assert!(
            policies.iter().any(|known| known.policy.policy_id == 7701),
            "{policies:?}"
        );
        let attach = AbfItfAttach {
            policy_id: 7701,
            sw_if_index,
            priority: 5,
            is_ipv6: false,
        };
        target
            .ok(&AbfItfAttachAddDel {
                is_add: true,
                attach,
            })
            .await;
        let attached = target.api.dump(&AbfItfAttachDump::default()).await.unwrap();
        assert!(
            attached.iter().any(|known| known.attach == attach),
            "{attached:?}"
        );
        target
            .ok(&AbfItfAttachAddDel {
                is_add: false,
                attach,
            })
            .await;
        target
            .ok(&AbfPolicyAddDel {
                is_add: false,
                policy,
            })
            .await;
        target.ok(&AclDel { acl_index }).await;
        target.ok(&DeleteLoopback { sw_if_index }).await;
    }
}
