//! Linux interfaces of other kinds: behind express data path sockets, and without link headers.

use std::time::{Duration, Instant};

use vpp_api::af_packet::{AfPacketCreateV3, AfPacketMode};
use vpp_api::af_xdp::{AfXdpCreateV3, AfXdpDelete, AfXdpMode};
use vpp_api::interface::SwInterfaceDump;
use vpp_api::interface_types::{IfStatusFlags, InterfaceIndex};
use vpp_api::ip::{IpRoute, IpRouteAddDel};
use vpp_api::tapv2::{TapCreateV3, TapFlags};
use vpp_api::{ApiError, FixedString};
use vpp_api_client::RequestError;

use crate::lab::{Namespace, is_permitted};
use crate::switch::{PodConfig, Switch, prefix};
use crate::traffic::{expect_ping, transfer};

fn xdp(host_if: &str) -> AfXdpCreateV3 {
    AfXdpCreateV3 {
        host_if: FixedString::new(host_if).unwrap(),
        rxq_num: 2,
        rxq_size: 128,
        txq_size: 128,
        ..AfXdpCreateV3::default()
    }
}

/// Two pods behind veths with two queues, whose other ends are in the namespace of the dataplane.
fn veths(node: &Namespace) -> [Namespace; 2] {
    [1, 2].map(|n| {
        let pod = Namespace::new("pod");
        let (outer, inner) = (&node.name, &pod.name);
        node.run(&format!(
            "ip link add veth{n} netns {outer} numrxqueues 2 numtxqueues 2 type veth \
             peer name eth0 netns {inner} numrxqueues 2 numtxqueues 2"
        ));
        pod.run(&format!("ip addr add 10.3.{n}.2/24 dev eth0"));
        pod.run("ip link set eth0 up");
        pod.run(&format!("ip route add default via 10.3.{n}.1"));
        pod
    })
}

#[tokio::test]
async fn frames_pass_express_data_path_sockets_past_the_end_of_their_rings() {
    if !is_permitted() {
        return;
    }
    let node = Namespace::new("node");
    let [a, b] = veths(&node);
    let switch = Switch::start(Some(&node), 2).await;
    let mut made = Vec::new();
    for (n, mode) in [(1, AfXdpMode::Auto), (2, AfXdpMode::Copy)] {
        let name = format!("veth{n}");
        let request = AfXdpCreateV3 { mode, ..xdp(&name) };
        let sw_if_index = switch.api.request(&request).await.unwrap().sw_if_index;
        switch.up(sw_if_index).await;
        switch.address(sw_if_index, &format!("10.3.{n}.1/24")).await;
        made.push(sw_if_index);
    }
    for pod in [&a, &b] {
        expect_ping(pod, "10.3.1.1");
    }
    // `ping` looks at every byte of an answer.
    for size in [18, 150, 1472] {
        let flood = a.run(&format!(
            "ping -n -q -c 700 -i 0.001 -s {size} -W 2 10.3.2.2"
        ));
        assert!(flood.contains(" 0% packet loss"), "{size} bytes: {flood}");
        assert!(!flood.contains("errors"), "{flood}");
    }
    let placed = switch.cli("show interface placement").await;
    assert_eq!(placed.matches("veth1/0 queue").count(), 2, "{placed}");
    let again = switch.api.request(&xdp("veth1")).await.unwrap_err();
    assert!(is_refused(&again, ApiError::IfAlreadyExists), "{again:?}");
    for sw_if_index in made {
        let delete = AfXdpDelete { sw_if_index };
        switch.api.request(&delete).await.unwrap();
    }
    // It is Linux's again.
    node.run("ip addr add 10.3.1.1/24 dev veth1");
    a.run("ip neigh flush dev eth0");
    expect_ping(&a, "10.3.1.1");
}

/// Waits until the dataplane says so of a link.
async fn expect_link(switch: &Switch, sw_if_index: InterfaceIndex, is_up: bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let dump = SwInterfaceDump {
            sw_if_index,
            ..SwInterfaceDump::default()
        };
        let found = switch.api.dump(&dump).await.unwrap();
        let flags = found[0].flags;
        if flags.contains(IfStatusFlags::LINK_UP) == is_up {
            return;
        }
        assert!(Instant::now() < deadline, "{flags:?}, is_up {is_up}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_express_data_path_socket_follows_its_interface_down_up_away_and_back() {
    if !is_permitted() {
        return;
    }
    let node = Namespace::new("node");
    let [a, _b] = veths(&node);
    let switch = Switch::start(Some(&node), 1).await;
    let on = switch.api.request(&xdp("veth1")).await.unwrap().sw_if_index;
    switch.up(on).await;
    switch.address(on, "10.3.1.1/24").await;
    expect_link(&switch, on, true).await;
    expect_ping(&a, "10.3.1.1");
    a.run("ip link set eth0 down");
    expect_link(&switch, on, false).await;
    a.run("ip link set eth0 up");
    expect_link(&switch, on, true).await;
    expect_ping(&a, "10.3.1.1");

    a.run("ip link del eth0");
    expect_link(&switch, on, false).await;
    node.run("ip link del veth2");
    let [again, _b] = veths(&node);
    expect_link(&switch, on, true).await;
    expect_ping(&again, "10.3.1.1");
}

#[tokio::test]
async fn an_express_data_path_socket_needs_an_interface_and_rings_that_exist() {
    if !is_permitted() {
        return;
    }
    let switch = Switch::start(None, 1).await;
    let odd = AfXdpCreateV3 {
        rxq_size: 100,
        ..xdp("lo")
    };
    let program = AfXdpCreateV3 {
        prog: FixedString::new("own.o").unwrap(),
        ..xdp("lo")
    };
    for (request, code) in [
        (xdp("nowhere"), ApiError::InvalidInterface),
        (odd, ApiError::InvalidValue),
        (program, ApiError::Unsupported),
    ] {
        let answer = switch.api.request(&request).await.unwrap_err();
        assert!(is_refused(&answer, code), "{answer:?}");
    }
    let sw_if_index = InterfaceIndex(0);
    assert!(
        switch
            .api
            .request(&AfXdpDelete { sw_if_index })
            .await
            .is_err()
    );
}

fn is_refused(answer: &RequestError, code: ApiError) -> bool {
    matches!(answer, RequestError::Refused { error, .. } if *error == code)
}

/// Sends everything for 10.1.0.0/16 to an interface without neighbours.
async fn route(switch: &Switch, net: &str, on: InterfaceIndex) {
    let path = vpp_api::fib_types::FibPath {
        sw_if_index: on.0,
        weight: 1,
        ..vpp_api::fib_types::FibPath::default()
    };
    let route = IpRoute {
        prefix: prefix(net),
        paths: vec![path],
        ..IpRoute::default()
    };
    let request = IpRouteAddDel {
        is_add: true,
        route,
        ..IpRouteAddDel::default()
    };
    switch.api.request(&request).await.unwrap();
}

#[tokio::test]
async fn a_packet_socket_carries_bare_ip_of_an_interface_without_link_headers() {
    if !is_permitted() {
        return;
    }
    let (node, a, b) = (
        Namespace::new("node"),
        Namespace::new("a"),
        Namespace::new("b"),
    );
    // The tun of one dataplane is the Linux interface of the other.
    let near = Switch::start(None, 1).await;
    let request = TapCreateV3 {
        tap_flags: TapFlags::TUN,
        host_namespace_set: true,
        host_namespace: FixedString::new(&node.path().to_string_lossy()).unwrap(),
        host_if_name_set: true,
        host_if_name: FixedString::new("tun7").unwrap(),
        ..TapCreateV3::default()
    };
    let tun = near.api.request(&request).await.unwrap().sw_if_index;
    let far = Switch::start(Some(&node), 1).await;
    let request = AfPacketCreateV3 {
        mode: AfPacketMode::Ip,
        host_if_name: FixedString::new("tun7").unwrap(),
        ..AfPacketCreateV3::default()
    };
    let bare = far.api.request(&request).await.unwrap().sw_if_index;
    for (switch, link, pod, n, other) in [(&near, tun, &a, 1, 2), (&far, bare, &b, 2, 1)] {
        switch.up(link).await;
        switch.address(link, &format!("10.7.0.{n}/24")).await;
        let tap = switch.tap(pod, &PodConfig::routed(n)).await;
        switch.address(tap, &format!("10.1.{n}.1/24")).await;
        route(switch, &format!("10.1.{other}.0/24"), link).await;
    }
    expect_ping(&a, "10.1.2.2");
    transfer(&a, &b, "10.1.2.2".parse().unwrap(), 4 << 20);
    transfer(&b, &a, "10.1.1.2".parse().unwrap(), 4 << 20);
}
