//! Modules `acl` and `abf`.

use vpp_api::abf::{
    AbfItfAttach, AbfItfAttachAddDel, AbfItfAttachDetails, AbfItfAttachDump, AbfPluginGetVersion,
    AbfPluginGetVersionReply, AbfPolicy, AbfPolicyAddDel, AbfPolicyDetails, AbfPolicyDump,
};
use vpp_api::acl::{
    AclAddReplace, AclAddReplaceReply, AclDel, AclDetails, AclDump, AclInterfaceAddDel,
    AclInterfaceListDetails, AclInterfaceListDump, AclInterfaceSetAclList, AclPluginControlPing,
    AclPluginControlPingReply, AclPluginGetConnTableMaxEntries,
    AclPluginGetConnTableMaxEntriesReply, AclPluginGetVersion, AclPluginGetVersionReply,
    AclStatsIntfCountersEnable,
};
use vpp_api::acl_types::{AclAction, AclRule};
use vpp_api::ip_types::IpProto;
use vpp_api::{ApiError, FixedString};
use vswitch::Family;
use vswitch::acl::{self, AbfAttachInfo, AbfPolicyInfo, AclInfo, PortRange};

use super::Api;
use super::convert::{
    Coded, family, filter, index, paths, paths_to_api, prefix, prefix_to_api, sw,
};

pub(super) fn register(api: &mut Api) {
    api.on::<AclPluginGetVersion, _>(|_, _| Ok(AclPluginGetVersionReply { major: 2, minor: 0 }))
        .on::<AclAddReplace, _>(|engine, request| {
            let rules = request.r.iter().map(rule).collect::<Result<Vec<_>, _>>()?;
            let id = (request.acl_index != u32::MAX).then_some(request.acl_index);
            let acl_index = engine
                .dataplane
                .acl_add_replace(id, request.tag.as_str(), rules)
                .coded()?;
            Ok(AclAddReplaceReply {
                acl_index,
                ..Default::default()
            })
        })
        .on::<AclDel, _>(|engine, request| engine.dataplane.acl_del(request.acl_index).coded())
        .on::<AclInterfaceAddDel, _>(|engine, request| {
            let of = sw(request.sw_if_index);
            engine
                .dataplane
                .acl_interface_add_del(of, request.is_input, request.acl_index, request.is_add)
                .coded()
        })
        .on::<AclInterfaceSetAclList, _>(|engine, request| {
            let n_input = usize::from(request.n_input);
            let (input, output) = request
                .acls
                .split_at_checked(n_input)
                .ok_or(ApiError::InvalidValue)?;
            engine
                .dataplane
                .acl_interface_set_acl_list(sw(request.sw_if_index), input, output)
                .coded()
        });
    register_acl_plugin(api);
    register_acl_dumps(api);
    register_abf(api);
}

fn register_acl_plugin(api: &mut Api) {
    api.on::<AclPluginControlPing, _>(|_, _| {
        Ok(AclPluginControlPingReply {
            vpe_pid: std::process::id(),
            ..Default::default()
        })
    })
    .on::<AclPluginGetConnTableMaxEntries, _>(|engine, _| {
        let limit = engine.dataplane.acl_flows().limit();
        Ok(AclPluginGetConnTableMaxEntriesReply {
            conn_table_max_entries: limit as u64,
        })
    })
    .on::<AclStatsIntfCountersEnable, _>(|engine, request| {
        engine
            .dataplane
            .acl_stats_intf_counters_enable(request.enable);
        Ok(())
    });
}

fn register_acl_dumps(api: &mut Api) {
    api.on_dump::<AclDump>(|engine, request| {
        let is_wanted =
            |acl: &AclInfo| request.acl_index == u32::MAX || request.acl_index == acl.acl_index;
        let details = |acl: AclInfo| AclDetails {
            acl_index: acl.acl_index,
            tag: FixedString::truncated(&acl.tag),
            r: acl.rules.iter().map(rule_to_api).collect(),
        };
        engine
            .dataplane
            .acls()
            .filter(|acl| is_wanted(acl))
            .map(details)
            .collect()
    })
    .on_dump::<AclInterfaceListDump>(|engine, request| {
        let only = filter(request.sw_if_index);
        let lists = engine.dataplane.acl_interface_lists().into_iter();
        lists
            .filter(|(of, _, _)| only.is_none_or(|only| only == *of))
            .map(|(of, input, output)| AclInterfaceListDetails {
                sw_if_index: index(of),
                n_input: u8::try_from(input.len()).unwrap_or(u8::MAX),
                acls: [input, output].concat(),
            })
            .collect()
    });
}

fn register_abf(api: &mut Api) {
    api.on::<AbfPluginGetVersion, _>(|_, _| Ok(AbfPluginGetVersionReply { major: 1, minor: 0 }))
        .on::<AbfPolicyAddDel, _>(|engine, request| {
            let policy = request.policy;
            let paths = paths(&policy.paths)?;
            engine
                .dataplane
                .abf_policy_add_del(policy.policy_id, policy.acl_index, &paths, request.is_add)
                .coded()
        })
        .on::<AbfItfAttachAddDel, _>(|engine, request| {
            let AbfItfAttach {
                policy_id,
                sw_if_index,
                priority,
                is_ipv6,
            } = request.attach;
            let (on, of) = (sw(sw_if_index), family(is_ipv6));
            engine
                .dataplane
                .abf_itf_attach_add_del(policy_id, on, priority, of, request.is_add)
                .coded()
        })
        .on_dump::<AbfPolicyDump>(|engine, _| {
            let details = |policy: AbfPolicyInfo| AbfPolicyDetails {
                policy: AbfPolicy {
                    policy_id: policy.policy_id,
                    acl_index: policy.acl_index,
                    paths: paths_to_api(&policy.paths),
                },
            };
            engine
                .dataplane
                .abf_policies()
                .into_iter()
                .map(details)
                .collect()
        })
        .on_dump::<AbfItfAttachDump>(|engine, _| {
            let details = |attach: AbfAttachInfo| AbfItfAttachDetails {
                attach: AbfItfAttach {
                    policy_id: attach.policy_id,
                    sw_if_index: index(attach.sw_if_index),
                    priority: attach.priority,
                    is_ipv6: attach.family == Family::V6,
                },
            };
            engine
                .dataplane
                .abf_attachments()
                .into_iter()
                .map(details)
                .collect()
        });
}

fn rule(rule: &AclRule) -> Result<acl::AclRule, ApiError> {
    Ok(acl::AclRule {
        action: match rule.is_permit {
            AclAction::Deny => acl::AclAction::Deny,
            AclAction::Permit => acl::AclAction::Permit,
            AclAction::PermitReflect => acl::AclAction::PermitReflect,
            AclAction::Other(_) => return Err(ApiError::InvalidValue),
        },
        src: prefix(rule.src_prefix)?,
        dst: prefix(rule.dst_prefix)?,
        proto: rule.proto.into(),
        src_ports: PortRange {
            first: rule.srcport_or_icmptype_first,
            last: rule.srcport_or_icmptype_last,
        },
        dst_ports: PortRange {
            first: rule.dstport_or_icmpcode_first,
            last: rule.dstport_or_icmpcode_last,
        },
        tcp_mask: rule.tcp_flags_mask,
        tcp_value: rule.tcp_flags_value,
    })
}

fn rule_to_api(rule: &acl::AclRule) -> AclRule {
    AclRule {
        is_permit: match rule.action {
            acl::AclAction::Deny => AclAction::Deny,
            acl::AclAction::Permit => AclAction::Permit,
            acl::AclAction::PermitReflect => AclAction::PermitReflect,
        },
        src_prefix: prefix_to_api(rule.src),
        dst_prefix: prefix_to_api(rule.dst),
        proto: IpProto::from(rule.proto),
        srcport_or_icmptype_first: rule.src_ports.first,
        srcport_or_icmptype_last: rule.src_ports.last,
        dstport_or_icmpcode_first: rule.dst_ports.first,
        dstport_or_icmpcode_last: rule.dst_ports.last,
        tcp_flags_mask: rule.tcp_mask,
        tcp_flags_value: rule.tcp_value,
    }
}
