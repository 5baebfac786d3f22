//! Policies: rules, sets and interfaces that change, while packets of all kinds of flows go both ways.

use std::cell::Cell;
use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use sim::check::cases;
use sim::generate::basis;
use sim::policy::{Policies, SCTP, Verdict};
use sim::step::Change;
use sim::switch::Switch;
use sim::wire::{Body, Data, Frame, L4, Packet};
use sim::world::{self, If};
use vswitch::acl::PortRange;
use vswitch::graph::DropReason;
use vswitch::npol::{
    Criterion, Entry, Filter, FilterKind, InterfacePolicies, IpSetKind, Member, Policy,
    PolicyDefault, RuleAction, RuleSpec,
};
use vswitch::{Family, Prefix, SwIfIndex};

const HOSTS: u8 = 3;
const KINDS: [IpSetKind; 3] = [IpSetKind::Ip, IpSetKind::Net, IpSetKind::IpAndPort];
const RULES: u32 = 5;
const POLICIES: u32 = 3;
const PORTS: [u16; 3] = [0, 53, 8000];

#[derive(Debug, Clone)]
enum Step {
    Member(usize, Member, bool),
    Rule(u32, RuleSpec),
    Policy(u32, Policy),
    Interface(If, InterfacePolicies),
    /// Milliseconds.
    Wait(u64),
    Packet(If, If, Packet),
}

struct Run {
    model: Policies,
    switch: Switch,
    now: u64,
}

impl Run {
    fn new() -> Result<Self, String> {
        let mut switch = Switch::new().map_err(|e| e.to_string())?;
        let hosts = (1..4).flat_map(|on| (0..HOSTS).map(move |n| (on, n)));
        let neighbors = hosts.flat_map(|(on, n)| {
            [Family::V4, Family::V6].map(|family| {
                Change::Neighbor(on, world::host(on, n, family), world::host_mac(on, n), true)
            })
        });
        for change in basis().into_iter().chain(neighbors) {
            switch.change(&change).map_err(|e| e.to_string())?;
        }
        let nothing = RuleSpec {
            action: RuleAction::Log,
            filters: Vec::new(),
            entries: Vec::new(),
        };
        let dataplane = &mut switch.dataplane;
        for kind in KINDS {
            dataplane
                .npol_ipset_create(kind)
                .map_err(|e| e.to_string())?;
        }
        for _ in 0..RULES {
            let made = dataplane.npol_rule_update(None, nothing.clone());
            made.map_err(|e| e.to_string())?;
        }
        for _ in 0..POLICIES {
            let made = dataplane.npol_policy_update(None, Policy::default());
            made.map_err(|e| e.to_string())?;
        }
        let rules = vec![nothing; RULES as usize];
        let model = Policies::new(KINDS.len(), rules, POLICIES as usize);
        Ok(Self {
            model,
            switch,
            now: 0,
        })
    }

    /// Gives `false` when the model does not know.
    fn step(&mut self, step: &Step, seen: &[Cell<u32>; 2]) -> Result<bool, String> {
        let (model, dataplane) = (&mut self.model, &mut self.switch.dataplane);
        match step {
            Step::Member(set, member, is_add) => {
                model.sets[*set].retain(|m| m != member);
                if *is_add {
                    model.sets[*set].push(*member);
                }
                let id = u32::try_from(*set).unwrap_or(0);
                dataplane.npol_ipset_add_del_members(id, *is_add, [Ok(*member)])
            }
            Step::Rule(id, rule) => {
                model.rules[*id as usize] = rule.clone();
                dataplane
                    .npol_rule_update(Some(*id), rule.clone())
                    .map(drop)
            }
            Step::Policy(id, policy) => {
                model.policies[*id as usize] = policy.clone();
                dataplane
                    .npol_policy_update(Some(*id), policy.clone())
                    .map(drop)
            }
            Step::Interface(on, policies) => {
                model.interfaces.retain(|(of, _)| of != on);
                model.interfaces.push((*on, policies.clone()));
                dataplane.npol_configure_policies(SwIfIndex(*on), policies.clone())
            }
            Step::Wait(millis) => {
                self.now += millis;
                self.switch.wait(*millis);
                Ok(())
            }
            Step::Packet(rx, tx, packet) => return self.packet(*rx, *tx, packet, seen),
        }
        .map_err(|e| format!("{step:?}: {e}"))?;
        Ok(true)
    }

    fn packet(
        &mut self,
        rx: If,
        tx: If,
        packet: &Packet,
        seen: &[Cell<u32>; 2],
    ) -> Result<bool, String> {
        let frame = |dst, src, ttl| Frame {
            dst,
            src,
            body: Body::Ip(Packet {
                ttl,
                ..packet.clone()
            }),
        };
        let verdict = self.model.pass(packet, rx, tx, self.now);
        let host = world::host_mac(rx, 0);
        let received = frame(world::mac_of(rx), host, 64).encode();
        let observed = self.switch.receive_now(rx, &received);
        let observed = observed.map_err(|e| e.to_string())?;
        let to = (0..HOSTS).find(|n| packet.dst == world::host(tx, *n, Family::of(packet.dst)));
        let to = world::host_mac(tx, to.ok_or("a packet to nobody")?);
        let (sent, dropped) = match verdict {
            Verdict::Passes => (vec![(tx, frame(to, world::mac_of(tx), 63).encode())], 0),
            Verdict::Denied => (Vec::new(), 1),
            Verdict::Unclear => return Ok(false),
        };
        let denied = observed.drops.get(&DropReason::NpolDeny).copied();
        if observed.sent != sent || denied.unwrap_or(0) != dropped {
            let sent = observed.sent.len();
            let drops = observed.drops;
            return Err(format!(
                "{packet:?} from {rx} to {tx}: {verdict:?} says the model, {sent} were sent, drops {drops:?}"
            ));
        }
        let count = &seen[usize::from(verdict == Verdict::Denied)];
        count.set(count.get() + 1);
        Ok(true)
    }
}

fn interface() -> impl Strategy<Value = If> {
    1..4_u32
}

fn family() -> impl Strategy<Value = Family> {
    select(vec![Family::V4, Family::V4, Family::V6])
}

fn host(family: Family) -> impl Strategy<Value = IpAddr> {
    (interface(), 0..HOSTS).prop_map(move |(on, n)| world::host(on, n, family))
}

fn prefix() -> impl Strategy<Value = Prefix> {
    family().prop_flat_map(|family| {
        let lengths = match family {
            Family::V4 => vec![0, 8, 16, 24, 31, 32],
            Family::V6 => vec![0, 16, 32, 64, 127, 128],
        };
        (host(family), select(lengths)).prop_map(|(addr, len)| Prefix { addr, len }.masked())
    })
}

fn protocol() -> impl Strategy<Value = u8> {
    select(vec![6_u8, 6, 17, 17, SCTP, 1, 58, 89])
}

fn member(set: usize) -> BoxedStrategy<Member> {
    match KINDS[set] {
        IpSetKind::Ip => family().prop_flat_map(host).prop_map(Member::Ip).boxed(),
        IpSetKind::Net => prefix().prop_map(Member::Net).boxed(),
        IpSetKind::IpAndPort => (
            family().prop_flat_map(host),
            protocol(),
            select(PORTS.to_vec()),
        )
            .prop_map(|(ip, protocol, port)| Member::IpAndPort(ip, protocol, port))
            .boxed(),
    }
}

fn rule() -> impl Strategy<Value = RuleSpec> {
    use RuleAction::{Allow, Deny, Log, Pass};
    let filter = prop_oneof![
        3 => protocol().prop_map(|value| (FilterKind::Protocol, value)),
        1 => select(vec![0_u8, 3, 8, 128, 129]).prop_map(|value| (FilterKind::IcmpType, value)),
        1 => (0..2_u8).prop_map(|value| (FilterKind::IcmpCode, value)),
    ];
    let filter =
        (filter, prop::bool::weighted(0.7)).prop_map(|((kind, value), should_match)| Filter {
            kind,
            value: value.into(),
            should_match,
        });
    let criterion = prop_oneof![
        2 => prefix().prop_map(Criterion::Cidr),
        2 => select(vec![(0, 0), (53, 53), (1, 9000)])
            .prop_map(|(first, last)| Criterion::Ports(PortRange { first, last })),
        2 => (0..2_u32).prop_map(Criterion::IpSet),
        1 => Just(Criterion::PortIpSet(2)),
    ];
    let entry = (any::<bool>(), prop::bool::weighted(0.25), criterion).prop_map(
        |(is_src, is_not, criterion)| Entry {
            is_src,
            is_not,
            criterion,
        },
    );
    let action = select(vec![Allow, Allow, Allow, Deny, Deny, Pass, Log]);
    (action, vec(filter, 0..2), vec(entry, 0..3)).prop_map(|(action, filters, entries)| RuleSpec {
        action,
        filters,
        entries,
    })
}

fn numbers(below: u32) -> impl Strategy<Value = Vec<u32>> {
    subsequence((0..below).collect::<Vec<_>>(), 0..3).prop_shuffle()
}

fn policies() -> impl Strategy<Value = InterfacePolicies> {
    use PolicyDefault::{Allow, Deny, Pass};
    let of_policies = || select(vec![Allow, Deny, Deny, Pass]);
    let of_profiles = || select(vec![Allow, Deny]);
    let lists = (numbers(POLICIES), numbers(POLICIES), numbers(POLICIES));
    let defaults = (of_policies(), of_policies(), of_profiles(), of_profiles());
    (lists, prop::bool::weighted(0.2), defaults).prop_map(
        |((rx, tx, profiles), invert_rx_tx, (a, b, c, d))| InterfacePolicies {
            rx,
            tx,
            profiles,
            invert_rx_tx,
            policy_default_rx: a,
            policy_default_tx: b,
            profile_default_rx: c,
            profile_default_tx: d,
        },
    )
}

/// A packet without ICMP errors.
fn plain(family: Family) -> impl Strategy<Value = L4> {
    let ports = || (select(PORTS.to_vec()), select(PORTS.to_vec()));
    let (request, reply, other) = match family {
        Family::V4 => (8, 0, 13),
        Family::V6 => (128, 129, 139),
    };
    let flags = select(vec![2_u8, 2, 0x12, 0x10, 0x10, 0x11, 0x04]);
    let chunk = select(vec![1_u8, 1, 2, 10, 11, 0, 6, 7, 8, 14]);
    prop_oneof![
        3 => ports().prop_map(|ports| L4::Udp { ports, data: Data::Bytes(vec![7; 12]) }),
        5 => (ports(), flags).prop_map(|(ports, flags)| L4::Tcp { ports, flags, data: Vec::new() }),
        3 => (ports(), chunk).prop_map(|((src, dst), chunk)| {
            let mut data = [src.to_be_bytes(), dst.to_be_bytes()].concat();
            data.extend([0, 0, 0, 1, 0, 0, 0, 0, chunk, 0, 0, 4]);
            L4::Other { protocol: SCTP, data }
        }),
        2 => (select(vec![request, reply, other]), 0..2_u8).prop_map(|(kind, ident)| {
            L4::Icmp { kind, code: 0, data: vec![0, ident, 0, 1, 9, 9] }
        }),
        1 => Just(L4::Other { protocol: 89, data: vec![1; 20] }),
    ]
}

fn packet() -> impl Strategy<Value = Step> {
    // Few ends, so that answers meet their flows.
    let ends = (interface(), 0..2_u8, interface(), 0..2_u8);
    let shape = (ends, family()).prop_flat_map(|(ends, family)| {
        (Just(ends), Just(family), plain(family), 0..6_u8, 0..2_u8)
    });
    shape.prop_map(|((rx, n, tx, m), family, l4, error, code)| {
        let packet = Packet {
            src: world::host(rx, n, family),
            dst: world::host(tx, m, family),
            ttl: 64,
            ident: 0,
            tos: 0,
            dont_fragment: true,
            l4,
        };
        if error > 0 {
            return Step::Packet(rx, tx, packet);
        }
        // Of the one that the packet was for, to its sender.
        let kind = if family == Family::V4 { 3 } else { 1 };
        let mut data = vec![0; 4];
        data.extend(packet.encode());
        let l4 = L4::Icmp { kind, code, data };
        let (src, dst) = (packet.dst, packet.src);
        Step::Packet(
            tx,
            rx,
            Packet {
                src,
                dst,
                l4,
                ..packet
            },
        )
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0..KINDS.len()).prop_flat_map(|set| (Just(set), member(set), prop::bool::weighted(0.8)))
            .prop_map(|(set, member, is_add)| Step::Member(set, member, is_add)),
        2 => (0..RULES, rule()).prop_map(|(id, rule)| Step::Rule(id, rule)),
        1 => (0..POLICIES, numbers(RULES), numbers(RULES))
            .prop_map(|(id, rx, tx)| Step::Policy(id, Policy { rx, tx })),
        1 => (interface(), policies()).prop_map(|(on, policies)| Step::Interface(on, policies)),
        2 => select(vec![100, 1_500, 7_000, 41_000, 125_000, 3_700_000]).prop_map(Step::Wait),
        16 => packet(),
    ]
}

#[test]
fn packets_pass_where_a_list_of_rules_and_a_list_of_flows_say_so() {
    let seen = [Cell::new(0), Cell::new(0)];
    cases(600, &vec(step(), 1..90), |steps| {
        let mut run = Run::new()?;
        for (at, step) in steps.iter().enumerate() {
            match run.step(step, &seen) {
                Ok(true) => {}
                Ok(false) => break,
                Err(text) => return Err(format!("step {at}: {text}")),
            }
        }
        Ok(())
    });
    let [passed, denied] = seen.map(Cell::into_inner);
    assert!(
        passed > 1000 && denied > 1000,
        "{passed} passed, {denied} denied"
    );
}
