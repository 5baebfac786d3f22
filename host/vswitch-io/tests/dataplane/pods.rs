//! Pods on one node.

use std::net::IpAddr;

use vpp_api::interface::{SwInterfaceRxPlacementDump, SwInterfaceSetRxPlacement};
use vpp_api::interface_types::InterfaceIndex;

use crate::lab::{Namespace, is_permitted};
use crate::switch::{PodConfig, Switch};
use crate::traffic::{expect_ping, transfer};

const TRANSFER: usize = 32 << 20;

/// Two pods in subnets of their own, behind a switch.
async fn routed_pods(workers: u16, queues: u16) -> (Switch, Namespace, Namespace) {
    let (a, b) = (Namespace::new("a"), Namespace::new("b"));
    let switch = Switch::start(None, workers).await;
    for (pod, n) in [(&a, 1), (&b, 2)] {
        let tap = switch
            .tap(
                pod,
                &PodConfig {
                    queues,
                    ..PodConfig::routed(n)
                },
            )
            .await;
        switch.address(tap, &format!("10.1.{n}.1/24")).await;
        switch.address(tap, &format!("fd01:{n}::1/64")).await;
    }
    (switch, a, b)
}

#[tokio::test]
async fn two_pods_reach_each_other_over_both_families() {
    if !is_permitted() {
        return;
    }
    let (_switch, a, b) = routed_pods(1, 1).await;
    expect_ping(&a, "10.1.1.1");
    expect_ping(&a, "10.1.2.2");
    expect_ping(&b, "10.1.1.2");
    expect_ping(&a, "fd01:1::1");
    expect_ping(&a, "fd01:2::2");
    expect_ping(&b, "fd01:1::2");
}

#[tokio::test]
async fn tcp_crosses_two_taps_in_large_segments_and_unchanged() {
    if !is_permitted() {
        return;
    }
    let (switch, a, b) = routed_pods(2, 2).await;
    expect_ping(&a, "10.1.2.2");
    expect_ping(&a, "fd01:2::2");
    transfer(&a, &b, "10.1.2.2".parse::<IpAddr>().unwrap(), TRANSFER);
    transfer(&b, &a, "fd01:1::2".parse::<IpAddr>().unwrap(), TRANSFER);
    let shown = switch.cli("show interface").await;
    let count = |what: &str| -> u64 {
        let value = shown
            .lines()
            .skip_while(|line| !line.starts_with("tap0"))
            .find_map(|line| {
                let (_, value) = line.split_once(what)?;
                value.trim().parse().ok()
            });
        value.unwrap_or_else(|| panic!("`{what}` of tap0 in\n{shown}"))
    };
    let mean = count("rx bytes") / count("rx packets");
    assert!(
        mean > 1450,
        "frames of tap0 are {mean} bytes on average: segmentation is not offloaded\n{shown}"
    );
}

#[tokio::test]
async fn a_bridge_domain_connects_pods_of_one_subnet() {
    if !is_permitted() {
        return;
    }
    let (a, b, c) = (
        Namespace::new("a"),
        Namespace::new("b"),
        Namespace::new("c"),
    );
    let switch = Switch::start(None, 1).await;
    let mut taps = Vec::new();
    for (pod, n) in [(&a, 1), (&b, 2), (&c, 3)] {
        taps.push(switch.tap(pod, &PodConfig::bridged(n)).await);
    }
    switch.bridge(7, &taps).await;
    expect_ping(&a, "10.2.0.2");
    expect_ping(&c, "10.2.0.1");
    transfer(&b, &c, "10.2.0.3".parse::<IpAddr>().unwrap(), 1 << 20);
    let learned = switch.cli("show l2fib").await;
    assert!(learned.contains("total/learned entries: 3/3"), "{learned}");
}

#[tokio::test]
async fn a_trace_follows_a_packet_from_tap_to_tap() {
    if !is_permitted() {
        return;
    }
    let (switch, a, _b) = routed_pods(1, 1).await;
    expect_ping(&a, "10.1.2.2");
    switch.cli("trace add tap0 10").await;
    a.run("ping -n -c 2 -W 2 10.1.2.2");
    let trace = switch.cli("show trace").await;
    assert!(
        trace.contains("Packet 1") && trace.contains("10.1.1.2 -> 10.1.2.2"),
        "{trace}"
    );
    switch.cli("clear trace").await;
    let trace = switch.cli("show trace").await;
    assert!(trace.contains("No packets"), "{trace}");
}

#[tokio::test]
async fn a_queue_moves_to_another_worker_and_keeps_working() {
    if !is_permitted() {
        return;
    }
    let (switch, a, _b) = routed_pods(2, 1).await;
    expect_ping(&a, "10.1.2.2");
    let all = SwInterfaceRxPlacementDump {
        sw_if_index: InterfaceIndex::NONE,
    };
    let placed = switch.api.dump(&all).await.unwrap();
    let workers: Vec<u32> = placed.iter().map(|queue| queue.worker_id).collect();
    assert_eq!(workers, [0, 1], "queues are spread over workers");
    for queue in &placed {
        let request = SwInterfaceSetRxPlacement {
            sw_if_index: queue.sw_if_index,
            queue_id: 0,
            worker_id: 1 - queue.worker_id,
            is_main: false,
        };
        switch.api.request(&request).await.unwrap();
    }
    expect_ping(&a, "10.1.2.2");
    let placed = switch.api.dump(&all).await.unwrap();
    assert_eq!(
        placed
            .iter()
            .map(|queue| queue.worker_id)
            .collect::<Vec<_>>(),
        [1, 0]
    );
}
