//! Segment routing: generated SIDs, policies and steering, and packets with and without lists of segments.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use sim::check::cases;
use sim::generate::basis;
use sim::segments::{Any, Inner, Outer, Segments, frame};
use sim::step::Change;
use sim::switch::Switch;
use sim::wire::{Data, L4, Packet};
use sim::world::{self, If};
use vswitch::route::RoutePath;
use vswitch::sr::{Behavior, LocalsidSpec, PolicyChange, PolicyKind, PolicySpec, Steered};
use vswitch::{Dataplane, Family, Prefix, SwIfIndex};

const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 1);
/// Block of the micro-SIDs.
const BLOCK: u16 = 0xfcbb;
const SIDS: u16 = 5;
const MICRO: u16 = 3;
const POLICIES: u16 = 3;

fn far(n: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfc00, n, 0, 0, 0, 0, 0, 1)
}

fn sid(n: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfc02, 0, 0, 0, 0, 0, 0, n)
}

fn binding(n: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfc01, 0, 0, 0, 0, 0, 0, n)
}

fn prefix(text: &str) -> Prefix {
    text.parse().expect("a prefix")
}

/// Both families are routed in both tables, by other interfaces.
fn routes() -> Vec<(u32, Prefix, If)> {
    let all = ["fc00::/16", "fcbb::/32", "fd30::/16", "30.0.0.0/8"];
    let of = |table, on| all.map(|text| (table, prefix(text), on));
    [of(0, 2), of(1, 3)].concat()
}

fn steered(n: u16) -> Steered {
    let texts = ["30.0.0.0/24", "30.0.1.0/24", "fd30:0::/32", "fd30:1::/32"];
    Steered::L3 {
        table: 0,
        prefix: prefix(texts[usize::from(n)]),
    }
}

fn v6_of(on: If) -> Ipv6Addr {
    match world::host(on, 0, Family::V6) {
        IpAddr::V6(ip) => ip,
        IpAddr::V4(_) => Ipv6Addr::UNSPECIFIED,
    }
}

fn v4_of(on: If) -> Ipv4Addr {
    match world::host(on, 0, Family::V4) {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}

fn behavior() -> impl Strategy<Value = (Behavior, bool)> {
    let behavior = (0..7_u8, 2..4_u32, 0..2_u32).prop_map(|(kind, on, table)| {
        let (to, next_hop) = (SwIfIndex(on), v6_of(on));
        match kind {
            0 => Behavior::End,
            1 => Behavior::X { on: to, next_hop },
            2 => Behavior::T { table },
            3 => Behavior::Dx4 {
                on: to,
                next_hop: v4_of(on),
            },
            4 => Behavior::Dx6 { on: to, next_hop },
            5 => Behavior::Dt4 { table },
            _ => Behavior::Dt6 { table },
        }
    });
    (behavior, any::<bool>())
}

fn micro_behavior() -> impl Strategy<Value = Behavior> {
    prop_oneof![
        Just(Behavior::Un),
        (2..4_u32).prop_map(|on| Behavior::Ua {
            on: SwIfIndex(on),
            next_hop: v6_of(on),
        }),
    ]
}

type Shape = (bool, bool, Vec<Vec<Ipv6Addr>>);

#[derive(Debug, Clone)]
struct World {
    sids: Vec<(Behavior, bool)>,
    micro: Vec<Behavior>,
    policies: Vec<Shape>,
    /// Policies that the prefixes go into.
    steering: Vec<Option<u16>>,
    packets: Vec<Any>,
}

fn worlds() -> impl Strategy<Value = World> {
    let list = || vec((0..4_u16).prop_map(far), 1..4);
    let policy = (any::<bool>(), prop::bool::weighted(0.6), vec(list(), 1..4));
    (
        vec(behavior(), usize::from(SIDS)),
        vec(micro_behavior(), usize::from(MICRO)),
        vec(policy, usize::from(POLICIES)),
        vec(prop::option::weighted(0.8, 0..POLICIES), 4),
        vec(packet(), 1..40),
    )
        .prop_map(|(sids, micro, policies, steering, packets)| World {
            sids,
            micro,
            policies,
            steering,
            packets,
        })
}

/// Where packets go: a SID, micro-SIDs, a network that may be steered, far away, nowhere.
fn target() -> impl Strategy<Value = Ipv6Addr> {
    let word = || prop_oneof![3 => 0..=MICRO, 1 => Just(0x70_u16)];
    prop_oneof![
        5 => (0..SIDS).prop_map(sid),
        3 => (1..=MICRO, word(), word(), word())
            .prop_map(|(a, b, c, d)| Ipv6Addr::new(BLOCK, 0, a, b, c, d, 0, 0)),
        2 => (0..3_u16).prop_map(|n| Ipv6Addr::new(0xfd30, n, 0, 0, 0, 0, 0, 9)),
        2 => (0..4_u16).prop_map(far),
        1 => Just(Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, 1)),
    ]
}

fn v4() -> impl Strategy<Value = Packet> {
    (0..3_u8, 0..60_usize, select(vec![0_u8, 0xb8])).prop_map(|(n, len, tos)| Packet {
        src: v4_of(1).into(),
        dst: Ipv4Addr::new(30, 0, n, 9).into(),
        ttl: 64,
        ident: 7,
        tos,
        dont_fragment: false,
        l4: L4::Udp {
            ports: (1, 2),
            data: Data::Bytes(vec![7; len]),
        },
    })
}

fn plain() -> impl Strategy<Value = Inner> {
    let len = prop_oneof![0..60_usize, 100..400_usize];
    (select(vec![17_u8, 89]), len)
        .prop_map(|(protocol, len)| Inner::Plain(protocol, vec![9; len.max(8)]))
}

fn v6(inner: BoxedStrategy<Inner>, routed: f64) -> impl Strategy<Value = Outer> {
    let path = (vec(target(), 1..4), any::<prop::sample::Index>());
    let path = prop::option::weighted(routed, path);
    (target(), path, inner, select(vec![0_u8, 0x2e])).prop_map(|(dst, path, inner, class)| {
        let path = path.map(|(path, at)| {
            let left = u8::try_from(at.index(path.len())).unwrap_or(0);
            (path, left)
        });
        let active = path
            .as_ref()
            .map(|(p, left)| p[p.len() - 1 - usize::from(*left)]);
        Outer {
            src: v6_of(1),
            dst: active.unwrap_or(dst),
            hops: 64,
            class,
            path,
            inner,
        }
    })
}

fn packet() -> impl Strategy<Value = Any> {
    let inside = || v6(plain().boxed(), 0.05).prop_map(|v6| Inner::V6(Box::new(v6)));
    let inner = prop_oneof![2 => plain(), 2 => v4().prop_map(Inner::V4), 2 => inside()];
    prop_oneof![
        1 => v4().prop_map(Any::V4),
        1 => v6(plain().boxed(), 0.05).prop_map(Any::V6),
        4 => v6(inner.boxed(), 0.7).prop_map(Any::V6),
    ]
}

fn build(world: &World) -> Result<(Segments, Switch), String> {
    let mut switch = Switch::new().map_err(|e| e.to_string())?;
    let mut model = Segments::new(SOURCE, routes());
    let routes = model
        .routes
        .iter()
        .map(|(table, prefix, on)| Change::Route {
            table: *table,
            prefix: *prefix,
            paths: vec![RoutePath::via(
                world::host(*on, 0, prefix.family()),
                SwIfIndex(*on),
            )],
            is_add: true,
            is_multipath: false,
        });
    for change in basis().into_iter().chain(routes) {
        let made = switch.change(&change);
        made.map_err(|e| format!("{change:?}: {e}"))?;
    }
    switch.dataplane.sr_set_encap_source(SOURCE);
    add_sids(world, &mut model, &mut switch.dataplane)?;
    add_policies(world, &mut model, &mut switch.dataplane)?;
    for (policy, n) in world.steering.iter().zip(0..) {
        let Some(policy) = policy else { continue };
        let is_v4 = n < 2;
        let (what, bsid) = (steered(n), binding(*policy));
        let fits = !is_v4 || model.policies[usize::from(*policy)].is_encap;
        if switch.dataplane.sr_steering_add(what, bsid).is_ok() != fits {
            return Err(format!("{what:?} into {bsid}: taken is not {fits}"));
        }
        if fits {
            model.steering.push((what, bsid));
        }
    }
    Ok((model, switch))
}

fn add_sids(world: &World, model: &mut Segments, dataplane: &mut Dataplane) -> Result<(), String> {
    let plain = world.sids.iter().zip(0..).map(|((behavior, psp), n)| {
        let may_pop = matches!(
            behavior,
            Behavior::End | Behavior::X { .. } | Behavior::T { .. }
        );
        (sid(n), 128, 0, *psp && may_pop, behavior)
    });
    let micro = world.micro.iter().zip(1..).map(|(behavior, n)| {
        let sid = Ipv6Addr::new(BLOCK, 0, n, 0, 0, 0, 0, 0);
        (sid, 48, 16, false, behavior)
    });
    for (sid, prefix_len, usid_len, psp, behavior) in plain.chain(micro) {
        let spec = LocalsidSpec {
            sid,
            prefix_len,
            usid_len,
            psp,
            fib_table: 0,
            behavior: behavior.clone(),
        };
        let added = dataplane.sr_localsid_add(spec.clone());
        added.map_err(|e| format!("{spec:?}: {e}"))?;
        model.sids.push(spec);
    }
    Ok(())
}

fn add_policies(
    world: &World,
    model: &mut Segments,
    dataplane: &mut Dataplane,
) -> Result<(), String> {
    for ((is_encap, is_default, lists), n) in world.policies.iter().zip(0..) {
        let spec = PolicySpec {
            bsid: binding(n),
            kind: if *is_default {
                PolicyKind::Default
            } else {
                PolicyKind::Spray
            },
            is_encap: *is_encap,
            fib_table: 0,
            encap_src: Ipv6Addr::UNSPECIFIED,
            segments: lists[0].clone(),
            weight: 1,
        };
        let added = dataplane.sr_policy_add(&spec);
        added.map_err(|e| format!("{spec:?}: {e}"))?;
        model.policies.push(spec);
        for list in &lists[1..] {
            let change = PolicyChange::Add {
                segments: list.clone(),
                encap_src: Ipv6Addr::UNSPECIFIED,
                weight: 2,
            };
            let added = dataplane.sr_policy_mod(binding(n), &change);
            added.map_err(|e| format!("{change:?}: {e}"))?;
            model.more.push((binding(n), list.clone()));
        }
    }
    Ok(())
}

/// Bytes without the flow label, which is the engine's choice where it encapsulates.
fn blank(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes[12..14] == [0x86, 0xdd] {
        bytes[15] &= 0xf0;
        bytes[16..18].fill(0);
    }
    bytes
}

fn check(world: &World, seen: &[Cell<u32>; 2]) -> Result<(), String> {
    let (model, mut switch) = build(world)?;
    for packet in &world.packets {
        let mut received = frame(1, packet);
        let (own, host) = (world::mac_of(1), world::host_mac(1, 0));
        received.splice(..12, [own, host].concat());
        let observed = switch.receive_bytes(1, &received);
        let observed = observed.map_err(|e| e.to_string())?;
        let sort = |mut sent: Vec<(If, Vec<u8>)>| {
            sent.sort();
            sent
        };
        let sent = observed.sent.iter().map(|(on, bytes)| (*on, blank(bytes)));
        let sent = sort(sent.collect());
        let Some(outcomes) = model.outcomes(packet.clone()) else {
            continue;
        };
        let outcomes: Vec<_> = outcomes
            .into_iter()
            .map(|all| sort(all.iter().map(|(on, p)| (*on, frame(*on, p))).collect()))
            .collect();
        if !outcomes.contains(&sent) {
            let drops = observed.drops;
            return Err(format!(
                "{packet:?}\nengine: {sent:02x?}\ndrops: {drops:?}\nmodel: {outcomes:02x?}"
            ));
        }
        let count = &seen[usize::from(sent.is_empty())];
        count.set(count.get() + 1);
    }
    Ok(())
}

#[test]
fn packets_follow_segments_and_policies_as_headers_in_a_tree_do() {
    let seen = [Cell::new(0), Cell::new(0)];
    cases(2000, &worlds(), |world| check(&world, &seen));
    let [sent, dropped] = seen.map(Cell::into_inner);
    assert!(
        sent > 1000 && dropped > 500,
        "{sent} sent, {dropped} dropped"
    );
}
