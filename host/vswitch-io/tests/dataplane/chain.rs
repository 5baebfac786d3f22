//! A service chain as the control plane programs it: classified packets leave a pod's tap by ABF, enter the chain's
//! first segment at a BVI, pass a CNF, and leave the last segment at another BVI.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use vpp_api::FixedString;
use vpp_api::abf::{AbfItfAttach, AbfItfAttachAddDel, AbfPolicy, AbfPolicyAddDel};
use vpp_api::acl::AclAddReplace;
use vpp_api::acl_types::{AclAction, AclRule};
use vpp_api::ethernet_types::MacAddress;
use vpp_api::fib_types::{FibPath, FibPathNh};
use vpp_api::interface::CreateLoopback;
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::ip_neighbor::{IpNeighbor, IpNeighborAddDel, IpNeighborFlags};
use vpp_api::ip_types::IpProto;
use vpp_api::l2::{L2PortType, SwInterfaceSetL2Bridge};

use crate::lab::{Namespace, is_permitted, wait_for};
use crate::memif::{Wire, master};
use crate::switch::{PodConfig, Switch, prefix};
use crate::traffic::{expect_ping, transfer_to_port};

const ENTRY: End = End {
    address: "192.168.64.0",
    mac: MacAddress([2, 0, 0, 0, 0x64, 0]),
};
const EXIT: End = End {
    address: "192.168.64.1",
    mac: MacAddress([2, 0, 0, 0, 0x64, 1]),
};

/// Where packets enter or leave the chain.
struct End {
    address: &'static str,
    mac: MacAddress,
}

/// Makes the end's BVI in bridge domain `bd_id`, next to the hop's memif.
async fn segment(switch: &Switch, bd_id: u32, end: &End, hop: InterfaceIndex) -> InterfaceIndex {
    let request = CreateLoopback {
        mac_address: end.mac,
    };
    let bvi = switch.api.request(&request).await.unwrap().sw_if_index;
    switch.bridge(bd_id, &[hop]).await;
    let request = SwInterfaceSetL2Bridge {
        rx_sw_if_index: bvi,
        bd_id,
        port_type: L2PortType::Bvi,
        enable: true,
        ..SwInterfaceSetL2Bridge::default()
    };
    switch.api.request(&request).await.unwrap();
    switch.up(bvi).await;
    switch.address(bvi, &format!("{}/32", end.address)).await;
    bvi
}

/// Sends what matches `rule` and comes in by `tap` to the other end of the chain.
async fn steer(switch: &Switch, tap: InterfaceIndex, rule: AclRule, bvi: InterfaceIndex, to: &End) {
    let ip_address: IpAddr = to.address.parse().unwrap();
    let neighbor = IpNeighbor {
        sw_if_index: bvi,
        flags: IpNeighborFlags::STATIC,
        mac_address: to.mac,
        ip_address,
    };
    switch
        .api
        .request(&IpNeighborAddDel {
            is_add: true,
            neighbor,
        })
        .await
        .unwrap();
    let tag = FixedString::new("chain").unwrap();
    let request = AclAddReplace {
        acl_index: u32::MAX,
        tag,
        r: vec![rule],
    };
    let acl_index = switch.api.request(&request).await.unwrap().acl_index;
    let path = FibPath {
        sw_if_index: bvi.0,
        weight: 1,
        nh: FibPathNh {
            address: ip_address.into(),
            ..FibPathNh::default()
        },
        ..FibPath::default()
    };
    let policy = AbfPolicy {
        policy_id: acl_index + 1,
        acl_index,
        paths: vec![path],
    };
    switch
        .api
        .request(&AbfPolicyAddDel {
            is_add: true,
            policy,
        })
        .await
        .unwrap();
    let attach = AbfItfAttach {
        policy_id: acl_index + 1,
        sw_if_index: tap,
        priority: 0,
        is_ipv6: false,
    };
    switch
        .api
        .request(&AbfItfAttachAddDel {
            is_add: true,
            attach,
        })
        .await
        .unwrap();
}

/// TCP between the two pods with port 80 on pod 2's side.
fn web(is_forward: bool) -> AclRule {
    let rule = AclRule {
        is_permit: AclAction::Permit,
        src_prefix: prefix("10.1.1.0/24"),
        dst_prefix: prefix("10.1.2.0/24"),
        proto: IpProto::Tcp,
        srcport_or_icmptype_last: u16::MAX,
        dstport_or_icmpcode_first: 80,
        dstport_or_icmpcode_last: 80,
        ..AclRule::default()
    };
    if is_forward {
        return rule;
    }
    AclRule {
        src_prefix: rule.dst_prefix,
        dst_prefix: rule.src_prefix,
        srcport_or_icmptype_first: 80,
        srcport_or_icmptype_last: 80,
        dstport_or_icmpcode_first: 0,
        dstport_or_icmpcode_last: u16::MAX,
        ..rule
    }
}

#[tokio::test]
async fn classified_traffic_passes_the_chain_both_ways_and_nothing_else_does() {
    if !is_permitted() {
        return;
    }
    let (a, b) = (Namespace::new("a"), Namespace::new("b"));
    let switch = Switch::start(None, 2).await;
    let mut taps = Vec::new();
    for (pod, n) in [(&a, 1), (&b, 2)] {
        let tap = switch.tap(pod, &PodConfig::routed(n)).await;
        switch.address(tap, &format!("10.1.{n}.1/24")).await;
        taps.push(tap);
    }
    let socket = switch.dir.path().join("memif.sock");
    let (left, right) = (
        master(&switch, &socket, 0).await,
        master(&switch, &socket, 1).await,
    );
    let entry = segment(&switch, 100, &ENTRY, left).await;
    let exit = segment(&switch, 101, &EXIT, right).await;
    steer(&switch, taps[0], web(true), entry, &EXIT).await;
    steer(&switch, taps[1], web(false), exit, &ENTRY).await;

    let cnf = Wire::start(&socket);
    expect_ping(&a, "10.1.2.2");
    assert_eq!(cnf.frames(), 0, "ping is not classified");
    let web: SocketAddr = "10.1.2.2:80".parse().unwrap();
    transfer_to_port(&a, &b, web, 4 << 20);
    let steered = settled(&cnf);
    // 4 MiB in segments of one MTU, and their acknowledgements on the way back.
    assert!(steered > (4 << 20) / 1450, "{steered} frames");
    let other: SocketAddr = "10.1.2.2:81".parse().unwrap();
    transfer_to_port(&a, &b, other, 4 << 20);
    assert_eq!(settled(&cnf), steered, "port 81 is not classified");

    drop(cnf);
    expect_ping(&a, "10.1.2.2");
    let connect = format!("exec 3<>/dev/tcp/{}/{}", web.ip(), web.port());
    let probe = [
        "netns", "exec", &a.name, "timeout", "2", "bash", "-c", &connect,
    ];
    let output = Command::new("ip").args(probe).output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(124),
        "a closed chain lets packets pass or refuses them: {output:?}"
    );
}

/// Waits until everything that is under way has passed the CNF; returns the frames that did.
fn settled(cnf: &Wire) -> u64 {
    wait_for("the CNF to be idle", || {
        let before = cnf.frames();
        std::thread::sleep(Duration::from_millis(300));
        let now = cnf.frames();
        if now == before {
            Ok(now)
        } else {
            Err(now - before)
        }
    })
}
