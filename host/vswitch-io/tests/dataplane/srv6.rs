//! Segment routing with Linux at the other end: encapsulation and decapsulation on either side.
//!
//! ```text
//! pod (tap) --- switch --- up0 --- host (Linux) --- f0 --- far
//! ```
//! SIDs of the switch are in fc01::/16, of Linux in fc02::/16, micro-SIDs in fc03::/32.

use std::net::{IpAddr, Ipv6Addr};

use vpp_api::fib_types::{FibPath, FibPathNh, FibPathNhProto};
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::ip::{IpRoute, IpRouteAddDel};
use vpp_api::sr::{
    SrLocalsidAddDel, SrLocalsidAddDelV2, SrLocalsidsWithPacketStatsDump, SrPolicyAdd, SrPolicyDel,
    SrSetEncapSource, SrSteeringAddDel, Srv6SidList,
};
use vpp_api::sr_types::{SrBehavior, SrSteer};

use crate::lab::{Namespace, is_permitted, run};
use crate::switch::{PodConfig, Switch, prefix};
use crate::traffic::{expect_ping, transfer};

const TRANSFER: usize = 8 << 20;

struct Lab {
    switch: Switch,
    _node: Namespace,
    host: Namespace,
    far: Namespace,
    pod: Namespace,
    tap: InterfaceIndex,
}

/// Joins two namespaces by a link with these names.
fn wire(left: (&Namespace, &str), right: (&Namespace, &str)) {
    let link = [
        "link",
        "add",
        left.1,
        "netns",
        &left.0.name,
        "type",
        "veth",
        "peer",
        "name",
        right.1,
        "netns",
        &right.0.name,
    ];
    run("ip", &link);
}

async fn lab() -> Lab {
    let [node, host, far, pod] = ["node", "host", "far", "pod"].map(Namespace::new);
    wire((&node, "up0"), (&host, "up0"));
    wire((&host, "f0"), (&far, "f0"));
    node.run("sysctl -q -w net.ipv6.conf.up0.disable_ipv6=1");
    for setting in [
        "ipv4.ip_forward",
        "ipv6.conf.all.forwarding",
        "ipv6.conf.all.seg6_enabled",
        "ipv6.conf.up0.seg6_enabled",
    ] {
        host.run(&format!("sysctl -q -w net.{setting}=1"));
    }
    node.run("ip link set up0 up");
    host.run("ip link set up0 up");
    // What is inside must leave room for the headers of a path.
    for end in [&host, &far] {
        end.run("ip link set f0 mtu 1380 up");
    }
    host.run("ip addr add 2001:db8:5::2/64 dev up0 nodad");
    host.run("ip addr add 10.5.0.1/24 dev f0");
    host.run("ip addr add fd05::1/64 dev f0 nodad");
    far.run("ip addr add 10.5.0.2/24 dev f0");
    far.run("ip addr add fd05::2/64 dev f0 nodad");
    far.run("ip route add default via 10.5.0.1");
    far.run("ip -6 route add default via fd05::1");
    host.run("ip sr tunsrc set 2001:db8:5::2");
    for to in ["fc01::/16", "fc03:0:d::/48"] {
        host.run(&format!("ip -6 route add {to} via 2001:db8:5::1"));
    }
    let switch = Switch::start(Some(&node), 1).await;
    let uplink = switch.af_packet("up0").await;
    switch.address(uplink, "2001:db8:5::1/64").await;
    let config = PodConfig {
        mtu: 1380,
        ..PodConfig::routed(1)
    };
    let tap = switch.tap(&pod, &config).await;
    switch.address(tap, "10.1.1.1/24").await;
    switch.address(tap, "fd01:1::1/64").await;
    for to in ["fc02::/16", "fc03:0:e::/48"] {
        route(&switch, to, "2001:db8:5::2", uplink).await;
    }
    let encaps_source = sid("2001:db8:5::1");
    switch
        .api
        .request(&SrSetEncapSource { encaps_source })
        .await
        .unwrap();
    Lab {
        switch,
        _node: node,
        host,
        far,
        pod,
        tap,
    }
}

async fn route(switch: &Switch, to: &str, via: &str, on: InterfaceIndex) {
    let path = FibPath {
        sw_if_index: on.0,
        weight: 1,
        proto: FibPathNhProto::Ip6,
        nh: FibPathNh {
            address: via.parse::<IpAddr>().unwrap().into(),
            ..FibPathNh::default()
        },
        ..FibPath::default()
    };
    let request = IpRouteAddDel {
        is_add: true,
        route: IpRoute {
            prefix: prefix(to),
            paths: vec![path],
            ..IpRoute::default()
        },
        ..IpRouteAddDel::default()
    };
    switch.api.request(&request).await.unwrap();
}

fn sid(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

async fn localsid(switch: &Switch, at: &str, behavior: SrBehavior, on: u32, nh: &str) {
    let request = SrLocalsidAddDel {
        localsid: sid(at),
        behavior,
        sw_if_index: InterfaceIndex(on),
        nh_addr: nh.parse().unwrap(),
        ..SrLocalsidAddDel::default()
    };
    switch.api.request(&request).await.unwrap();
}

async fn policy(switch: &Switch, bsid: &str, is_encap: bool, path: &[&str]) {
    let mut sids = Srv6SidList {
        num_sids: u8::try_from(path.len()).unwrap(),
        weight: 1,
        ..Srv6SidList::default()
    };
    for (to, from) in sids.sids.iter_mut().zip(path) {
        *to = sid(from);
    }
    let request = SrPolicyAdd {
        bsid_addr: sid(bsid),
        is_encap,
        sids,
        ..SrPolicyAdd::default()
    };
    switch.api.request(&request).await.unwrap();
}

async fn steer(switch: &Switch, to: &str, bsid: &str) {
    let prefix = prefix(to);
    let request = SrSteeringAddDel {
        bsid_addr: sid(bsid),
        traffic_type: if prefix.address.is_ipv6() {
            SrSteer::Ipv6
        } else {
            SrSteer::Ipv4
        },
        prefix,
        ..SrSteeringAddDel::default()
    };
    switch.api.request(&request).await.unwrap();
}

/// Packets that local SID `at` took and refused.
async fn counted(switch: &Switch, at: &str) -> (u64, u64) {
    let all = switch
        .api
        .dump(&SrLocalsidsWithPacketStatsDump {})
        .await
        .unwrap();
    let of = all.iter().find(|details| details.addr == sid(at)).unwrap();
    (of.good_traffic_pkt_count, of.bad_traffic_pkt_count)
}

/// Pings and bulk data both ways, over both versions of IP.
fn exercise(lab: &Lab) {
    for (near, far) in [("10.1.1.2", "10.5.0.2"), ("fd01:1::2", "fd05::2")] {
        expect_ping(&lab.pod, far);
        expect_ping(&lab.far, near);
        transfer(&lab.pod, &lab.far, far.parse().unwrap(), TRANSFER);
        transfer(&lab.far, &lab.pod, near.parse().unwrap(), TRANSFER);
    }
}

#[tokio::test]
async fn linux_takes_out_what_we_encapsulate_and_we_what_it_does() {
    if !is_permitted() {
        return;
    }
    let lab = lab().await;
    let (switch, host) = (&lab.switch, &lab.host);
    host.run("ip -6 route add fc02::e encap seg6local action End dev up0");
    host.run("ip -6 route add fc02::6 encap seg6local action End.DT6 table 254 dev up0");
    host.run("ip -6 route add fc02::4 encap seg6local action End.DX4 nh4 10.5.0.2 dev up0");
    host.run("ip route add 10.1.1.0/24 encap seg6 mode encap segs fc01::e,fc01::4 dev up0");
    host.run("ip -6 route add fd01:1::/64 encap seg6 mode encap segs fc01::e,fc01::6 dev up0");
    localsid(switch, "fc01::e", SrBehavior::End, 0, "::").await;
    localsid(switch, "fc01::4", SrBehavior::Dt4, 0, "::").await;
    localsid(switch, "fc01::6", SrBehavior::Dt6, 0, "::").await;
    policy(switch, "fc0b::4", true, &["fc02::e", "fc02::4"]).await;
    policy(switch, "fc0b::6", true, &["fc02::e", "fc02::6"]).await;
    steer(switch, "10.5.0.0/24", "fc0b::4").await;
    steer(switch, "fd05::/64", "fc0b::6").await;
    exercise(&lab);
    for at in ["fc01::e", "fc01::4", "fc01::6"] {
        let (good, bad) = counted(switch, at).await;
        assert!(good > 50 && bad == 0, "{at}: {good} good, {bad} bad");
    }
}

#[tokio::test]
async fn cross_connects_and_single_segments_work_with_linux() {
    if !is_permitted() {
        return;
    }
    let lab = lab().await;
    let (switch, host, tap) = (&lab.switch, &lab.host, lab.tap.0);
    host.run("ip -6 route add fc02::6 encap seg6local action End.DX6 nh6 fd05::2 dev up0");
    host.run("ip -6 route add fc02::4 encap seg6local action End.DX4 nh4 10.5.0.2 dev up0");
    host.run("ip route add 10.1.1.0/24 encap seg6 mode encap.red segs fc01::e,fc01::4 dev up0");
    host.run("ip -6 route add fd01:1::/64 encap seg6 mode encap.red segs fc01::6 dev up0");
    localsid(switch, "fc01::e", SrBehavior::End, 0, "::").await;
    localsid(switch, "fc01::4", SrBehavior::Dx4, tap, "10.1.1.2").await;
    localsid(switch, "fc01::6", SrBehavior::Dx6, tap, "fd01:1::2").await;
    policy(switch, "fc0b::4", true, &["fc02::4"]).await;
    policy(switch, "fc0b::6", true, &["fc02::6"]).await;
    steer(switch, "10.5.0.0/24", "fc0b::4").await;
    steer(switch, "fd05::/64", "fc0b::6").await;
    exercise(&lab);
}

#[tokio::test]
async fn headers_are_inserted_on_either_side() {
    if !is_permitted() {
        return;
    }
    let lab = lab().await;
    let (switch, host) = (&lab.switch, &lab.host);
    host.run("ip -6 route add fc02::e encap seg6local action End flavors psp dev up0");
    host.run("ip -6 route add fd01:1::/64 encap seg6 mode inline segs fc01::e dev up0");
    let psp = SrLocalsidAddDel {
        localsid: sid("fc01::e"),
        behavior: SrBehavior::End,
        end_psp: true,
        ..SrLocalsidAddDel::default()
    };
    switch.api.request(&psp).await.unwrap();
    policy(switch, "fc0b::6", false, &["fc02::e"]).await;
    steer(switch, "fd05::/64", "fc0b::6").await;
    expect_ping(&lab.pod, "fd05::2");
    expect_ping(&lab.far, "fd01:1::2");
    transfer(&lab.pod, &lab.far, "fd05::2".parse().unwrap(), TRANSFER);
    transfer(&lab.far, &lab.pod, "fd01:1::2".parse().unwrap(), TRANSFER);
    // Bulk data comes in super-frames.
    assert!(counted(switch, "fc01::e").await.0 > 50);
}

/// A packet of the pod goes to Linux, which acts on its first segment, comes back, and is taken out for another pod.
#[tokio::test]
async fn linux_passes_on_what_we_encapsulate() {
    if !is_permitted() {
        return;
    }
    let lab = lab().await;
    let (switch, host) = (&lab.switch, &lab.host);
    let other = Namespace::new("other");
    let tap = switch.tap(&other, &PodConfig::routed(2)).await;
    switch.address(tap, "10.1.2.1/24").await;
    // Steering its address below keeps it from being learned as a neighbour.
    expect_ping(&other, "10.1.2.1");
    localsid(switch, "fc01::4", SrBehavior::Dx4, tap.0, "10.1.2.2").await;
    let last = SrLocalsidAddDelV2 {
        localsid: sid("fc03:0:d::"),
        behavior: SrBehavior::Dx4,
        sw_if_index: tap,
        nh_addr: "10.1.2.2".parse().unwrap(),
        locator_block_len: 32,
        locator_node_len: 16,
        ..SrLocalsidAddDelV2::default()
    };
    switch.api.request(&last).await.unwrap();
    localsid(switch, "fc03:0:1::", SrBehavior::Un, 0, "::").await;
    let actions = [
        ("fc02::1", "End", "fc02::1 fc01::4"),
        ("fc02::2", "End flavors psp", "fc02::2 fc01::4"),
        ("fc02::3", "End.X nh6 2001:db8:5::1", "fc02::3 fc01::4"),
        ("fc02::4", "End.T table 254", "fc02::4 fc01::4"),
        (
            "fc03:0:e::/48",
            "End flavors next-csid lblen 32 nflen 16",
            "fc03:0:e:d::",
        ),
        (
            "fc03:0:e::/48",
            "End flavors next-csid lblen 32 nflen 16",
            "fc03:0:1:e:d::",
        ),
    ];
    for (at, action, path) in actions {
        host.run(&format!(
            "ip -6 route replace {at} encap seg6local action {action} dev up0"
        ));
        let path: Vec<&str> = path.split(' ').collect();
        policy(switch, "fc0b::1", true, &path).await;
        steer(switch, "10.1.2.2/32", "fc0b::1").await;
        expect_ping(&lab.pod, "10.1.2.2");
        transfer(&lab.pod, &other, "10.1.2.2".parse().unwrap(), TRANSFER / 4);
        let bsid_addr = sid("fc0b::1");
        let del = SrPolicyDel {
            bsid_addr,
            ..SrPolicyDel::default()
        };
        switch.api.request(&del).await.unwrap();
    }
    for at in ["fc01::4", "fc03:0:d::", "fc03:0:1::"] {
        let (good, bad) = counted(switch, at).await;
        assert!(good > 5 && bad == 0, "{at}: {good} good, {bad} bad");
    }
}

#[tokio::test]
async fn frames_cross_to_linux_and_back() {
    if !is_permitted() {
        return;
    }
    let lab = lab().await;
    let (switch, host, far, pod) = (&lab.switch, &lab.host, &lab.far, &lab.pod);
    let mac_of = |at: &Namespace, name: &str| {
        let words = at.run(&format!("ip -o link show {name}"));
        let at = words
            .split(' ')
            .position(|word| word == "link/ether")
            .unwrap();
        words.split(' ').nth(at + 1).unwrap().to_owned()
    };
    // Linux keeps the destination address of a frame that it encapsulates, which is its own: it must be the pod's.
    let (pod_mac, far_mac) = (mac_of(pod, "eth0"), mac_of(far, "f0"));
    host.run("ip link set f0 down");
    host.run(&format!("ip link set f0 address {pod_mac} up"));
    pod.run("ip addr add 10.9.0.2/24 dev eth0");
    pod.run(&format!("ip neigh add 10.9.0.5 lladdr {far_mac} dev eth0"));
    far.run("ip addr add 10.9.0.5/24 dev f0");
    far.run(&format!("ip neigh add 10.9.0.2 lladdr {pod_mac} dev f0"));
    host.run("ip -6 route add fc02::2 encap seg6local action End.DX2 oif f0 dev up0");
    host.run("ip route add 10.9.0.2 encap seg6 mode l2encap segs fc01::2 dev up0");
    localsid(switch, "fc01::2", SrBehavior::Dx2, lab.tap.0, "::").await;
    policy(switch, "fc0b::2", true, &["fc02::2"]).await;
    let steering = SrSteeringAddDel {
        bsid_addr: sid("fc0b::2"),
        sw_if_index: lab.tap,
        traffic_type: SrSteer::L2,
        ..SrSteeringAddDel::default()
    };
    switch.api.request(&steering).await.unwrap();
    expect_ping(pod, "10.9.0.5");
    transfer(pod, far, "10.9.0.5".parse().unwrap(), TRANSFER);
    transfer(far, pod, "10.9.0.2".parse().unwrap(), TRANSFER);
}
