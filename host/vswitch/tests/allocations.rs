//! Proves that a warm worker allocates nothing, whatever it does with packets.
#![expect(
    unsafe_code,
    reason = "a counting GlobalAlloc: forwards every call to System unchanged"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use packet::{MacAddr, ethernet, ipv4, proto, udp};
use vswitch::acl::{AclAction, AclRule, PortRange};
use vswitch::interface::DeviceSpec;
use vswitch::interface::UrpfSpec;
use vswitch::neighbor::NeighborFlags;
use vswitch::npol::{
    Criterion, Entry, InterfacePolicies, IpSetKind, Member, Policy, PolicyDefault, RuleAction,
    RuleSpec,
};
use vswitch::route::RoutePath;
use vswitch::tunnel::{IpipFlags, IpipSpec, VxlanSpec};
use vswitch::{BATCH_MAX, Batch, Dataplane, Family, Nanos, Offload, SwIfIndex, Tail};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is forwarded to `System` with the arguments it came with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: `at` came from `System` with this layout.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn device(dp: &mut Dataplane, name: &str) -> SwIfIndex {
    let spec = DeviceSpec {
        name: name.to_owned(),
        link_up: true,
        ..DeviceSpec::default()
    };
    let index = dp.create_device_interface(spec).unwrap();
    dp.set_flags(index, true).unwrap();
    index
}

fn frame(dst: MacAddr, to: [u8; 4]) -> Vec<u8> {
    let mut out = vec![0; 14 + 20 + 8 + 22];
    ethernet::emit(&mut out, dst, MacAddr([4; 6]), ethernet::IPV4);
    let header = ipv4::Header {
        tos: 0,
        total_len: 50,
        ident: 0,
        fragment_word: 0,
        ttl: 64,
        protocol: proto::UDP,
        src: [10, 0, 0, 9].into(),
        dst: to.into(),
    };
    header.emit(&mut out[14..]);
    udp::emit(&mut out[34..], 1, 2, 30, 0);
    out
}

/// An interface with a policy and one with a list that reflects; both refuse some of the source ports.
fn guarded(dp: &mut Dataplane) -> (SwIfIndex, SwIfIndex) {
    let [guarded, listed] = ["guarded", "listed"].map(|name| device(dp, name));
    for (on, ip) in [(guarded, "10.0.2.1/24"), (listed, "10.0.3.1/24")] {
        dp.add_del_address(on, true, ip.parse().unwrap()).unwrap();
    }
    let set = dp.npol_ipset_create(IpSetKind::Net).unwrap();
    let net = Member::Net("10.0.0.0/8".parse().unwrap());
    dp.npol_ipset_add_del_members(set, true, [Ok(net)]).unwrap();
    let ports = PortRange {
        first: 100,
        last: 400,
    };
    let entry = |criterion| Entry {
        is_src: true,
        is_not: false,
        criterion,
    };
    let spec = RuleSpec {
        action: RuleAction::Allow,
        filters: Vec::new(),
        entries: vec![entry(Criterion::IpSet(set)), entry(Criterion::Ports(ports))],
    };
    let rule = dp.npol_rule_update(None, spec).unwrap();
    let policy = Policy {
        rx: vec![rule],
        tx: Vec::new(),
    };
    let policy = dp.npol_policy_update(None, policy).unwrap();
    let policies = InterfacePolicies {
        rx: vec![policy],
        policy_default_rx: PolicyDefault::Deny,
        ..InterfacePolicies::default()
    };
    dp.npol_configure_policies(guarded, policies).unwrap();
    let reflect = AclRule {
        src_ports: ports,
        proto: proto::UDP,
        ..AclRule::any(AclAction::PermitReflect, Family::V4)
    };
    let acl = dp.acl_add_replace(None, "out", vec![reflect]).unwrap();
    dp.acl_interface_set_acl_list(listed, &[acl], &[]).unwrap();
    (guarded, listed)
}

/// Fills a batch with copies of a frame, each from another source port.
fn receive(batch: &mut Batch, rx: SwIfIndex, bytes: &mut [u8], round: usize) {
    let tail = Tail {
        slot: 1,
        offset: 0,
        len: 900,
    };
    for port in (0u16..).skip(round * BATCH_MAX).take(BATCH_MAX) {
        // The UDP header is 30 bytes from the end.
        let at = bytes.len() - 30;
        bytes[at..at + 2].copy_from_slice(&port.to_be_bytes());
        let pushed = batch.push(rx, bytes, Some(tail), Offload::default());
        assert!(pushed.is_ok());
    }
}

/// Interfaces that do more to a packet than to send it on.
struct Narrow {
    /// Carries VLAN 9, 10.0.4.0/24, with strict source checks.
    trunk: SwIfIndex,
    /// 10.0.5.0/24 behind an MTU of 600.
    link: SwIfIndex,
}

fn narrow(dp: &mut Dataplane, peer: IpAddr) -> Narrow {
    let [trunk, link] = ["trunk", "link"].map(|name| device(dp, name));
    let vlan = dp.create_vlan_subif(trunk, 9).unwrap();
    dp.set_flags(vlan, true).unwrap();
    dp.add_del_address(vlan, true, "10.0.4.1/24".parse().unwrap())
        .unwrap();
    dp.add_del_address(link, true, "10.0.5.1/24".parse().unwrap())
        .unwrap();
    dp.set_mtu(link, [600, 0, 0, 0]).unwrap();
    let fixed = NeighborFlags {
        is_static: true,
        no_fib_entry: false,
    };
    let there: IpAddr = [10, 0, 5, 2].into();
    dp.ip_neighbor_add_del(link, there, MacAddr([8; 6]), fixed, true, Nanos(0))
        .unwrap();
    let loose = UrpfSpec {
        strict: false,
        table_id: None,
    };
    dp.urpf_update(vlan, Family::V4, true, Some(loose)).unwrap();
    let spec = IpipSpec {
        instance: None,
        src: [10, 0, 1, 1].into(),
        dst: peer,
        table_id: 0,
        flags: IpipFlags::default(),
        dscp: 0,
    };
    let tunnel = dp.ipip_add_tunnel(spec).unwrap();
    dp.set_flags(tunnel, true).unwrap();
    let path = RoutePath {
        sw_if_index: tunnel,
        ..RoutePath::default()
    };
    dp.ip_route_add_del(0, "10.0.6.0/24".parse().unwrap(), &[path], true, false)
        .unwrap();
    Narrow { trunk, link }
}

fn tagged(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x81, 0, 0, 9], &frame[12..]].concat()
}

/// The same packet, as long as the tail that comes with it makes it.
fn long(mut frame: Vec<u8>) -> Vec<u8> {
    ipv4::finish_header(&mut frame[14..], 50 + 900, 0);
    frame
}

/// The first piece of a packet to the switch itself.
fn fragment(dp: &mut Dataplane, on: SwIfIndex) -> Vec<u8> {
    let mut out = frame(dp.interface(on).unwrap().mac, [10, 0, 5, 1]);
    ipv4::finish_header(&mut out[14..], 20 + 24, ipv4::FLAG_MF);
    out
}

/// Alone in this binary: another test's allocations would be counted too.
#[test]
fn a_warm_worker_allocates_nothing() {
    let mut dp = Dataplane::new();
    let [wire_a, wire_b, left, right, pod] =
        ["wire-a", "wire-b", "left", "right", "pod"].map(|n| device(&mut dp, n));
    let (guarded, listed) = guarded(&mut dp);
    dp.set_l2_xconnect(wire_a, wire_b, true).unwrap();
    for (on, ip) in [(left, "10.0.0.1/24"), (right, "10.0.1.1/24")] {
        dp.add_del_address(on, true, ip.parse().unwrap()).unwrap();
    }
    let (peer, fixed): (IpAddr, _) = (
        [10, 0, 1, 2].into(),
        NeighborFlags {
            is_static: true,
            no_fib_entry: false,
        },
    );
    dp.ip_neighbor_add_del(right, peer, MacAddr([6; 6]), fixed, true, Nanos(0))
        .unwrap();
    let spec = VxlanSpec {
        src: [10, 0, 1, 1].into(),
        dst: peer,
        vni: 7,
        ..VxlanSpec::default()
    };
    let tunnel = dp.vxlan_add_del_tunnel_v3(true, spec).unwrap();
    dp.set_flags(tunnel, true).unwrap();
    dp.set_l2_xconnect(pod, tunnel, true).unwrap();
    let narrow = narrow(&mut dp, peer);
    let [left_mac, guarded_mac, listed_mac, trunk_mac] =
        [left, guarded, listed, narrow.trunk].map(|on| dp.interface(on).unwrap().mac);
    let cases = [
        (wire_a, wire_b, frame(MacAddr([2; 6]), [10, 0, 1, 2])),
        (left, right, frame(left_mac, [10, 0, 1, 2])),
        (pod, right, frame(MacAddr([2; 6]), [10, 7, 7, 7])),
        // Unknown neighbours, TTL errors and learning must not allocate either.
        (left, right, frame(left_mac, [10, 0, 1, 77])),
        // New flows, one per packet, and those that are denied.
        (guarded, right, frame(guarded_mac, [10, 0, 1, 2])),
        (listed, right, frame(listed_mac, [10, 0, 1, 2])),
        // A VLAN of a trunk, with its source checked; a link that cuts packets; a tunnel; pieces for the switch.
        (
            narrow.trunk,
            right,
            tagged(&frame(trunk_mac, [10, 0, 1, 2])),
        ),
        (left, narrow.link, long(frame(left_mac, [10, 0, 5, 2]))),
        (left, right, frame(left_mac, [10, 0, 6, 2])),
        (
            narrow.link,
            SwIfIndex::LOCAL0,
            fragment(&mut dp, narrow.link),
        ),
    ];
    let tables = dp.publish();
    let (mut worker, mut batch) = (dp.new_worker(), Batch::new());
    for (rx, tx, mut bytes) in cases {
        // Pieces need longer queues, which take turns in serving nodes: it takes some rounds until all have grown.
        let rounds = if tx == narrow.link { 8 } else { 2 };
        let mut transmitted = vec![0; rounds];
        let mut before = 0;
        for (round, count) in transmitted.iter_mut().enumerate() {
            if round + 1 == rounds {
                before = ALLOCATIONS.load(Ordering::Relaxed);
            }
            receive(&mut batch, rx, &mut bytes, round);
            worker.run(
                &tables,
                &mut batch,
                Nanos(1_000_000_000 * (round as u64 + 1)),
            );
            *count = batch
                .tx_lists()
                .filter(|(on, _)| *on == tx)
                .map(|(_, ids)| ids.len())
                .sum::<usize>();
            batch.clear();
        }
        let after = ALLOCATIONS.load(Ordering::Relaxed);
        assert_eq!(after - before, 0, "from {rx} to {tx}");
        assert!(
            transmitted.iter().all(|n| *n > 0),
            "{transmitted:?} from {rx}"
        );
    }
}
