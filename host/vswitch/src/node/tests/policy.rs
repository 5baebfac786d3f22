//! Network policies and access lists that reflect.

use packet::tcp::{ACK, FIN, RST, SYN};
use packet::{icmp, proto};

use super::routing::two_subnets;
use super::*;
use crate::acl::{AclAction, AclRule, PortRange};
use crate::counters::NpolVerdicts;
use crate::npol::{
    Criterion, Entry, Filter, FilterKind, InterfacePolicies, IpSetKind, Member, Policy,
    PolicyDefault, RuleAction, RuleSpec,
};
use crate::{Family, SwIfIndex};

mod recent;

/// A pod behind `pod` (10.0.0.9, 2001:db8:a::9) and the world behind `out` (10.0.1.9, 2001:db8:b::9).
struct World {
    lab: Lab,
    pod: SwIfIndex,
    out: SwIfIndex,
}

const DENY: InterfacePolicies = InterfacePolicies {
    rx: Vec::new(),
    tx: Vec::new(),
    profiles: Vec::new(),
    invert_rx_tx: false,
    policy_default_rx: PolicyDefault::Deny,
    policy_default_tx: PolicyDefault::Deny,
    profile_default_rx: PolicyDefault::Deny,
    profile_default_tx: PolicyDefault::Deny,
};

impl World {
    fn new() -> Self {
        let (mut lab, pod, out) = two_subnets();
        for (on, ip, n) in [
            (pod, "10.0.0.9", 1),
            (out, "10.0.1.9", 2),
            (pod, "2001:db8:a::9", 1),
            (out, "2001:db8:b::9", 2),
        ] {
            lab.neighbor(on, ip, host(n));
        }
        Self { lab, pod, out }
    }

    /// Lets the pod begin flows that match `spec`, and nobody else begin any.
    fn pod_may(&mut self, filters: &[Filter], entries: &[Entry]) -> u32 {
        let rule = self.rule(None, RuleAction::Allow, filters, entries);
        let policy = self.policy(&[rule], &[]);
        let config = InterfacePolicies {
            rx: vec![policy],
            ..DENY
        };
        self.lab
            .dp
            .npol_configure_policies(self.pod, config)
            .unwrap();
        rule
    }

    fn rule(
        &mut self,
        id: Option<u32>,
        action: RuleAction,
        filters: &[Filter],
        entries: &[Entry],
    ) -> u32 {
        let spec = RuleSpec {
            action,
            filters: filters.to_vec(),
            entries: entries.to_vec(),
        };
        self.lab.dp.npol_rule_update(id, spec).unwrap()
    }

    fn policy(&mut self, rx: &[u32], tx: &[u32]) -> u32 {
        let policy = Policy {
            rx: rx.to_vec(),
            tx: tx.to_vec(),
        };
        self.lab.dp.npol_policy_update(None, policy).unwrap()
    }

    /// Sends an IP packet from the pod; true when it comes out at the world.
    fn leaves(&mut self, packet: &[u8]) -> bool {
        self.crosses(self.pod, host(1), self.out, packet)
    }

    /// Sends an IP packet from the world; true when it comes out at the pod.
    fn enters(&mut self, packet: &[u8]) -> bool {
        self.crosses(self.out, host(2), self.pod, packet)
    }

    fn crosses(
        &mut self,
        from: SwIfIndex,
        src: packet::MacAddr,
        to: SwIfIndex,
        packet: &[u8],
    ) -> bool {
        let sent = self.lab.send(from, &eth(own_mac(from), src, packet));
        sent.iter().any(|(on, _, _)| *on == to)
    }

    fn wait(&mut self, secs: u64) {
        self.lab.now.0 += secs * 1_000_000_000;
    }
}

fn to_port(port: u16) -> Entry {
    Entry {
        is_src: false,
        is_not: false,
        criterion: Criterion::Ports(PortRange {
            first: port,
            last: port,
        }),
    }
}

fn protocol(number: u8) -> Filter {
    Filter {
        kind: FilterKind::Protocol,
        value: number.into(),
        should_match: true,
    }
}

/// From the pod to the world, IPv4.
fn tcp(flags: u8, ports: (u16, u16)) -> Vec<u8> {
    segment("10.0.0.9", "10.0.1.9", flags, ports)
}

/// From the world to the pod, IPv4.
fn back(flags: u8, ports: (u16, u16)) -> Vec<u8> {
    segment("10.0.1.9", "10.0.0.9", flags, ports)
}

fn segment(src: &str, dst: &str, flags: u8, (src_port, dst_port): (u16, u16)) -> Vec<u8> {
    let mut segment = [0; 20];
    packet::tcp::Header {
        src_port,
        dst_port,
        flags,
        ..packet::tcp::Header::default()
    }
    .emit(&mut segment);
    ip(src, dst, proto::TCP, 64, &segment)
}

fn sctp(src: &str, dst: &str, ports: (u16, u16), chunk: u8) -> Vec<u8> {
    let mut packet = vec![0; 16];
    packet[..2].copy_from_slice(&ports.0.to_be_bytes());
    packet[2..4].copy_from_slice(&ports.1.to_be_bytes());
    packet[12] = chunk;
    packet[15] = 4;
    ip(src, dst, proto::SCTP, 64, &packet)
}

/// An ICMP error from `src` about `quoted`.
fn unreachable(src: &str, dst: &str, quoted: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 8];
    icmp::emit(&mut message, icmp::UNREACHABLE, icmp::CODE_PORT, [0; 4]);
    message.extend(&quoted[..quoted.len().min(28)]);
    icmp::fill_checksum(&mut message);
    ip(src, dst, proto::ICMP, 64, &message)
}

#[test]
fn a_connection_that_the_policy_allows_gets_its_answers_and_nothing_else_enters() {
    let mut world = World::new();
    world.pod_may(&[protocol(proto::TCP)], &[to_port(80)]);
    assert!(!world.enters(&back(SYN | ACK, (80, 1000))), "nobody asked");
    assert!(world.leaves(&tcp(SYN, (1000, 80))));
    assert!(world.enters(&back(SYN | ACK, (80, 1000))));
    assert!(world.leaves(&tcp(ACK, (1000, 80))));
    assert!(world.enters(&back(ACK, (80, 1000))));
    assert!(!world.leaves(&tcp(SYN, (1000, 81))));
    assert!(!world.enters(&back(SYN, (80, 1000))), "a new connection");
    assert!(!world.enters(&back(ACK, (81, 1000))));
    let verdicts = world.lab.dp.npol_verdicts(world.pod);
    let want = NpolVerdicts {
        rx_allow: 1,
        rx_deny: 1,
        tx_allow: 0,
        tx_deny: 3,
    };
    assert_eq!(verdicts, want);
    assert_eq!(
        world.lab.drops(),
        [
            "npol-input: npol: denied by policy = 1",
            "npol-output: npol: denied by policy = 3"
        ]
    );
    assert_eq!(world.lab.dp.npol_flows().len(), 1);
}

#[test]
fn a_connection_ends_by_reset_by_fins_and_by_time() {
    for (end, patience) in [
        (vec![(true, RST)], 5),
        (vec![(false, FIN | ACK), (true, FIN | ACK), (false, ACK)], 5),
        (vec![(false, FIN | ACK)], 120),
        (vec![], 3600),
    ] {
        let mut world = World::new();
        world.pod_may(&[protocol(proto::TCP)], &[to_port(80)]);
        assert!(world.leaves(&tcp(SYN, (1000, 80))));
        assert!(world.enters(&back(SYN | ACK, (80, 1000))));
        assert!(world.leaves(&tcp(ACK, (1000, 80))));
        for (enters, flags) in end {
            let passed = if enters {
                world.enters(&back(flags, (80, 1000)))
            } else {
                world.leaves(&tcp(flags, (1000, 80)))
            };
            assert!(passed);
        }
        world.wait(patience - 3);
        assert!(world.enters(&back(ACK, (80, 1000))), "{patience}");
        world.wait(patience + 1);
        assert!(!world.enters(&back(ACK, (80, 1000))), "{patience}");
        let now = world.lab.now;
        for _ in 0..20 {
            world.lab.dp.age_flows(now);
        }
        assert!(world.lab.dp.npol_flows().is_empty());
    }
}

#[test]
fn udp_echo_and_sctp_are_answered_too_in_both_families() {
    let mut world = World::new();
    world.pod_may(&[], &[]);
    let v6 = ("2001:db8:a::9", "2001:db8:b::9");
    for (pod, peer) in [("10.0.0.9", "10.0.1.9"), v6] {
        let udp_back = udp(peer, pod, (53, 4000), 9);
        assert!(!world.enters(&udp_back));
        assert!(world.leaves(&udp(pod, peer, (4000, 53), 9)));
        assert!(world.enters(&udp_back));
        assert!(!world.enters(&udp(peer, pod, (54, 4000), 9)));
        assert!(!world.enters(&echo(peer, pod, 9)));
        assert!(world.leaves(&echo(pod, peer, 9)));
        let reply = echo_reply(peer, pod);
        assert!(world.enters(&reply));
        assert!(!world.enters(&echo(peer, pod, 9)), "a request is no reply");
        assert!(!world.enters(&sctp(peer, pod, (36412, 36412), 2)));
        assert!(world.leaves(&sctp(pod, peer, (36412, 36412), 1)));
        assert!(world.enters(&sctp(peer, pod, (36412, 36412), 2)));
        assert!(!world.enters(&sctp(peer, pod, (36412, 36412), 1)));
        assert!(world.enters(&sctp(peer, pod, (36412, 36412), 6)));
    }
    world.wait(125);
    assert!(!world.enters(&udp("10.0.1.9", "10.0.0.9", (53, 4000), 9)));
    assert!(!world.enters(&sctp("10.0.1.9", "10.0.0.9", (36412, 36412), 3)));
}

fn echo_reply(src: &str, dst: &str) -> Vec<u8> {
    let mut packet = echo(src, dst, 9);
    let v6 = packet[0] >> 4 == 6;
    let at = if v6 { 40 } else { 20 };
    packet[at] = if v6 {
        packet::icmpv6::ECHO_REPLY
    } else {
        icmp::ECHO_REPLY
    };
    packet
}

#[test]
fn errors_about_allowed_flows_pass_and_others_do_not() {
    let mut world = World::new();
    world.pod_may(&[protocol(proto::UDP)], &[]);
    let asked = udp("10.0.0.9", "10.0.1.9", (4000, 53), 9);
    assert!(world.leaves(&asked));
    let other = udp("10.0.0.9", "10.0.1.9", (4001, 53), 9);
    // Any router may report, not the peer only.
    assert!(world.enters(&unreachable("10.0.1.77", "10.0.0.9", &asked)));
    assert!(!world.enters(&unreachable("10.0.1.77", "10.0.0.9", &other)));
    // An error about a packet that went the other way is not about this one.
    let forged = udp("10.0.1.9", "10.0.0.9", (53, 4000), 9);
    assert!(!world.enters(&unreachable("10.0.1.77", "10.0.0.9", &forged)));
    // The switch's own errors reach the pod too: this one is about its time to live.
    let mut dying = udp("10.0.0.9", "10.0.1.9", (4000, 53), 9);
    dying[8] = 1;
    dying[10..12].fill(0);
    let sum = packet::checksum::of(&dying[..20]);
    dying[10..12].copy_from_slice(&sum.to_be_bytes());
    let frame = eth(own_mac(world.pod), host(1), &dying);
    let text = world.lab.text(world.pod, &frame);
    assert!(text.contains("icmp 11/0"), "{text}");
}

#[test]
fn fragments_follow_their_first_and_are_judged_by_what_they_show_without_it() {
    let mut world = World::new();
    world.pod_may(&[protocol(proto::UDP)], &[to_port(53)]);
    let fragment = |word: u16, ident: u16, port: u16| {
        let mut packet = udp("10.0.0.9", "10.0.1.9", (4000, port), 16);
        packet[4..6].copy_from_slice(&ident.to_be_bytes());
        packet[6..8].copy_from_slice(&word.to_be_bytes());
        packet[10..12].fill(0);
        let sum = packet::checksum::of(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet
    };
    let (first, later) = (0x2000, 0x0003);
    assert!(!world.leaves(&fragment(later, 1, 53)), "no first one yet");
    assert!(world.leaves(&fragment(first, 1, 53)));
    assert!(world.leaves(&fragment(later, 1, 0xffff)));
    assert!(!world.leaves(&fragment(later, 2, 53)), "of another packet");
    assert!(!world.leaves(&fragment(first, 3, 54)));
    assert!(!world.leaves(&fragment(later, 3, 53)));
    // The second packet of a known flow is followed as well.
    assert!(world.leaves(&fragment(first, 4, 53)));
    assert!(world.leaves(&fragment(later, 4, 0)));
    world.wait(31);
    assert!(!world.leaves(&fragment(later, 4, 0)));
}

#[test]
fn a_change_of_policy_stops_flows_that_it_denies_and_keeps_the_others() {
    let mut world = World::new();
    let set = world.lab.dp.npol_ipset_create(IpSetKind::Net).unwrap();
    let members = |world: &mut World, is_add, net: &str| {
        let member = Member::Net(prefix(net));
        world
            .lab
            .dp
            .npol_ipset_add_del_members(set, is_add, [Ok(member)])
            .unwrap();
    };
    let in_set = Entry {
        is_src: false,
        is_not: false,
        criterion: Criterion::IpSet(set),
    };
    let rule = world.pod_may(&[], &[in_set]);
    members(&mut world, true, "10.0.1.0/24");
    let established = |world: &mut World, port| {
        assert!(world.leaves(&tcp(SYN, (port, 80))));
        assert!(world.enters(&back(SYN | ACK, (80, port))));
        assert!(world.leaves(&tcp(ACK, (port, 80))));
    };
    // By a member of a set, seen from either side.
    established(&mut world, 1);
    established(&mut world, 2);
    members(&mut world, true, "10.0.2.0/24");
    assert!(world.enters(&back(ACK, (80, 1))), "still a member");
    members(&mut world, false, "10.0.1.0/24");
    assert!(!world.enters(&back(ACK, (80, 1))));
    assert!(!world.leaves(&tcp(ACK, (2, 80))));
    members(&mut world, true, "10.0.1.0/24");
    // By a rule, by a policy, by an interface.
    established(&mut world, 3);
    world.rule(Some(rule), RuleAction::Deny, &[], &[in_set]);
    assert!(!world.enters(&back(ACK, (80, 3))));
    world.rule(Some(rule), RuleAction::Allow, &[], &[in_set]);
    established(&mut world, 4);
    let (id, _) = world.lab.dp.npol_policies().next().unwrap();
    world
        .lab
        .dp
        .npol_policy_update(Some(id), Policy::default())
        .unwrap();
    assert!(!world.enters(&back(ACK, (80, 4))));
    let policy = Policy {
        rx: vec![rule],
        tx: Vec::new(),
    };
    world.lab.dp.npol_policy_update(Some(id), policy).unwrap();
    established(&mut world, 5);
    world
        .lab
        .dp
        .npol_configure_policies(world.pod, DENY)
        .unwrap();
    assert!(!world.enters(&back(ACK, (80, 5))));
    // A change that is none of this interface's business asks nothing.
    world.pod_may(&[], &[]);
    established(&mut world, 6);
    let before = world.lab.dp.npol_verdicts(world.pod);
    world.rule(None, RuleAction::Deny, &[], &[]);
    members(&mut world, true, "10.9.9.0/24");
    assert!(world.enters(&back(ACK, (80, 6))));
    assert_eq!(world.lab.dp.npol_verdicts(world.pod), before);
}

#[test]
fn policies_of_the_receiver_decide_what_enters_and_inverted_ones_what_leaves() {
    let mut world = World::new();
    let web = world.rule(None, RuleAction::Allow, &[], &[to_port(80)]);
    let ingress = world.policy(&[], &[web]);
    let config = InterfacePolicies {
        tx: vec![ingress],
        ..DENY
    };
    let (pod, out) = (world.pod, world.out);
    world.lab.dp.npol_configure_policies(pod, config).unwrap();
    assert!(world.enters(&back(SYN, (5000, 80))));
    assert!(world.leaves(&tcp(SYN | ACK, (80, 5000))));
    assert!(!world.enters(&back(SYN, (5000, 81))));
    assert!(!world.leaves(&tcp(SYN, (5000, 80))));
    // The node's own interface, seen from inside: what leaves is what "rx" says.
    world
        .lab
        .dp
        .npol_configure_policies(pod, InterfacePolicies::default())
        .unwrap();
    let egress = world.policy(&[web], &[]);
    let host_endpoint = InterfacePolicies {
        rx: vec![egress],
        invert_rx_tx: true,
        ..DENY
    };
    world
        .lab
        .dp
        .npol_configure_policies(out, host_endpoint)
        .unwrap();
    assert!(world.leaves(&tcp(SYN, (6000, 80))));
    assert!(!world.leaves(&tcp(SYN, (6000, 81))));
    assert!(!world.enters(&back(SYN, (6001, 80))));
}

#[test]
fn an_interface_that_is_gone_takes_its_flows_along() {
    let mut world = World::new();
    world.pod_may(&[], &[]);
    assert!(world.leaves(&udp("10.0.0.9", "10.0.1.9", (1, 2), 1)));
    world.lab.dp.delete_interface(world.pod).unwrap();
    let pod = world.lab.routed("again", &["10.0.0.1/24"]);
    assert_eq!(pod, world.pod, "the index is used again");
    world.lab.neighbor(pod, "10.0.0.9", host(1));
    world.lab.dp.npol_configure_policies(pod, DENY).unwrap();
    assert!(!world.enters(&udp("10.0.1.9", "10.0.0.9", (2, 1), 1)));
}

#[test]
fn neighbours_of_a_pod_that_may_nothing_can_still_be_found() {
    let mut world = World::new();
    world
        .lab
        .dp
        .npol_configure_policies(world.pod, DENY)
        .unwrap();
    let mut solicit = vec![0; 24];
    solicit[0] = packet::icmpv6::NEIGHBOR_SOLICIT;
    let target: std::net::Ipv6Addr = "2001:db8:a::1".parse().unwrap();
    solicit[8..24].copy_from_slice(&target.octets());
    packet::icmpv6::fill_checksum(&mut solicit, "2001:db8:a::9".parse().unwrap(), target);
    let packet = ip(
        "2001:db8:a::9",
        "2001:db8:a::1",
        proto::ICMPV6,
        255,
        &solicit,
    );
    let frame = eth(own_mac(world.pod), host(1), &packet);
    let text = world.lab.text(world.pod, &frame);
    assert!(
        text.contains("icmp6 136/0"),
        "{text} {:?}",
        world.lab.drops()
    );
    // Ping of the gateway is not part of the link.
    assert_eq!(
        world.lab.text(
            world.pod,
            &eth(
                own_mac(world.pod),
                host(1),
                &echo("10.0.0.9", "10.0.0.1", 1)
            )
        ),
        ""
    );
}

#[test]
fn a_full_table_refuses_new_flows_by_name_and_keeps_the_old() {
    let mut world = World::new();
    let limits = crate::dataplane::flows::FlowLimits {
        npol: 2,
        ..Default::default()
    };
    world.lab.dp.set_flow_limits(limits);
    world.pod_may(&[], &[]);
    for (port, want) in [(1, true), (2, true), (3, false), (1, true)] {
        assert_eq!(
            world.leaves(&udp("10.0.0.9", "10.0.1.9", (port, 53), 1)),
            want
        );
    }
    assert_eq!(world.lab.drops(), ["npol-input: flow table is full = 1"]);
    assert!(world.enters(&udp("10.0.1.9", "10.0.0.9", (53, 2), 1)));
}

#[test]
fn a_list_that_reflects_lets_answers_in_and_counts_its_matches() {
    let mut world = World::new();
    let web = PortRange {
        first: 80,
        last: 80,
    };
    let rule = AclRule {
        proto: proto::TCP,
        dst_ports: web,
        ..AclRule::any(AclAction::PermitReflect, Family::V4)
    };
    let dp = &mut world.lab.dp;
    let input = dp.acl_add_replace(None, "out", vec![rule]).unwrap();
    let deny = AclRule::any(AclAction::Deny, Family::V4);
    let output = dp.acl_add_replace(None, "in", vec![deny]).unwrap();
    dp.acl_interface_set_acl_list(world.pod, &[input], &[output])
        .unwrap();
    dp.acl_stats_intf_counters_enable(true);
    assert!(!world.enters(&back(SYN | ACK, (80, 1000))));
    assert!(world.leaves(&tcp(SYN, (1000, 80))));
    assert!(world.enters(&back(SYN | ACK, (80, 1000))));
    assert!(world.leaves(&tcp(ACK, (1000, 80))));
    assert!(!world.enters(&back(SYN, (80, 1000))), "a new connection");
    assert!(!world.leaves(&tcp(SYN, (1000, 81))));
    let matches: Vec<_> = world.lab.dp.acl_matches().collect();
    let count = |at: usize| (matches[at].1[0].packets, matches[at].1[0].bytes);
    assert_eq!((count(0), count(1)), ((1, 40), (2, 80)));
    // A list that no longer reflects it stops the flow.
    let permit = AclRule {
        action: AclAction::Permit,
        ..rule
    };
    world
        .lab
        .dp
        .acl_add_replace(Some(input), "out", vec![rule])
        .unwrap();
    assert!(world.enters(&back(ACK, (80, 1000))));
    world
        .lab
        .dp
        .acl_add_replace(Some(input), "out", vec![permit])
        .unwrap();
    assert!(!world.enters(&back(ACK, (80, 1000))));
    assert!(world.leaves(&tcp(ACK, (1000, 80))));
}
