//! Network policies. VPP cannot read them back, so what is tested here is what it answers.

use vpp_api::ApiError;
use vpp_api::interface::DeleteLoopback;
use vpp_api::npol::{
    NpolConfigurePolicies, NpolEntryData, NpolEntrySetId, NpolEntryType, NpolGetVersion,
    NpolIpsetAddDelMembers, NpolIpsetCreate, NpolIpsetDelete, NpolIpsetMember, NpolIpsetMemberVal,
    NpolIpsetType, NpolPolicyCreate, NpolPolicyDefault, NpolPolicyDelete, NpolPolicyItem,
    NpolPolicyUpdate, NpolPortRange, NpolRule, NpolRuleAction, NpolRuleCreate, NpolRuleDelete,
    NpolRuleEntry, NpolRuleFilter, NpolRuleFilterType, NpolRuleUpdate, NpolThreeTuple,
};

use crate::target::{Target, prefix};

/// An id that nobody has.
const UNKNOWN: u32 = 0x00f0_0000;

fn member(val: NpolIpsetMemberVal) -> Vec<NpolIpsetMember> {
    vec![NpolIpsetMember { val }]
}

fn entry(r#type: NpolEntryType, data: NpolEntryData) -> NpolRuleEntry {
    NpolRuleEntry {
        is_src: true,
        r#type,
        data,
        ..NpolRuleEntry::default()
    }
}

fn rule(matches: Vec<NpolRuleEntry>) -> NpolRule {
    let tcp = NpolRuleFilter {
        value: 6,
        r#type: NpolRuleFilterType::L4Proto,
        should_match: 1,
    };
    NpolRule {
        action: NpolRuleAction::Allow,
        filters: [tcp, NpolRuleFilter::default(), NpolRuleFilter::default()],
        matches,
    }
}

#[tokio::test]
async fn the_plugin_says_its_version() {
    for target in Target::all().await {
        let version = target.api.request(&NpolGetVersion {}).await.unwrap();
        assert_eq!((version.major, version.minor), (0, 0), "{}", target.name);
    }
}

#[tokio::test]
async fn sets_take_members_of_their_kind_and_forget_them() {
    for target in Target::all().await {
        let address: std::net::IpAddr = "10.77.8.1".parse().unwrap();
        let tuple = NpolThreeTuple {
            address,
            l4_proto: 6,
            port: 80,
        };
        let kinds = [
            (NpolIpsetType::Ip, NpolIpsetMemberVal::of(&address).unwrap()),
            (
                NpolIpsetType::IpAndPort,
                NpolIpsetMemberVal::of(&tuple).unwrap(),
            ),
            (
                NpolIpsetType::Net,
                NpolIpsetMemberVal::of(&prefix("fd77:8::/64")).unwrap(),
            ),
        ];
        for (r#type, val) in kinds {
            let create = NpolIpsetCreate { r#type };
            let set_id = target.api.request(&create).await.unwrap().set_id;
            for is_add in [true, true, false, false] {
                let change = NpolIpsetAddDelMembers {
                    set_id,
                    is_add,
                    members: member(val),
                };
                target.ok(&change).await;
            }
            target.ok(&NpolIpsetDelete { set_id }).await;
            let again = NpolIpsetDelete { set_id };
            target.refuses(&again, &[ApiError::NoSuchEntry]).await;
        }
        let nowhere = NpolIpsetAddDelMembers {
            set_id: UNKNOWN,
            is_add: true,
            members: member(NpolIpsetMemberVal::of(&address).unwrap()),
        };
        target.refuses(&nowhere, &[ApiError::NoSuchEntry]).await;
    }
}

#[tokio::test]
async fn a_prefix_with_host_bits_is_neither_a_member_nor_a_criterion() {
    for target in Target::all().await {
        let create = NpolIpsetCreate {
            r#type: NpolIpsetType::Net,
        };
        let set_id = target.api.request(&create).await.unwrap().set_id;
        let untidy = prefix("10.77.8.1/24");
        let change = NpolIpsetAddDelMembers {
            set_id,
            is_add: true,
            members: member(NpolIpsetMemberVal::of(&untidy).unwrap()),
        };
        target.refuses(&change, &[ApiError::IpPrefixInvalid]).await;
        target.ok(&NpolIpsetDelete { set_id }).await;
        let data = NpolEntryData::of(&untidy).unwrap();
        let create = NpolRuleCreate {
            rule: rule(vec![entry(NpolEntryType::Cidr, data)]),
        };
        target.refuses(&create, &[ApiError::IpPrefixInvalid]).await;
        let unknown = NpolRuleCreate {
            rule: rule(vec![entry(NpolEntryType::Other(9), data)]),
        };
        target.refuses(&unknown, &[ApiError::Unspecified]).await;
    }
}

#[tokio::test]
async fn rules_policies_and_interfaces_are_made_changed_and_deleted() {
    for target in Target::all().await {
        let range = NpolPortRange {
            start: 80,
            end: 443,
        };
        let set = NpolEntrySetId { set_id: 0 };
        let matches = vec![
            entry(
                NpolEntryType::Cidr,
                NpolEntryData::of(&prefix("10.77.0.0/16")).unwrap(),
            ),
            entry(NpolEntryType::PortRange, NpolEntryData::of(&range).unwrap()),
            entry(NpolEntryType::IpSet, NpolEntryData::of(&set).unwrap()),
        ];
        let create = NpolRuleCreate {
            rule: rule(matches),
        };
        let rule_id = target.api.request(&create).await.unwrap().rule_id;
        let update = NpolRuleUpdate {
            rule_id,
            rule: rule(Vec::new()),
        };
        target.ok(&update).await;
        let items = vec![NpolPolicyItem {
            is_inbound: true,
            rule_id,
        }];
        let create = NpolPolicyCreate {
            rules: items.clone(),
        };
        let policy_id = target.api.request(&create).await.unwrap().policy_id;
        target
            .ok(&NpolPolicyUpdate {
                policy_id,
                rules: items,
            })
            .await;
        let sw_if_index = target.loopback().await;
        let configure = NpolConfigurePolicies {
            sw_if_index: sw_if_index.0,
            num_rx_policies: 1,
            num_tx_policies: 0,
            policy_default_tx: NpolPolicyDefault::Deny,
            policy_ids: vec![policy_id, policy_id],
            ..NpolConfigurePolicies::default()
        };
        target.ok(&configure).await;
        // A bare 1 is what VPP says.
        let unknown = NpolConfigurePolicies {
            policy_ids: vec![UNKNOWN],
            ..configure.clone()
        };
        target.refuses(&unknown, &[ApiError::Other(1)]).await;
        let nowhere = NpolConfigurePolicies {
            sw_if_index: UNKNOWN,
            ..configure
        };
        target
            .refuses(&nowhere, &[ApiError::InvalidSwIfIndex])
            .await;
        target.ok(&DeleteLoopback { sw_if_index }).await;
        target.ok(&NpolPolicyDelete { policy_id }).await;
        target.ok(&NpolRuleDelete { rule_id }).await;
        let gone = NpolPolicyDelete { policy_id };
        target.refuses(&gone, &[ApiError::NoSuchEntry]).await;
        let gone = NpolRuleDelete { rule_id };
        target.refuses(&gone, &[ApiError::NoSuchEntry]).await;
    }
}
