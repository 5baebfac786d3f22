//! Death and rebirth of the process.

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
