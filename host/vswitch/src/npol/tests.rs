use std::collections::BTreeSet;
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::Prefix;
use crate::acl::PortRange;
use crate::session::{Scope, number};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn query(src: &str, dst: &str, protocol: u8, ports: (u16, u16)) -> Query {
    Query {
        tuple: Tuple {
            family: Family::of(ip(src)),
            src: number(ip(src)),
            dst: number(ip(dst)),
            src_port: ports.0,
            dst_port: ports.1,
            protocol,
            fragments: false,
            scope: Scope::default(),
        },
        icmp: matches!(protocol, 1 | 58).then_some((8, 0)),
        is_later_fragment: false,
    }
}

fn entry(text: &str, criterion: Criterion) -> Entry {
    Entry {
        is_src: text.ends_with("src"),
        is_not: text.starts_with("not"),
        criterion,
    }
}

fn cidr(text: &str) -> Criterion {
    Criterion::Cidr(text.parse::<Prefix>().unwrap())
}

fn ports(first: u16, last: u16) -> Criterion {
    Criterion::Ports(PortRange { first, last })
}

fn rule(action: RuleAction, filters: &[(FilterKind, u32, bool)], entries: &[Entry]) -> Rule {
    let filter = |(kind, value, should_match): &(FilterKind, u32, bool)| Filter {
        kind: *kind,
        value: *value,
        should_match: *should_match,
    };
    Rule::new(RuleSpec {
        action,
        filters: filters.iter().map(filter).collect(),
        entries: entries.to_vec(),
    })
}

fn sets(all: Vec<(IpSetKind, Vec<Member>)>) -> PVec<Arc<IpSet>> {
    let mut sets = PVec::default();
    for (id, (kind, members)) in (0..).zip(all) {
        let mut set = IpSet::new(kind);
        members.into_iter().for_each(|m| set.set(m, true).unwrap());
        sets.set(id, Arc::new(set));
    }
    sets
}

#[test]
fn criteria_of_one_kind_are_alternatives_and_kinds_must_all_hold() {
    let sets = sets(vec![
        (IpSetKind::Ip, vec![Member::Ip(ip("10.1.0.5"))]),
        (
            IpSetKind::IpAndPort,
            vec![Member::IpAndPort(ip("10.2.0.1"), 6, 8080)],
        ),
    ]);
    let rule = rule(
        RuleAction::Allow,
        &[(FilterKind::Protocol, 6, true)],
        &[
            entry("src", cidr("10.1.0.0/16")),
            entry("src", cidr("10.9.0.0/16")),
            entry("src", Criterion::IpSet(0)),
            entry("not src", cidr("10.1.7.0/24")),
            entry("dst", ports(80, 90)),
            entry("dst", Criterion::PortIpSet(1)),
            entry("not dst", ports(85, 85)),
        ],
    );
    let cases = [
        (("10.1.0.5", "10.2.0.9"), 6, 80, true),
        (("10.1.0.5", "10.2.0.9"), 17, 80, false),
        // In the prefix but not in the set, and the other way round.
        (("10.1.0.6", "10.2.0.9"), 6, 80, false),
        (("10.1.7.5", "10.2.0.9"), 6, 80, false),
        // Port ranges and sets with ports are one group.
        (("10.1.0.5", "10.2.0.1"), 6, 8080, true),
        (("10.1.0.5", "10.2.0.2"), 6, 8080, false),
        (("10.1.0.5", "10.2.0.9"), 6, 85, false),
        (("10.1.0.5", "10.2.0.9"), 6, 91, false),
    ];
    for ((src, dst), protocol, port, want) in cases {
        let query = query(src, dst, protocol, (9, port));
        assert_eq!(rule.matches(&query, &sets), want, "{query:?}");
    }
    // The other family is in no prefix of this one.
    assert!(!rule.matches(&query("2001:db8::1", "2001:db8::2", 6, (9, 80)), &sets));
}

#[test]
fn icmp_filters_match_icmp_only() {
    let none = PVec::default();
    let request = rule(
        RuleAction::Allow,
        &[
            (FilterKind::IcmpType, 8, true),
            (FilterKind::IcmpCode, 1, false),
        ],
        &[],
    );
    assert!(request.matches(&query("10.0.0.1", "10.0.0.2", 1, (0, 0)), &none));
    assert!(!request.matches(&query("10.0.0.1", "10.0.0.2", 17, (8, 0)), &none));
    let other = rule(RuleAction::Allow, &[(FilterKind::IcmpType, 8, false)], &[]);
    assert!(!other.matches(&query("10.0.0.1", "10.0.0.2", 1, (0, 0)), &none));
    assert!(!other.matches(&query("10.0.0.1", "10.0.0.2", 17, (9, 0)), &none));
    let not_tcp = rule(RuleAction::Allow, &[(FilterKind::Protocol, 6, false)], &[]);
    assert!(not_tcp.matches(&query("::1", "::2", 17, (9, 0)), &none));
    assert!(!not_tcp.matches(&query("::1", "::2", 6, (9, 0)), &none));
}

#[test]
fn a_fragment_without_ports_is_denied_by_what_it_might_be_and_not_allowed_by_it() {
    let none = PVec::default();
    let later = Query {
        is_later_fragment: true,
        ..query("10.0.0.1", "10.0.0.2", 6, (0, 0))
    };
    for (action, want) in [(RuleAction::Allow, false), (RuleAction::Deny, true)] {
        for criterion in [entry("dst", ports(80, 80)), entry("not dst", ports(80, 80))] {
            let rule = rule(action, &[], &[criterion]);
            assert_eq!(rule.matches(&later, &none), want, "{action:?}");
        }
    }
    let by_address = rule(RuleAction::Allow, &[], &[entry("src", cidr("10.0.0.1/32"))]);
    assert!(by_address.matches(&later, &none));
    let udp = rule(
        RuleAction::Deny,
        &[(FilterKind::Protocol, 17, true)],
        &[entry("dst", ports(80, 80))],
    );
    assert!(!udp.matches(&later, &none));
}

#[test]
fn policies_then_profiles_then_defaults_decide_per_direction() {
    let mut tables = NpolTables::default();
    for (id, action, port) in [
        (0, RuleAction::Allow, 80),
        (1, RuleAction::Deny, 22),
        (2, RuleAction::Pass, 53),
        (3, RuleAction::Log, 99),
    ] {
        let port = entry("dst", ports(port, port));
        tables.rules.set(id, Arc::new(rule(action, &[], &[port])));
    }
    let policy = |rx: &[u32], tx: &[u32]| {
        Arc::new(Policy {
            rx: rx.to_vec(),
            tx: tx.to_vec(),
        })
    };
    // A rule or policy that is gone is passed over.
    tables.policies.set(0, policy(&[3, 9, 0], &[1]));
    tables.policies.set(1, policy(&[1, 2], &[0]));
    tables.policies.set(2, policy(&[2, 0], &[0]));
    let ask = |of: &InterfacePolicies, hook, port| {
        tables.allows(of, hook, &query("10.0.0.1", "10.0.0.2", 6, (9, port)))
    };
    let config = InterfacePolicies {
        rx: vec![7, 0, 1],
        tx: vec![0, 1],
        profiles: vec![2],
        policy_default_rx: PolicyDefault::Deny,
        policy_default_tx: PolicyDefault::Pass,
        profile_default_tx: PolicyDefault::Deny,
        ..InterfacePolicies::default()
    };
    let rx = [80, 22, 53, 99, 1].map(|port| ask(&config, Hook::Rx, port));
    // 53 passes to the profile, whose only word for it is to pass on: nothing is left to pass to.
    assert_eq!(rx, [true, false, false, false, false]);
    let tx = [80, 22, 53].map(|port| ask(&config, Hook::Tx, port));
    assert_eq!(tx, [true, false, false]);
    let inverted = InterfacePolicies {
        invert_rx_tx: true,
        ..config.clone()
    };
    assert!(ask(&inverted, Hook::Tx, 80) && !ask(&inverted, Hook::Tx, 1));
    let open = InterfacePolicies {
        policy_default_rx: PolicyDefault::Pass,
        profiles: Vec::new(),
        ..config.clone()
    };
    assert!(ask(&open, Hook::Rx, 1), "the default of profiles allows");
    assert!(ask(&InterfacePolicies::default(), Hook::Tx, 1));
    let endless = InterfacePolicies {
        policy_default_rx: PolicyDefault::Pass,
        profile_default_rx: PolicyDefault::Pass,
        profiles: Vec::new(),
        ..config
    };
    assert!(!ask(&endless, Hook::Rx, 1));
}

proptest! {
    #[test]
    fn a_set_of_prefixes_has_what_its_prefixes_contain(
        nets in prop::collection::vec((any::<u32>(), 0..=32u8), 0..40),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        probes in prop::collection::vec(any::<u32>(), 20),
    ) {
        let mut set = IpSet::new(IpSetKind::Net);
        let net = |(bits, len): (u32, u8)| {
            // Few different high bits, so that prefixes nest.
            Prefix::new(IpAddr::V4((bits & 0x0303_0303).into()), len).unwrap()
        };
        let mut model = BTreeSet::new();
        for n in &nets {
            set.set(Member::Net(net(*n)), true).unwrap();
            model.insert(net(*n).masked());
        }
        if !nets.is_empty() {
            for index in removed {
                let gone = net(*index.get(&nets));
                set.set(Member::Net(gone), false).unwrap();
                model.remove(&gone.masked());
            }
        }
        prop_assert_eq!(set.len(), model.len());
        for probe in probes {
            let address = IpAddr::V4((probe & 0x0303_0303).into());
            let want = model.iter().any(|net| net.contains(address));
            prop_assert_eq!(set.has(address), want, "{}", address);
        }
    }
}

#[test]
fn a_set_takes_members_of_its_kind_only() {
    let mut set = IpSet::new(IpSetKind::Ip);
    assert_eq!(set.set(Member::Ip(ip("10.0.0.1")), true), Ok(()));
    assert_eq!(set.set(Member::Ip(ip("10.0.0.1")), true), Ok(()));
    assert_eq!(set.len(), 1);
    let net = Member::Net("10.0.0.0/8".parse().unwrap());
    assert_eq!(set.set(net, true), Err(NotOfThisKind));
    assert!(set.has(ip("10.0.0.1")) && !set.has(ip("10.0.0.2")));
}

/// A change of one member must not cost what the set holds.
#[test]
fn one_member_more_in_a_big_set_is_cheap_while_workers_hold_the_old_one() {
    let mut set = IpSet::new(IpSetKind::Ip);
    let member = |n: u32| Member::Ip(IpAddr::V4((0x0a00_0000 + n).into()));
    for n in 0..100_000 {
        set.set(member(n), true).unwrap();
    }
    let started = std::time::Instant::now();
    let mut held = Vec::new();
    for n in 0..1000 {
        held.push(set.clone());
        set.set(member(200_000 + n), true).unwrap();
    }
    // Copying 100000 members a thousand times takes seconds.
    assert!(
        started.elapsed().as_millis() < 500,
        "{:?}",
        started.elapsed()
    );
    assert!(!held[999].has(ip("10.3.17.39")) && set.len() == 101_000);
}
