//! IPv4 with network policies on both interfaces: flows that 100 rules were asked about when they began.

use vpp_api::cnat::FeatureCnatEnableDisable;
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::npol::{
    NpolConfigurePolicies, NpolEntryData, NpolEntrySetId, NpolEntryType, NpolIpsetAddDelMembers,
    NpolIpsetCreate, NpolIpsetMember, NpolIpsetMemberVal, NpolIpsetType, NpolPolicyCreate,
    NpolPolicyDefault, NpolPolicyItem, NpolPortRange, NpolRule, NpolRuleAction, NpolRuleCreate,
    NpolRuleEntry,
};

use super::{Configure, SMALL, Scenario};
use crate::dataplane::Dataplane;
use crate::traffic::{Side, Traffic};

const RULES: u16 = 100;
const MEMBERS: u32 = 10_000;
/// Members of a request: it has to fit a message.
const AT_ONCE: usize = 1000;

pub(super) const SCENARIOS: [Scenario; 3] = [
    scenario(
        "IPv4 with npol, 100 rules, sets of 10 000",
        0,
        configure,
        Dataplane::route,
    ),
    scenario(
        "IPv4 with npol, the same, 1000 flows",
        1000,
        |dataplane, memifs| {
            configure(dataplane, memifs)?;
            dataplane.networks(memifs, 1000)
        },
        |dataplane, memifs| {
            dataplane.route(memifs)?;
            dataplane.networks(memifs, 1000)
        },
    ),
    scenario(
        "IPv4 with npol, the same, 4000 flows",
        4000,
        |dataplane, memifs| {
            configure(dataplane, memifs)?;
            dataplane.networks(memifs, 4000)
        },
        |dataplane, memifs| {
            dataplane.route(memifs)?;
            dataplane.networks(memifs, 4000)
        },
    ),
];

/// A flow goes to each network.
const fn scenario(
    name: &'static str,
    networks: u32,
    configure: Configure,
    plain: Configure,
) -> Scenario {
    Scenario {
        name,
        bar: 0.85,
        sizes: SMALL,
        traffic: Traffic::Ip4,
        networks,
        rounds_max: usize::MAX,
        configure,
        plain: Some(("weft-vswitch, no policies", plain)),
    }
}

fn configure(dataplane: &Dataplane, memifs: [InterfaceIndex; 2]) -> anyhow::Result<()> {
    dataplane.route(memifs)?;
    let mut rules = Vec::new();
    for port in 1..RULES {
        let range = NpolPortRange {
            start: port + 20_000,
            end: port + 20_000,
        };
        rules.push(rule(
            dataplane,
            NpolEntryType::PortRange,
            NpolEntryData::of(&range)?,
        )?);
    }
    let set_id = set(dataplane)?;
    let data = NpolEntryData::of(&NpolEntrySetId { set_id })?;
    rules.push(rule(dataplane, NpolEntryType::IpSet, data)?);
    let items = rules.iter().flat_map(|rule_id| {
        [true, false].map(|is_inbound| NpolPolicyItem {
            is_inbound,
            rule_id: *rule_id,
        })
    });
    let create = NpolPolicyCreate {
        rules: items.collect(),
    };
    let policy_id = dataplane.ask(&create)?.policy_id;
    for memif in memifs {
        dataplane.ask(&NpolConfigurePolicies {
            sw_if_index: memif.0,
            num_rx_policies: 1,
            num_tx_policies: 1,
            policy_default_rx: NpolPolicyDefault::Deny,
            policy_default_tx: NpolPolicyDefault::Deny,
            policy_ids: vec![policy_id, policy_id],
            ..NpolConfigurePolicies::default()
        })?;
        if dataplane.is_vpp() {
            dataplane.ask(&FeatureCnatEnableDisable {
                sw_if_index: memif,
                enable_disable: true,
            })?;
        }
    }
    Ok(())
}

fn rule(dataplane: &Dataplane, kind: NpolEntryType, data: NpolEntryData) -> anyhow::Result<u32> {
    let entry = NpolRuleEntry {
        is_src: true,
        r#type: kind,
        data,
        ..NpolRuleEntry::default()
    };
    let rule = NpolRule {
        action: NpolRuleAction::Allow,
        matches: vec![entry],
        ..NpolRule::default()
    };
    Ok(dataplane.ask(&NpolRuleCreate { rule })?.rule_id)
}

/// A set of addresses that nobody uses and those of both hosts.
fn set(dataplane: &Dataplane) -> anyhow::Result<u32> {
    let create = NpolIpsetCreate {
        r#type: NpolIpsetType::Ip,
    };
    let set_id = dataplane.ask(&create)?.set_id;
    let first = u32::from_be_bytes([10, 100, 0, 0]);
    let others = (0..MEMBERS).map(|n| std::net::Ipv4Addr::from_bits(first + n));
    let all: Vec<_> = [Side::LEFT.host4(), Side::RIGHT.host4()]
        .into_iter()
        .chain(others)
        .collect();
    for some in all.chunks(AT_ONCE) {
        let mut members = Vec::with_capacity(some.len());
        for address in some {
            let val = NpolIpsetMemberVal::of(&std::net::IpAddr::from(*address))?;
            members.push(NpolIpsetMember { val });
        }
        dataplane.ask(&NpolIpsetAddDelMembers {
            set_id,
            is_add: true,
            members,
        })?;
    }
    Ok(set_id)
}
