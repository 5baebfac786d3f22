//! Devices alone, without a switch behind them.

use std::io::{IoSlice, IoSliceMut};
use std::net::IpAddr;

use vswitch_io::device::tap::{Tap, TapConfig, TapQueue};
use vswitch_io::device::vnet::TAP_HEADER_LEN;

use crate::lab::{Namespace, is_permitted, wait_for};

/// Who has 10.9.0.2, asked by 02:00:00:00:00:01 / 10.9.0.1.
const ARP_REQUEST: [u8; 42] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0,
    0, 1, 10, 9, 0, 1, 0, 0, 0, 0, 0, 0, 10, 9, 0, 2,
];

fn config(namespace: &Namespace) -> TapConfig {
    TapConfig {
        host_if_name: "eth0".into(),
        host_namespace: namespace.path().to_string_lossy().into_owned(),
        tun: false,
        queues: 1,
        host_mtu: Some(1450),
        host_mac: Some([2, 0, 0, 0, 0, 9]),
        addresses: vec![
            ("10.9.0.2".parse().unwrap(), 24),
            ("fd09::2".parse().unwrap(), 64),
        ],
        gateways: vec![
            "10.9.0.1".parse::<IpAddr>().unwrap(),
            "fd09::1".parse().unwrap(),
        ],
        bridge: None,
    }
}

/// Asks until Linux answers for its address.
fn expect_arp_reply(queue: &TapQueue) {
    wait_for("an ARP reply", || {
        queue
            .send(&[
                IoSlice::new(&[0; TAP_HEADER_LEN]),
                IoSlice::new(&ARP_REQUEST),
                IoSlice::new(&[]),
            ])
            .unwrap();
        let (mut header, mut head, mut tail) = ([0; TAP_HEADER_LEN], [0; 192], [0; 2048]);
        let mut parts = [
            IoSliceMut::new(&mut header),
            IoSliceMut::new(&mut head),
            IoSliceMut::new(&mut tail),
        ];
        let len = queue.recv(&mut parts).map_err(|error| error.to_string())?;
        let is_reply = len == TAP_HEADER_LEN + 42 && head[12..14] == [8, 6] && head[21] == 2;
        if is_reply && head[22..28] == [2, 0, 0, 0, 0, 9] {
            Ok(())
        } else {
            Err(format!("{len} bytes {head:?}"))
        }
    });
}

#[test]
fn a_tap_is_set_up_in_its_namespace_and_survives_until_it_is_removed() {
    if !is_permitted() {
        return;
    }
    let pod = Namespace::new("pod");
    let tap = Tap::open(&config(&pod)).unwrap();
    assert_eq!((tap.host().mac, tap.host().mtu), ([2, 0, 0, 0, 0, 9], 1450));
    expect_arp_reply(&tap.queues()[0]);

    drop(tap);
    pod.run("ip addr add 10.9.7.7/32 dev eth0");
    let tap = Tap::open(&config(&pod)).unwrap();
    expect_arp_reply(&tap.queues()[0]);
    let addresses = pod.run("ip addr show dev eth0");
    for address in ["10.9.0.2/24", "fd09::2/64", "10.9.7.7/32"] {
        assert!(addresses.contains(address), "{address} in {addresses}");
    }
    assert!(
        pod.run("ip route")
            .contains("default via 10.9.0.1 dev eth0")
    );
    assert!(
        pod.run("ip -6 route")
            .contains("default via fd09::1 dev eth0")
    );

    tap.remove();
    assert!(!pod.try_run("ip link show dev eth0").status.success());
}

#[test]
fn a_tap_in_a_namespace_that_does_not_exist_is_refused() {
    let config = TapConfig {
        host_namespace: "/run/netns/no-such".into(),
        ..TapConfig::default()
    };
    assert_eq!(
        Tap::open(&config).unwrap_err().kind(),
        std::io::ErrorKind::NotFound
    );
}
