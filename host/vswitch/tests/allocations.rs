//! Proves that a warm worker allocates nothing, whatever it does with packets.
#![expect(clippy::unwrap_used, reason = "the helpers below serve a test only")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "numbers of a test are small"
)]
#![expect(
    unsafe_code,
    reason = "a counting GlobalAlloc: forwards every call to System unchanged"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use packet::{MacAddr, ethernet, ipv4, ipv6, proto, srh, udp};
use vswitch::acl::{AclAction, AclRule, PortRange};
use vswitch::classify::{self, InputTables, SessionSpec, TableSpec};
use vswitch::cnat::{Balance, Endpoint, Path, TranslationSpec};
use vswitch::function::{HookFault, Job, PacketHook, Ruling, Side};
use vswitch::interface::DeviceSpec;
use vswitch::interface::UrpfSpec;
use vswitch::macip::MacipRule;
use vswitch::neighbor::NeighborFlags;
use vswitch::npol::{
    Criterion, Entry, InterfacePolicies, IpSetKind, Member, Policy, PolicyDefault, RuleAction,
    RuleSpec,
};
use vswitch::offload::{Datagrams, Joined, Run, Segment, Train, TrainRoom};
use vswitch::route::RoutePath;
use vswitch::sr::{
    Behavior, LocalsidSpec, PolicyChange, PolicyKind, PolicySpec, ProxyWay, Steered,
};
use vswitch::tunnel::{IpipFlags, IpipSpec, VxlanSpec};
use vswitch::{BATCH_MAX, Batch, Dataplane, Family, Gso, Nanos, Offload, SwIfIndex, Tail, Tunnel};

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

/// A path through `right`: policies for 10.7.0.0/16 and (spray) 10.8.0.0/16, End, End.DT4, End.AD and uN.
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn segment_routing(
    dp: &mut Dataplane,
    left: SwIfIndex,
    right: SwIfIndex,
) -> [(SwIfIndex, SwIfIndex, Vec<u8>); 6] {
    let (peer, fixed) = (
        "2001:db8::2".parse().unwrap(),
        NeighborFlags {
            is_static: true,
            no_fib_entry: false,
        },
    );
    dp.add_del_address(right, true, "2001:db8::1/64".parse().unwrap())
        .unwrap();
    dp.add_del_address(left, true, "2001:db8:1::1/64".parse().unwrap())
        .unwrap();
    dp.ip_neighbor_add_del(right, peer, MacAddr([6; 6]), fixed, true, Nanos(0))
        .unwrap();
    let via = RoutePath::via(peer, right);
    for to in ["fc00::/16", "fc02:0:fc00::/48"] {
        dp.ip_route_add_del(0, to.parse().unwrap(), &[via], true, false)
            .unwrap();
    }
    let spray = PolicyKind::Spray;
    for (bsid, kind, to) in [
        ("fc01::1", PolicyKind::Default, "10.7.0.0/16"),
        ("fc01::2", spray, "10.8.0.0/16"),
    ] {
        let spec = PolicySpec {
            bsid: bsid.parse().unwrap(),
            kind,
            is_encap: true,
            fib_table: 0,
            encap_src: peer_of("2001:db8::1"),
            segments: ["fc00::1", "fc00::2", "fc00::3"].map(peer_of).to_vec(),
            weight: 1,
        };
        dp.sr_policy_add(&spec).unwrap();
        let second = PolicyChange::Add {
            segments: vec![peer_of("fc00::9")],
            encap_src: spec.encap_src,
            weight: 2,
        };
        dp.sr_policy_mod(spec.bsid, &second).unwrap();
        let steered = Steered::L3 {
            table: 0,
            prefix: to.parse().unwrap(),
        };
        dp.sr_steering_add(steered, spec.bsid).unwrap();
    }
    let way = ProxyWay {
        next_hop: Some([10, 0, 1, 2].into()),
        out: right,
        back: right,
    };
    for (sid, prefix_len, behavior) in [
        ("fc02::1", 128, Behavior::End),
        ("fc02::2", 128, Behavior::Dt4 { table: 0 }),
        ("fc02::3", 128, Behavior::DynamicProxy(way)),
        ("fc02:0:4::", 48, Behavior::Un),
    ] {
        let spec = LocalsidSpec {
            sid: peer_of(sid),
            prefix_len,
            usid_len: if prefix_len == 48 { 16 } else { 0 },
            psp: false,
            fib_table: 0,
            behavior,
        };
        dp.sr_localsid_add(spec).unwrap();
    }
    let mac = dp.interface(left).unwrap().mac;
    [
        frame(mac, [10, 7, 0, 1]),
        frame(mac, [10, 8, 0, 1]),
        routed(mac, "fc02::1", 1),
        routed(mac, "fc02::2", 0),
        routed(mac, "fc02::3", 1),
        routed(mac, "fc02:0:4:fc00::", 1),
    ]
    .map(|bytes| (left, right, bytes))
}

fn peer_of(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// An IPv4 packet to 10.0.1.2 with a segment routing header, at local SID `at`.
fn routed(dst: MacAddr, at: &str, left: u8) -> Vec<u8> {
    let inner = frame(dst, [10, 0, 1, 2]).split_off(14);
    let mut out = ethernet::header(dst, MacAddr([4; 6]), ethernet::IPV6).to_vec();
    let mut header = vec![0; srh::header_len(2)];
    srh::emit(&mut header, proto::IPIP, &[peer_of(at), peer_of("fc00::1")]);
    srh::set_segments_left(&mut header, left);
    let mut ip = vec![0; ipv6::HEADER_LEN];
    ipv6::Header {
        traffic_class: 0,
        flow_label: 0,
        payload_len: (header.len() + inner.len()) as u16,
        next_header: proto::ROUTING,
        hop_limit: 64,
        src: peer_of("2001:db8::9"),
        dst: peer_of(at),
    }
    .emit(&mut ip);
    out.extend([ip, header, inner].concat());
    out
}

/// An interface that keeps a session for every flow, and a service on it.
fn served(dp: &mut Dataplane, right: SwIfIndex) -> SwIfIndex {
    let served = device(dp, "served");
    dp.add_del_address(served, true, "10.0.9.1/24".parse().unwrap())
        .unwrap();
    for on in [served, right] {
        dp.feature_cnat_enable_disable(on, true).unwrap();
    }
    let spec = TranslationSpec {
        vip: Endpoint::new([10, 96, 0, 1].into(), 2),
        protocol: proto::UDP,
        flags: 0,
        exclusive: true,
        balance: Balance::Maglev,
        flow_hash: 0,
        paths: vec![Path::to([10, 0, 1, 2].into(), 8080)],
    };
    dp.cnat_translation_update(&spec).unwrap();
    served
}

/// Rules on half of the packets, changes the others.
struct Busy;

impl PacketHook for Busy {
    fn process(&mut self, _: u32, job: &mut Job<'_>, _: Nanos) -> Result<(), HookFault> {
        for at in 0..job.len() {
            let packet = job.packet(at).unwrap();
            let mut head = [0; 178];
            let len = packet.head.len();
            head[..len].copy_from_slice(packet.head);
            let (link, tail) = (packet.link, packet.tail);
            if at % 2 == 0 {
                job.rule(at, Ruling::Pass);
            } else {
                job.change(at, &link, &head[..len], tail);
            }
        }
        Ok(())
    }
}

/// An interface with a packet function on both sides.
fn called(dp: &mut Dataplane) -> SwIfIndex {
    let called = device(dp, "called");
    dp.add_del_address(called, true, "10.0.11.1/24".parse().unwrap())
        .unwrap();
    let function = dp.function_add_replace("busy", false).unwrap();
    for side in [Side::Input, Side::Output] {
        dp.function_interface_set(called, side, Some(function))
            .unwrap();
    }
    called
}

/// An interface with a chain of classifier tables, and a port of a cross-connect with a list on source addresses.
fn classified(dp: &mut Dataplane) -> (SwIfIndex, SwIfIndex, SwIfIndex) {
    let [classified, port, other] = ["classified", "port", "other"].map(|name| device(dp, name));
    dp.add_del_address(classified, true, "10.0.12.1/24".parse().unwrap())
        .unwrap();
    // The last byte of the source port of IPv4 packets decides.
    let mut mask = vec![0; 16];
    mask[3] = 0xff;
    let spec = TableSpec {
        buckets: 2,
        skip: 2,
        next_table: classify::NONE,
        miss_next: classify::NONE,
        from_current: None,
        mask,
    };
    let last = dp.classify_add_table(None, spec.clone()).unwrap();
    let next_table = last;
    let first = dp
        .classify_add_table(None, TableSpec { next_table, ..spec })
        .unwrap();
    for (table, port) in [(first, 3), (last, 5)] {
        let mut matched = vec![0; 48];
        matched[35] = port;
        let session = SessionSpec {
            hit_next: 0,
            opaque: 0,
            action: classify::Action::None,
            matched,
        };
        dp.classify_add_session(table, &session).unwrap();
    }
    dp.input_acl_set_interface(classified, InputTables::all(first), true)
        .unwrap();
    dp.set_l2_xconnect(port, other, true).unwrap();
    let rule = MacipRule {
        action: AclAction::Permit,
        mac: MacAddr([4; 6]),
        mac_mask: MacAddr([0xff; 6]),
        src: "10.0.0.0/24".parse().unwrap(),
    };
    let list = dp.macip_acl_add_replace(None, "", vec![rule]).unwrap();
    dp.macip_acl_interface_add(port, list).unwrap();
    (classified, port, other)
}

/// Alone in this binary: another test's allocations would be counted too.
#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn a_warm_worker_allocates_nothing() {
    cutting_and_joining_super_frames_allocates_nothing();
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
    let served = served(&mut dp, right);
    let called = called(&mut dp);
    let (classified, port, other) = classified(&mut dp);
    let [
        left_mac,
        guarded_mac,
        listed_mac,
        trunk_mac,
        served_mac,
        called_mac,
        classified_mac,
    ] = [
        left,
        guarded,
        listed,
        narrow.trunk,
        served,
        called,
        classified,
    ]
    .map(|on| dp.interface(on).unwrap().mac);
    let by_segments = segment_routing(&mut dp, left, right);
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
        // New flows to a service, and new flows that are not translated.
        (served, right, frame(served_mac, [10, 96, 0, 1])),
        (served, right, frame(served_mac, [10, 0, 1, 2])),
        (called, right, frame(called_mac, [10, 0, 1, 2])),
        (classified, right, frame(classified_mac, [10, 0, 1, 2])),
        (port, other, frame(MacAddr([2; 6]), [10, 0, 1, 2])),
    ];
    let tables = dp.publish();
    let (mut worker, mut batch) = (dp.new_worker(), Batch::new());
    for (rx, tx, mut bytes) in cases.into_iter().chain(by_segments) {
        // Pieces need longer queues, which take turns in serving nodes: it takes some rounds until all have grown.
        let rounds = if tx == narrow.link { 8 } else { 2 };
        let mut transmitted = vec![0; rounds];
        let mut before = 0;
        for (round, count) in transmitted.iter_mut().enumerate() {
            if round + 1 == rounds {
                before = ALLOCATIONS.load(Ordering::Relaxed);
            }
            receive(&mut batch, rx, &mut bytes, round);
            worker.run_with(
                &tables,
                &mut batch,
                Nanos(1_000_000_000 * (round as u64 + 1)),
                &mut Busy,
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

/// A TCP super-frame of `count` segments inside VXLAN, and its work.
fn super_frame(count: u16) -> (Vec<u8>, Offload) {
    const SIZE: u16 = 1000;
    let mut out = vec![0; 50 + 54 + usize::from(count * SIZE)];
    let len = u16::try_from(out.len()).unwrap();
    for (at, protocol, l3_len) in [(0, proto::UDP, len - 14), (50, proto::TCP, len - 64)] {
        ethernet::emit(
            &mut out[at..],
            MacAddr([2; 6]),
            MacAddr([4; 6]),
            ethernet::IPV4,
        );
        let header = ipv4::Header {
            tos: 0,
            total_len: l3_len,
            ident: 0,
            fragment_word: ipv4::FLAG_DF,
            ttl: 64,
            protocol,
            src: [10, 0, 0, 9].into(),
            dst: [10, 0, 0, 8].into(),
        };
        header.emit(&mut out[at + 14..]);
    }
    udp::emit(&mut out[34..], 1, 4789, len - 34, 0);
    (out[42], out[96], out[97]) = (8, 5 << 4, 0x10);
    let tunnel = Tunnel::V4 {
        l3: 14,
        inner_l3: 64,
    };
    let offload = Offload {
        needs_csum: true,
        csum_start: 84,
        csum_offset: 16,
        gso: Gso::Tcp4,
        gso_size: SIZE,
        hdr_len: 104,
        tunnel,
        ..Offload::default()
    };
    (out, offload)
}

/// Part of the one test here: tests that run beside each other would count for each other.
fn cutting_and_joining_super_frames_allocates_nothing() {
    let (frame, offload) = super_frame(40);
    let (mut room, mut joined) = (TrainRoom::default(), 0);
    let mut wire = vec![0; 65_536];
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let (head, tail) = frame.split_at(192);
    let train = Train::of(head, tail, &offload).unwrap();
    let given = train.each(&mut room, |offload, pieces| {
        let mut len = 0;
        for piece in pieces {
            wire[len..len + piece.len()].copy_from_slice(piece);
            len += piece.len();
        }
        let datagrams = Datagrams::of(&wire[..128], len, offload).unwrap();
        let mut run: Option<Run<'_>> = None;
        for number in 0..datagrams.count() {
            let (_, range, _) = datagrams.datagram(number).unwrap();
            let inner = &wire[range.start + 8..range.end];
            let segment = Segment::of(inner, &[], &Offload::default()).unwrap();
            match &mut run {
                Some(run) => joined += usize::from(run.take(segment)),
                None => run = Some(Run::new(segment)),
            }
        }
        assert!(run.unwrap().whole().is_some());
        let (near, far) = wire[..len].split_at_mut(192);
        let together = Joined::of(&datagrams, 0, near, far).unwrap();
        assert!(together.count == 40 && !together.move_together(&datagrams, far).is_empty());
    });
    let after = ALLOCATIONS.load(Ordering::Relaxed);
    given.unwrap();
    assert_eq!((after - before, joined), (0, 39));
}
