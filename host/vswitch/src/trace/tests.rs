use super::{NodeFilter, PacketFilter, TraceSpec};
use crate::graph::{DropReason, NodeId};
use crate::lab::*;

#[test]
fn only_wanted_packets_are_traced_and_shown() {
    let mut lab = Lab::new();
    let a = lab.routed("a", &["10.0.0.1/24"]);
    let b = lab.routed("b", &["10.0.1.1/24"]);
    lab.neighbor(b, "10.0.1.9", host(2));
    lab.worker.trace_start(TraceSpec {
        max: 10,
        only: vec![a],
        filter: Some(PacketFilter {
            dst_port: Some(53),
            ..PacketFilter::default()
        }),
    });
    let packet = |dst, port| {
        let packet = udp("10.0.0.9", dst, (1, port), 4);
        eth(own_mac(a), host(1), &packet)
    };
    lab.send(a, &packet("10.0.1.9", 53));
    lab.send(a, &packet("10.0.1.9", 54));
    lab.send(b, &packet("10.0.1.9", 53));
    lab.send(a, &packet("10.0.0.1", 53));
    let count = |filter| lab.worker.trace().packets_through(filter).count();
    assert_eq!(count(None), 2);
    for (node, is_include, expected) in [
        (NodeId::Ip4Local, true, 1),
        (NodeId::Ip4Local, false, 1),
        (NodeId::Ip4Input, true, 2),
        (NodeId::Ip6Input, true, 0),
    ] {
        let filter = NodeFilter { node, is_include };
        assert_eq!(count(Some(filter)), expected, "{filter:?}");
    }
}

#[test]
fn dropped_frames_are_noted_while_asked_for() {
    let mut lab = Lab::new();
    let a = lab.routed("a", &["10.0.0.1/24"]);
    let frame = eth(own_mac(a), host(1), &udp("10.0.0.9", "10.9.9.9", (1, 2), 4));
    let noted = |lab: &mut Lab| {
        let mut noted = Vec::new();
        lab.send(a, &frame);
        lab.worker
            .drain_drops(|(_, node, why)| noted.push((node, why)));
        noted
    };
    assert!(noted(&mut lab).is_empty());
    lab.worker.note_drops(true);
    let expected = (NodeId::Ip4Lookup, DropReason::RouteDrop);
    assert_eq!(noted(&mut lab), [expected]);
    lab.worker.note_drops(false);
    assert!(noted(&mut lab).is_empty());
}
