//! Rules made by chance, and packets made by chance: both dataplanes let the same ones pass.
//!
//! Every packet begins a flow of its own. Left out is what differs on purpose: the action LOG; filters of ICMP, and ports
//! without a protocol, for which VPP takes the identifier of an echo; and PASS in profiles, of which it says that it is wrong.

use std::net::IpAddr;

use vpp_api::acl::{AclAddReplace, AclInterfaceSetAclList};
use vpp_api::acl_types::{AclAction, AclRule};
use vpp_api::ethernet_types::MacAddress;
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::ip_neighbor::{IpNeighbor, IpNeighborAddDel, IpNeighborFlags};
use vpp_api::ip_types::{IpProto, Prefix};
use vpp_api::npol::{
    NpolConfigurePolicies, NpolEntryData, NpolEntrySetId, NpolEntryType, NpolIpsetAddDelMembers,
    NpolIpsetCreate, NpolIpsetMember, NpolIpsetMemberVal, NpolIpsetType, NpolPolicyCreate,
    NpolPolicyDefault, NpolPolicyItem, NpolPortRange, NpolRule, NpolRuleAction, NpolRuleCreate,
    NpolRuleEntry, NpolRuleFilter, NpolRuleFilterType, NpolThreeTuple,
};

use crate::target::{Target, prefix};
use crate::wire::{Wires, echo_request, host_mac, tcp_of, udp_of};

/// Sets of rules that are tried, and packets for each.
const WORLDS: u64 = 40;
const PACKETS: u16 = 48;
const SEED: u64 = 0x7a5e_9d1f;
/// Ports that rules and packets are about.
const PORTS: [u16; 4] = [53, 80, 443, 8080];

/// Marsaglia's xorshift.
#[derive(Clone)]
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % limit as u64).unwrap()
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn several<T>(
        &mut self,
        from: usize,
        to: usize,
        mut make: impl FnMut(&mut Self) -> T,
    ) -> Vec<T> {
        let count = from + self.below(to - from + 1);
        (0..count).map(|_| make(self)).collect()
    }
}

/// A host of a side: the fourth part, or the last.
fn host(side: usize, number: usize, is_v6: bool) -> String {
    if is_v6 {
        format!("fd77:4{side}::{number}")
    } else {
        format!("10.77.4{side}.{number}")
    }
}

fn any_host(chance: &mut Chance, is_v6: bool) -> String {
    let side = chance.below(2);
    host(side, 2 + chance.below(4), is_v6)
}

/// Networks that hold some of the hosts.
fn network(chance: &mut Chance, is_v6: bool) -> Prefix {
    let (side, number) = (chance.below(2), 2 + 2 * chance.below(2));
    prefix(&match (is_v6, chance.below(4)) {
        (false, 0) => "0.0.0.0/0".to_owned(),
        (false, 1) => format!("10.77.4{side}.0/24"),
        (false, 2) => format!("10.77.4{side}.{number}/31"),
        (false, _) => format!("10.77.4{side}.{number}/32"),
        (true, 0) => "::/0".to_owned(),
        (true, 1) => format!("fd77:4{side}::/64"),
        (true, 2) => format!("fd77:4{side}::{number}/127"),
        (true, _) => format!("fd77:4{side}::{number}/128"),
    })
}

/// Every host of both sides can be sent to.
async fn know_hosts(target: &Target, ports: [InterfaceIndex; 2]) {
    for (side, sw_if_index) in ports.into_iter().enumerate() {
        for number in 3..6 {
            for is_v6 in [false, true] {
                let neighbor = IpNeighbor {
                    sw_if_index,
                    flags: IpNeighborFlags::STATIC,
                    mac_address: MacAddress(host_mac(side).0),
                    ip_address: host(side, number, is_v6).parse().unwrap(),
                };
                target
                    .ok(&IpNeighborAddDel {
                        is_add: true,
                        neighbor,
                    })
                    .await;
            }
        }
    }
}

/// The next packet from one side to the other; `serial` makes its flow a new one.
fn packet(chance: &mut Chance, side: usize, serial: u16) -> Vec<u8> {
    let is_v6 = chance.coin();
    let (from, to) = (2 + chance.below(4), 2 + chance.below(4));
    let (src, dst) = (host(side, from, is_v6), host(1 - side, to, is_v6));
    let ends = (src.as_str(), dst.as_str());
    let ports = (20_000 + serial, chance.one(&PORTS));
    match chance.below(5) {
        0 | 1 => udp_of(ends, ports, 64),
        2 | 3 => tcp_of(ends, ports, 2),
        _ => echo_request(ends, serial),
    }
}

/// Sends the same packets into all targets, whose rules are the same, and compares what comes out.
fn compare(
    all: &mut [(Target, Wires)],
    chance: &mut Chance,
    rules: &str,
    serial: &mut u16,
) -> usize {
    let mut passed = 0;
    for side in [0, 1] {
        let packets: Vec<_> = (0..PACKETS)
            .map(|_| {
                *serial += 1;
                packet(chance, side, *serial)
            })
            .collect();
        let mut said = all
            .iter_mut()
            .map(|(target, wires)| (target.name, wires.exchange_all(side, &packets)));
        let (_, ours) = said.next().unwrap();
        for (name, theirs) in said {
            let only = |of: &[String], not: &[String]| -> Vec<String> {
                of.iter()
                    .filter(|text| !not.contains(text))
                    .cloned()
                    .collect()
            };
            let (us, them) = (only(&ours, &theirs), only(&theirs, &ours));
            assert!(
                us.is_empty() && them.is_empty(),
                "only weft-vswitch lets pass {us:#?}, only {name} {them:#?} under {rules}"
            );
        }
        passed += ours.len();
    }
    passed
}

async fn all() -> Vec<(Target, Wires)> {
    let mut all = Vec::new();
    for target in Target::all().await {
        if target.child.is_some() {
            let wires = Wires::new(&target).await;
            know_hosts(&target, wires.ports).await;
            all.push((target, wires));
        }
    }
    all
}

fn some_but_not_all(passed: usize) {
    let sent = usize::try_from(WORLDS).unwrap() * 2 * usize::from(PACKETS);
    assert!(
        passed > sent / 10 && passed < sent - sent / 10,
        "{passed} of {sent}"
    );
}

#[tokio::test]
async fn lists_made_by_chance_let_the_same_packets_pass() {
    let mut all = all().await;
    let (mut passed, mut serial) = (0, 0);
    for world in 0..WORLDS {
        let chance = Chance(SEED + world);
        let (mut after, mut rules) = (chance.clone(), String::new());
        for (target, wires) in &all {
            after = chance.clone();
            rules = set_lists(target, wires.ports[0], &mut after).await;
        }
        passed += compare(&mut all, &mut after, &rules, &mut serial);
    }
    some_but_not_all(passed);
}

/// New access lists for what an interface receives and sends.
async fn set_lists(target: &Target, sw_if_index: InterfaceIndex, chance: &mut Chance) -> String {
    let mut text = String::new();
    let mut acls = Vec::new();
    let n_input = 1 + chance.below(2);
    for _ in 0..n_input + chance.below(3) {
        let add = AclAddReplace {
            acl_index: u32::MAX,
            r: chance.several(1, 5, acl_rule),
            ..AclAddReplace::default()
        };
        text += &format!("{:#?}", add.r);
        acls.push(target.api.request(&add).await.unwrap().acl_index);
    }
    let apply = AclInterfaceSetAclList {
        sw_if_index,
        n_input: u8::try_from(n_input).unwrap(),
        acls,
    };
    target.ok(&apply).await;
    text + &format!("{apply:#?}")
}

fn acl_rule(chance: &mut Chance) -> AclRule {
    let is_v6 = chance.coin();
    let range = |chance: &mut Chance| {
        let first = chance.one(&[0, 53, 80]);
        (first, chance.one(&[u16::MAX, 443, 80]))
    };
    let is_permit = chance.one(&[AclAction::Permit, AclAction::PermitReflect, AclAction::Deny]);
    let (src_prefix, dst_prefix) = (network(chance, is_v6), network(chance, is_v6));
    let any = AclRule {
        is_permit,
        src_prefix,
        dst_prefix,
        srcport_or_icmptype_last: u16::MAX,
        dstport_or_icmpcode_last: u16::MAX,
        ..AclRule::default()
    };
    let (dstport_or_icmpcode_first, dstport_or_icmpcode_last) = range(chance);
    let ports = AclRule {
        dstport_or_icmpcode_first,
        dstport_or_icmpcode_last,
        ..any
    };
    match chance.below(5) {
        0 => any,
        1 => AclRule {
            proto: IpProto::Udp,
            ..ports
        },
        2 => AclRule {
            proto: IpProto::Tcp,
            ..ports
        },
        3 => AclRule {
            proto: IpProto::Tcp,
            tcp_flags_mask: 0x12,
            tcp_flags_value: chance.one(&[2, 0x12]),
            ..ports
        },
        _ => AclRule {
            proto: if is_v6 { IpProto::Icmp6 } else { IpProto::Icmp },
            srcport_or_icmptype_first: chance.one(&[0, 8]),
            srcport_or_icmptype_last: chance.one(&[255, 128, 8]),
            dstport_or_icmpcode_last: 255,
            ..any
        },
    }
}

#[tokio::test]
async fn policies_made_by_chance_let_the_same_packets_pass() {
    let mut all = all().await;
    for (target, wires) in &all {
        crate::traffic::cnat(target, wires).await;
    }
    let (mut passed, mut serial) = (0, 0);
    for world in 0..WORLDS {
        let chance = Chance(SEED * 7 + world);
        let (mut after, mut rules) = (chance.clone(), String::new());
        for (target, wires) in &all {
            after = chance.clone();
            rules = set_policies(target, wires.ports[0], &mut after).await;
        }
        passed += compare(&mut all, &mut after, &rules, &mut serial);
    }
    some_but_not_all(passed);
}

/// New policies for an interface.
async fn set_policies(target: &Target, sw_if_index: InterfaceIndex, chance: &mut Chance) -> String {
    let mut text = String::new();
    let sets = sets(target, chance).await;
    let (rx, tx, profiles) = (chance.below(3), chance.below(3), chance.below(3));
    let mut policy_ids = Vec::new();
    for number in 0..rx + tx + profiles {
        let may_pass = number < rx + tx;
        let mut rules = Vec::new();
        for _ in 0..1 + chance.below(4) {
            let rule = npol_rule(chance, &sets, may_pass);
            text += &format!("{rule:#?}");
            let rule_id = target
                .api
                .request(&NpolRuleCreate { rule })
                .await
                .unwrap()
                .rule_id;
            rules.push(NpolPolicyItem {
                is_inbound: chance.coin(),
                rule_id,
            });
        }
        text += &format!("{rules:#?}");
        let create = NpolPolicyCreate { rules };
        policy_ids.push(target.api.request(&create).await.unwrap().policy_id);
    }
    let ends = [NpolPolicyDefault::Allow, NpolPolicyDefault::Deny];
    let all = [ends[0], ends[1], NpolPolicyDefault::Pass];
    let configure = NpolConfigurePolicies {
        sw_if_index: sw_if_index.0,
        num_rx_policies: u32::try_from(rx).unwrap(),
        num_tx_policies: u32::try_from(tx).unwrap(),
        invert_rx_tx: u8::from(chance.coin()),
        policy_default_rx: chance.one(&all),
        policy_default_tx: chance.one(&all),
        profile_default_rx: chance.one(&ends),
        profile_default_tx: chance.one(&ends),
        policy_ids,
    };
    target.ok(&configure).await;
    text + &format!("{configure:#?}")
}

/// A set of each kind.
async fn sets(target: &Target, chance: &mut Chance) -> [u32; 3] {
    let mut ids = [0; 3];
    let kinds = [
        NpolIpsetType::Ip,
        NpolIpsetType::IpAndPort,
        NpolIpsetType::Net,
    ];
    for (id, r#type) in ids.iter_mut().zip(kinds) {
        *id = target
            .api
            .request(&NpolIpsetCreate { r#type })
            .await
            .unwrap()
            .set_id;
        let members = chance.several(1, 4, |chance| {
            let is_v6 = chance.coin();
            let address: IpAddr = any_host(chance, is_v6).parse().unwrap();
            let tuple = NpolThreeTuple {
                address,
                l4_proto: chance.one(&[6, 17]),
                port: chance.one(&PORTS),
            };
            let net = network(chance, is_v6);
            let val = match r#type {
                NpolIpsetType::Ip => NpolIpsetMemberVal::of(&address),
                NpolIpsetType::IpAndPort => NpolIpsetMemberVal::of(&tuple),
                NpolIpsetType::Net | NpolIpsetType::Other(_) => NpolIpsetMemberVal::of(&net),
            };
            NpolIpsetMember { val: val.unwrap() }
        });
        target
            .ok(&NpolIpsetAddDelMembers {
                set_id: *id,
                is_add: true,
                members,
            })
            .await;
    }
    ids
}

fn npol_rule(chance: &mut Chance, sets: &[u32; 3], may_pass: bool) -> NpolRule {
    let actions = [
        NpolRuleAction::Allow,
        NpolRuleAction::Deny,
        NpolRuleAction::Pass,
    ];
    let action = chance.one(&actions[..if may_pass { 3 } else { 2 }]);
    let mut filters = [NpolRuleFilter::default(); 3];
    if chance.coin() {
        filters[0] = NpolRuleFilter {
            value: chance.one(&[6, 17, 1, 58]),
            r#type: NpolRuleFilterType::L4Proto,
            should_match: u8::from(chance.below(4) > 0),
        };
    }
    let matches = chance.several(0, 3, |chance| npol_entry(chance, sets));
    let is_of_ports = |entry: &NpolRuleEntry| {
        matches!(
            entry.r#type,
            NpolEntryType::PortRange | NpolEntryType::PortIpSet
        )
    };
    if matches.iter().any(is_of_ports) {
        filters[0] = NpolRuleFilter {
            value: chance.one(&[6, 17]),
            r#type: NpolRuleFilterType::L4Proto,
            should_match: 1,
        };
    }
    NpolRule {
        action,
        filters,
        matches,
    }
}

fn npol_entry(chance: &mut Chance, sets: &[u32; 3]) -> NpolRuleEntry {
    let is_v6 = chance.coin();
    let net = network(chance, is_v6);
    let range = NpolPortRange {
        start: chance.one(&[0, 53, 80]),
        end: chance.one(&[u16::MAX, 443, 80]),
    };
    let set = |at: usize| NpolEntryData::of(&NpolEntrySetId { set_id: sets[at] });
    let (r#type, data) = match chance.below(5) {
        0 => (NpolEntryType::Cidr, NpolEntryData::of(&net)),
        1 => (NpolEntryType::PortRange, NpolEntryData::of(&range)),
        2 => (NpolEntryType::PortIpSet, set(1)),
        3 => (NpolEntryType::IpSet, set(0)),
        _ => (NpolEntryType::IpSet, set(2)),
    };
    NpolRuleEntry {
        is_src: chance.coin(),
        is_not: chance.below(4) == 0,
        r#type,
        data: data.unwrap(),
    }
}
