//! Module `npol`.

use vpp_api::npol::{
    NpolConfigurePolicies, NpolEntryType, NpolGetVersion, NpolGetVersionReply,
    NpolIpsetAddDelMembers, NpolIpsetCreate, NpolIpsetCreateReply, NpolIpsetDelete,
    NpolIpsetMember, NpolIpsetType, NpolPolicyCreate, NpolPolicyCreateReply, NpolPolicyDefault,
    NpolPolicyDelete, NpolPolicyItem, NpolPolicyUpdate, NpolRule, NpolRuleAction, NpolRuleCreate,
    NpolRuleCreateReply, NpolRuleDelete, NpolRuleEntry, NpolRuleFilter, NpolRuleFilterType,
    NpolRuleUpdate,
};
use vpp_api::{ApiError, ip_types};
use vswitch::acl::PortRange;
use vswitch::npol::{
    Criterion, Entry, Filter, FilterKind, InterfacePolicies, IpSetKind, Member, Policy,
    PolicyDefault, RuleAction, RuleSpec,
};
use vswitch::{Prefix, SwIfIndex};

use super::Api;
use super::convert::Coded;

pub(super) fn register(api: &mut Api) {
    api.on::<NpolGetVersion, _>(|_, _| Ok(NpolGetVersionReply { major: 0, minor: 0 }));
    register_sets(api);
    register_rules(api);
    register_policies(api);
}

fn register_sets(api: &mut Api) {
    api.on::<NpolIpsetCreate, _>(|engine, request| {
        let kind = match request.r#type {
            NpolIpsetType::Ip => IpSetKind::Ip,
            NpolIpsetType::IpAndPort => IpSetKind::IpAndPort,
            NpolIpsetType::Net => IpSetKind::Net,
            NpolIpsetType::Other(_) => return Err(ApiError::InvalidValue),
        };
        let set_id = engine.dataplane.npol_ipset_create(kind).coded()?;
        Ok(NpolIpsetCreateReply {
            set_id,
            ..Default::default()
        })
    })
    .on::<NpolIpsetAddDelMembers, _>(|engine, request| {
        let kind = engine.dataplane.npol_ipset_kind(request.set_id).coded()?;
        let members = request.members.iter().map(|m| member(kind, m));
        engine
            .dataplane
            .npol_ipset_add_del_members(request.set_id, request.is_add, members)
            .coded()
    })
    .on::<NpolIpsetDelete, _>(|engine, request| {
        engine.dataplane.npol_ipset_delete(request.set_id).coded()
    });
}

fn register_rules(api: &mut Api) {
    api.on::<NpolRuleCreate, _>(|engine, request| {
        let spec = rule(&request.rule)?;
        let rule_id = engine.dataplane.npol_rule_update(None, spec).coded()?;
        Ok(NpolRuleCreateReply {
            rule_id,
            ..Default::default()
        })
    })
    .on::<NpolRuleUpdate, _>(|engine, request| {
        let (id, spec) = (Some(request.rule_id), rule(&request.rule)?);
        engine.dataplane.npol_rule_update(id, spec).coded()?;
        Ok(())
    })
    .on::<NpolRuleDelete, _>(|engine, request| {
        engine.dataplane.npol_rule_delete(request.rule_id).coded()
    });
}

fn register_policies(api: &mut Api) {
    api.on::<NpolPolicyCreate, _>(|engine, request| {
        let policy = policy(&request.rules);
        let policy_id = engine.dataplane.npol_policy_update(None, policy).coded()?;
        Ok(NpolPolicyCreateReply {
            policy_id,
            ..Default::default()
        })
    })
    .on::<NpolPolicyUpdate, _>(|engine, request| {
        let (id, policy) = (Some(request.policy_id), policy(&request.rules));
        engine.dataplane.npol_policy_update(id, policy).coded()?;
        Ok(())
    })
    .on::<NpolPolicyDelete, _>(|engine, request| {
        engine
            .dataplane
            .npol_policy_delete(request.policy_id)
            .coded()
    })
    .on::<NpolConfigurePolicies, _>(|engine, request| {
        let policies = interface_policies(&request)?;
        engine
            .dataplane
            .npol_configure_policies(SwIfIndex(request.sw_if_index), policies)
            .coded()
    });
}

fn member(kind: IpSetKind, member: &NpolIpsetMember) -> Result<Member, vswitch::ApiError> {
    let malformed = |_| vswitch::ApiError::InvalidValue;
    Ok(match kind {
        IpSetKind::Ip => Member::Ip(member.val.address().map_err(malformed)?),
        IpSetKind::Net => {
            let prefix = member.val.prefix().map_err(malformed)?;
            Member::Net(net(prefix).ok_or(vswitch::ApiError::IpPrefixInvalid)?)
        }
        IpSetKind::IpAndPort => {
            let tuple = member.val.tuple().map_err(malformed)?;
            Member::IpAndPort(tuple.address, tuple.l4_proto, tuple.port)
        }
    })
}

/// As VPP, refuses host bits.
fn net(prefix: ip_types::Prefix) -> Option<Prefix> {
    let prefix = Prefix::new(prefix.address, prefix.len).ok()?;
    (prefix.masked() == prefix).then_some(prefix)
}

fn rule(rule: &NpolRule) -> Result<RuleSpec, ApiError> {
    Ok(RuleSpec {
        action: match rule.action {
            NpolRuleAction::Allow => RuleAction::Allow,
            NpolRuleAction::Deny => RuleAction::Deny,
            NpolRuleAction::Log => RuleAction::Log,
            NpolRuleAction::Pass => RuleAction::Pass,
            NpolRuleAction::Other(_) => return Err(ApiError::InvalidValue),
        },
        filters: rule.filters.iter().filter_map(filter).collect(),
        entries: rule.matches.iter().map(entry).collect::<Result<_, _>>()?,
    })
}

/// VPP passes over types of filters that it does not know.
fn filter(filter: &NpolRuleFilter) -> Option<Filter> {
    let kind = match filter.r#type {
        NpolRuleFilterType::IcmpType => FilterKind::IcmpType,
        NpolRuleFilterType::IcmpCode => FilterKind::IcmpCode,
        NpolRuleFilterType::L4Proto => FilterKind::Protocol,
        NpolRuleFilterType::None | NpolRuleFilterType::Other(_) => return None,
    };
    Some(Filter {
        kind,
        value: filter.value,
        should_match: filter.should_match != 0,
    })
}

fn entry(entry: &NpolRuleEntry) -> Result<Entry, ApiError> {
    let malformed = |_| ApiError::InvalidValue;
    let criterion = match entry.r#type {
        NpolEntryType::Cidr => {
            let prefix = entry.data.cidr().map_err(malformed)?;
            Criterion::Cidr(net(prefix).ok_or(ApiError::IpPrefixInvalid)?)
        }
        NpolEntryType::PortRange => {
            let range = entry.data.port_range().map_err(malformed)?;
            Criterion::Ports(PortRange {
                first: range.start,
                last: range.end,
            })
        }
        NpolEntryType::PortIpSet => {
            Criterion::PortIpSet(entry.data.set_id().map_err(malformed)?.set_id)
        }
        NpolEntryType::IpSet => Criterion::IpSet(entry.data.set_id().map_err(malformed)?.set_id),
        NpolEntryType::Other(_) => return Err(ApiError::Unspecified),
    };
    Ok(Entry {
        is_src: entry.is_src,
        is_not: entry.is_not,
        criterion,
    })
}

fn policy(items: &[NpolPolicyItem]) -> Policy {
    let of = |inbound: bool| {
        let items = items.iter().filter(move |i| i.is_inbound == inbound);
        items.map(|i| i.rule_id).collect()
    };
    Policy {
        rx: of(true),
        tx: of(false),
    }
}

fn interface_policies(request: &NpolConfigurePolicies) -> Result<InterfacePolicies, ApiError> {
    let ids = &request.policy_ids;
    let count = |n: u32| usize::try_from(n).map_err(|_| ApiError::InvalidValue);
    let split = |ids: &[u32], at: usize| {
        let (head, tail) = ids.split_at_checked(at)?;
        Some((head.to_vec(), tail.to_vec()))
    };
    let (rx, rest) = split(ids, count(request.num_rx_policies)?).ok_or(ApiError::InvalidValue)?;
    let (tx, profiles) =
        split(&rest, count(request.num_tx_policies)?).ok_or(ApiError::InvalidValue)?;
    Ok(InterfacePolicies {
        rx,
        tx,
        profiles,
        invert_rx_tx: request.invert_rx_tx != 0,
        policy_default_rx: default(request.policy_default_rx)?,
        policy_default_tx: default(request.policy_default_tx)?,
        profile_default_rx: default(request.profile_default_rx)?,
        profile_default_tx: default(request.profile_default_tx)?,
    })
}

fn default(default: NpolPolicyDefault) -> Result<PolicyDefault, ApiError> {
    match default {
        NpolPolicyDefault::Allow => Ok(PolicyDefault::Allow),
        NpolPolicyDefault::Deny => Ok(PolicyDefault::Deny),
        NpolPolicyDefault::Pass => Ok(PolicyDefault::Pass),
        NpolPolicyDefault::Other(_) => Err(ApiError::InvalidValue),
    }
}
