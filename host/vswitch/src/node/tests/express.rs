//! The express lane does what the long way does: traced frames take the long way, so the same frames are sent to two
//! dataplanes, of which one traces all.

use proptest::prelude::*;

use super::*;
use crate::SwIfIndex;
use crate::npol::{InterfacePolicies, PolicyDefault};
use crate::trace::TraceSpec;
use crate::tunnel::VxlanSpec;

const TUNNELS: [(&str, &str); 2] = [("10.0.1.1", "10.0.1.9"), ("fd00:1::1", "fd00:1::9")];

/// Routed `a` and `b`, with policies as asked; `c` and `d` cross-connected; `e` and `f` each with a tunnel behind `b`.
fn world(guarded: [bool; 2], is_traced: bool) -> (Lab, Vec<SwIfIndex>) {
    let mut lab = Lab::new();
    let a = lab.routed("a", &["10.0.0.1/24", "fd00:0::1/64"]);
    let b = lab.routed("b", &["10.0.1.1/24", "fd00:1::1/64"]);
    for (on, net) in [(a, 0), (b, 1)] {
        lab.neighbor(on, &format!("10.0.{net}.9"), host(9));
        lab.neighbor(on, &format!("fd00:{net}::9"), host(9));
    }
    let [c, d, e, f] = ["c", "d", "e", "f"].map(|name| lab.device(name));
    lab.dp.set_l2_xconnect(c, d, true).unwrap();
    lab.dp.set_l2_xconnect(d, c, true).unwrap();
    for (port, (n, (src, dst))) in [e, f].into_iter().zip((1..).zip(TUNNELS)) {
        let spec = VxlanSpec {
            src: addr(src),
            dst: addr(dst),
            vni: n,
            ..VxlanSpec::default()
        };
        let tunnel = lab.dp.vxlan_add_del_tunnel_v3(true, spec).unwrap();
        lab.dp.set_flags(tunnel, true).unwrap();
        lab.dp.set_l2_xconnect(port, tunnel, true).unwrap();
        lab.dp.set_l2_xconnect(tunnel, port, true).unwrap();
    }
    lab.dp.set_mtu(d, [200, 0, 0, 0]).unwrap();
    for (on, _) in [a, b].into_iter().zip(guarded).filter(|(_, is)| *is) {
        let open = InterfacePolicies {
            profile_default_rx: PolicyDefault::Allow,
            profile_default_tx: PolicyDefault::Allow,
            ..InterfacePolicies::default()
        };
        lab.dp.npol_configure_policies(on, open).unwrap();
    }
    if is_traced {
        lab.worker.trace_start(TraceSpec {
            max: u32::MAX,
            ..TraceSpec::default()
        });
    }
    (lab, vec![a, b, c, d, e, f])
}

/// Good frames of each kind.
fn good(on: SwIfIndex, kind: u8, payload: usize) -> Vec<u8> {
    let inner = eth(
        host(7),
        host(8),
        &udp("192.0.2.1", "192.0.2.2", (5, 6), payload),
    );
    let packet = match kind {
        0 => udp("10.0.0.5", "10.0.1.9", (7, 8), payload),
        1 => udp("10.0.1.5", "10.0.0.9", (7, 8), payload),
        2 => udp("fd00:0::5", "fd00:1::9", (7, 8), payload),
        3 => udp("10.0.0.5", "10.0.1.77", (7, 8), payload),
        4 => udp("10.0.0.5", "10.0.0.1", (7, 8), payload),
        n => {
            let (local, remote) = TUNNELS[usize::from(n % 2)];
            let mut datagram = vec![0; 16];
            let len = u16::try_from(16 + inner.len()).unwrap();
            packet::udp::emit(&mut datagram, 50_000, packet::vxlan::PORT, len, 0);
            packet::vxlan::emit(&mut datagram[8..], 1 + u32::from(n % 2));
            datagram.extend(inner);
            ip(remote, local, packet::proto::UDP, 9, &datagram)
        }
    };
    eth(own_mac(on), host(9), &packet)
}

type Frame = (usize, u8, usize, Vec<(usize, u8)>, usize);

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    let changes = proptest::collection::vec((0..80_usize, any::<u8>()), 0..2);
    let payload = prop_oneof![0..40_usize, 100..300_usize, 1400..1480_usize];
    let frame = (0..6_usize, 0..7_u8, payload, changes, 0..12_usize);
    proptest::collection::vec(frame, 1..40)
}

proptest! {
    #[test]
    fn express_and_long_way_agree(guarded: [bool; 2], frames in frames()) {
        let (mut short, ports) = world(guarded, false);
        let (mut long, _) = world(guarded, true);
        for (port, kind, payload, changes, padding) in frames {
            let mut frame = good(ports[port], kind, payload);
            for (at, value) in changes {
                if let Some(byte) = frame.get_mut(at) {
                    *byte = value;
                }
            }
            frame.extend(vec![0; padding]);
            prop_assert_eq!(short.send(ports[port], &frame), long.send(ports[port], &frame));
        }
        prop_assert_eq!(short.drops(), long.drops());
        for on in short.dp.interfaces().map(|i| i.sw_if_index) {
            prop_assert_eq!(short.dp.interface_counters(on), long.dp.interface_counters(on));
            prop_assert_eq!(short.dp.npol_verdicts(on), long.dp.npol_verdicts(on));
        }
        let vectors = |lab: &Lab| -> Vec<_> {
            let nodes = lab.dp.node_counters().into_iter();
            nodes.map(|n| (n.name, n.vectors)).filter(|(_, n)| *n > 0).collect()
        };
        prop_assert_eq!(vectors(&short), vectors(&long));
        for row in 0..32 {
            let route = |lab: &Lab| lab.worker.counters().route(row);
            prop_assert_eq!(route(&short), route(&long));
        }
    }
}
