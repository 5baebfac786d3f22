//! Death and rebirth of the process.

use vpp_api::interface_types::InterfaceIndex;
use vpp_api::tapv2::{SwInterfaceTapV2Dump, TapDeleteV2};

use crate::lab::{Namespace, is_permitted};
use crate::switch::{PodConfig, Switch};
use crate::traffic::expect_ping;

async fn connect_pods(switch: &Switch, pods: &[(&Namespace, u8)]) {
    for (pod, n) in pods {
        let tap = switch.tap(pod, &PodConfig::routed(*n)).await;
        switch.address(tap, &format!("10.1.{n}.1/24")).await;
    }
}

#[tokio::test]
async fn pods_keep_interface_and_addresses_when_the_switch_is_killed() {
    if !is_permitted() {
        return;
    }
    let (a, b) = (Namespace::new("a"), Namespace::new("b"));
    let mut switch = Switch::start(None, 1).await;
    connect_pods(&switch, &[(&a, 1), (&b, 2)]).await;
    expect_ping(&a, "10.1.2.2");
    a.run("ip addr add 192.0.2.9/32 dev eth0");
    let before = a.run("ip -o link show dev eth0");

    switch.kill_and_restart().await;
    let index = |link: &str| link.split(':').next().map(str::to_owned);
    assert_eq!(
        index(&a.run("ip -o link show dev eth0")),
        index(&before),
        "eth0 is another interface now"
    );
    connect_pods(&switch, &[(&a, 1), (&b, 2)]).await;
    expect_ping(&a, "10.1.2.2");
    expect_ping(&b, "10.1.1.2");
    assert!(a.run("ip addr show dev eth0").contains("192.0.2.9/32"));
}

#[tokio::test]
async fn the_tap_of_a_pod_that_vanished_can_be_deleted() {
    if !is_permitted() {
        return;
    }
    let (a, b) = (Namespace::new("a"), Namespace::new("b"));
    let switch = Switch::start(None, 1).await;
    connect_pods(&switch, &[(&a, 1), (&b, 2)]).await;
    expect_ping(&a, "10.1.2.2");
    drop(b);
    let taps = switch
        .api
        .dump(&SwInterfaceTapV2Dump::default())
        .await
        .unwrap();
    let sw_if_index = InterfaceIndex(taps.iter().find(|tap| tap.id == 1).unwrap().sw_if_index);
    switch
        .api
        .request(&TapDeleteV2 { sw_if_index })
        .await
        .unwrap();
    assert!(!a.try_run("ping -n -c 1 -W 1 10.1.2.2").status.success());
    expect_ping(&a, "10.1.1.1");
}
