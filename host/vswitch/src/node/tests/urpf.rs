use super::routing::two_subnets;
use super::*;
use crate::interface::UrpfSpec;
use crate::route::RoutePath;
use crate::{ApiError, Family};

const LOOSE: Option<UrpfSpec> = Some(UrpfSpec {
    strict: false,
    table_id: None,
});
const STRICT: Option<UrpfSpec> = Some(UrpfSpec {
    strict: true,
    table_id: None,
});

#[test]
fn sources_without_a_way_back_are_dropped() {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(b, "10.0.1.9", host(2));
    lab.neighbor(b, "2001:db8:b::9", host(2));
    let from = |src: &str, dst| eth(own_mac(a), host(1), &udp(src, dst, (1, 2), 20));
    let packets = [
        // On the subnet it comes from; routed elsewhere; unknown.
        ("10.0.0.9", "10.0.1.9", [true, true, true]),
        ("10.0.1.77", "10.0.1.9", [true, true, false]),
        ("10.99.0.1", "10.0.1.9", [true, false, false]),
        ("2001:db8:a::9", "2001:db8:b::9", [true, true, true]),
        ("2001:db8:b::77", "2001:db8:b::9", [true, true, false]),
        ("2001:db8:99::1", "2001:db8:b::9", [true, false, false]),
    ];
    for (column, mode) in [None, LOOSE, STRICT].into_iter().enumerate() {
        for family in [Family::V4, Family::V6] {
            lab.dp.urpf_update(a, family, true, mode).unwrap();
        }
        for (src, dst, passes) in packets {
            let sent = lab.send(a, &from(src, dst));
            assert_eq!(sent.len() == 1, passes[column], "{src} {mode:?}");
        }
    }
    assert_eq!(lab.drops(), ["ip-rx-urpf: uRPF check failed = 6"]);
    // A default route makes every source known, a recursive one leads where its next hop is.
    let default = RoutePath::via(addr("10.0.0.9"), a);
    lab.dp
        .ip_route_add_del(0, prefix("0.0.0.0/0"), &[default], true, false)
        .unwrap();
    assert_eq!(lab.send(a, &from("10.99.0.1", "10.0.1.9")).len(), 1);
    let recursive = RoutePath {
        next_hop: addr("10.0.1.9"),
        ..RoutePath::default()
    };
    lab.dp
        .ip_route_add_del(0, prefix("10.99.0.0/16"), &[recursive], true, false)
        .unwrap();
    assert!(lab.send(a, &from("10.99.0.1", "10.0.1.9")).is_empty());
}

#[test]
fn on_output_a_packet_must_not_return_to_its_source() {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(b, "10.0.1.9", host(2));
    lab.dp.urpf_update(b, Family::V4, false, STRICT).unwrap();
    let from = |src: &str| eth(own_mac(a), host(1), &udp(src, "10.0.1.9", (1, 2), 20));
    assert_eq!(lab.send(a, &from("10.0.0.9")).len(), 1);
    assert!(lab.send(a, &from("10.0.1.5")).is_empty());
    assert_eq!(lab.drops(), ["ip-tx-urpf: uRPF check failed = 1"]);
    let unknown = Some(UrpfSpec {
        strict: true,
        table_id: Some(77),
    });
    assert_eq!(
        lab.dp.urpf_update(b, Family::V4, false, unknown),
        Err(ApiError::InvalidValue)
    );
    lab.dp.urpf_update(b, Family::V4, false, None).unwrap();
    assert!(lab.dp.interface(b).unwrap().urpf.is_empty());
    assert_eq!(lab.send(a, &from("10.0.1.5")).len(), 1);
}
