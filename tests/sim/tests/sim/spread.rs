//! Several paths: flows stay on theirs, and the paths share the flows by weight.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::prelude::*;
use sim::check::cases;
use sim::generate::basis;
use sim::step::Change;
use sim::switch::Switch;
use sim::wire::{Body, Data, Frame, L4, Packet};
use sim::world::{self, If};
use vswitch::route::RoutePath;
use vswitch::{Family, Prefix, SwIfIndex};

const FLOWS: u16 = 800;

fn flow(n: u16, len: usize) -> Frame {
    let [a, b] = n.to_be_bytes();
    let packet = Packet {
        src: world::host(1, 0, Family::V4),
        dst: Ipv4Addr::new(20, 0, a, b).into(),
        ttl: 64,
        ident: n,
        tos: 0,
        dont_fragment: true,
        l4: L4::Udp {
            ports: (1000 + n % 7, 53),
            data: Data::Bytes(vec![0; len]),
        },
    };
    Frame {
        dst: world::mac_of(1),
        src: world::host_mac(1, 0),
        body: Body::Ip(packet),
    }
}

fn send(switch: &mut Switch, frame: &Frame) -> Result<If, String> {
    let observed = switch.receive(1, frame).map_err(|e| e.to_string())?;
    match observed.sent.as_slice() {
        [(on, _)] => Ok(*on),
        other => Err(format!("{} frames for one", other.len())),
    }
}

fn check(weights: &[(If, u8)]) -> Result<(), String> {
    let mut switch = Switch::new().map_err(|e| e.to_string())?;
    let paths = weights.iter().map(|(on, weight)| RoutePath {
        weight: *weight,
        ..RoutePath::via(world::host(*on, 0, Family::V4), SwIfIndex(*on))
    });
    let route = Change::Route {
        table: 0,
        prefix: Prefix {
            addr: Ipv4Addr::new(20, 0, 0, 0).into(),
            len: 8,
        },
        paths: paths.collect(),
        is_add: true,
        is_multipath: false,
    };
    for change in basis().iter().chain([&route]) {
        switch
            .change(change)
            .map_err(|e| format!("{change:?}: {e}"))?;
    }
    let mut shares = BTreeMap::<If, u32>::new();
    for n in 0..FLOWS {
        let on = send(&mut switch, &flow(n, 8))?;
        // Another packet of the flow, of another length and identification.
        let again = send(&mut switch, &flow(n, 300))?;
        if on != again {
            return Err(format!("flow {n} went to {on}, then to {again}"));
        }
        *shares.entry(on).or_default() += 1;
    }
    let total: u32 = weights.iter().map(|(_, w)| u32::from(*w)).sum();
    for (on, weight) in weights {
        let fair = u32::from(FLOWS) * u32::from(*weight) / total;
        let share = shares.remove(on).unwrap_or(0);
        // Hashing is fair on average; buckets round the weights.
        if share < fair / 2 || share > fair * 2 + 20 {
            return Err(format!(
                "{on} of weight {weight} has {share} flows, not {fair}"
            ));
        }
    }
    if shares.is_empty() {
        Ok(())
    } else {
        Err(format!("flows on interfaces without a path: {shares:?}"))
    }
}

#[test]
fn flows_keep_their_path_and_paths_get_their_weight() {
    let weights = proptest::sample::subsequence(vec![1, 2, 3], 1..=3)
        .prop_flat_map(|ports| {
            let len = ports.len();
            (Just(ports), proptest::collection::vec(1..=4_u8, len))
        })
        .prop_map(|(ports, weights)| ports.into_iter().zip(weights).collect::<Vec<_>>());
    cases(20, &weights, |weights| check(&weights));
}
