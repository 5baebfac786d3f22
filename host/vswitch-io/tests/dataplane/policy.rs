//! Network policies between pods with real kernels.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recv, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use packet::{ipv4, proto, sctp};
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::npol::{
    NpolConfigurePolicies, NpolPolicyCreate, NpolPolicyDefault, NpolPolicyItem, NpolRule,
    NpolRuleAction, NpolRuleCreate,
};

use crate::lab::{Namespace, is_permitted, wait_for};
use crate::switch::{PodConfig, Switch};
use crate::traffic::{expect_ping, transfer};

/// How long to wait for what must not come.
const SILENCE: Duration = Duration::from_millis(1500);

const A: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 2);
const B: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 2);

/// Chunk types of SCTP.
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;

/// Pod `a` may begin anything, nobody may begin anything towards it. Pod `b` is free.
async fn guarded_pods() -> (Switch, Namespace, Namespace, InterfaceIndex) {
    let (a, b) = (Namespace::new("a"), Namespace::new("b"));
    let switch = Switch::start(None, 2).await;
    let mut taps = Vec::new();
    for (pod, n) in [(&a, 1), (&b, 2)] {
        let tap = switch.tap(pod, &PodConfig::routed(n)).await;
        switch.address(tap, &format!("10.1.{n}.1/24")).await;
        switch.address(tap, &format!("fd01:{n}::1/64")).await;
        taps.push(tap);
    }
    expect_ping(&b, "10.1.1.2");
    guard(&switch, taps[0], NpolRuleAction::Allow).await;
    (switch, a, b, taps[0])
}

/// Lets the pod behind `tap` begin what `action` says, and nobody begin anything towards it.
async fn guard(switch: &Switch, tap: InterfaceIndex, action: NpolRuleAction) {
    let rule = NpolRule {
        action,
        ..NpolRule::default()
    };
    let rule_id = switch
        .api
        .request(&NpolRuleCreate { rule })
        .await
        .unwrap()
        .rule_id;
    let rules = vec![NpolPolicyItem {
        is_inbound: true,
        rule_id,
    }];
    let policy_id = switch
        .api
        .request(&NpolPolicyCreate { rules })
        .await
        .unwrap()
        .policy_id;
    let configure = NpolConfigurePolicies {
        sw_if_index: tap.0,
        num_rx_policies: 1,
        policy_default_rx: NpolPolicyDefault::Deny,
        policy_default_tx: NpolPolicyDefault::Deny,
        policy_ids: vec![policy_id],
        ..NpolConfigurePolicies::default()
    };
    switch.api.request(&configure).await.unwrap();
}

#[tokio::test]
async fn a_pod_that_may_go_out_gets_answers_and_no_visitors() {
    if !is_permitted() {
        return;
    }
    let (switch, a, b, _) = guarded_pods().await;
    expect_ping(&a, "10.1.2.2");
    expect_ping(&a, "fd01:2::2");
    transfer(&a, &b, B.into(), 8 << 20);
    transfer(&a, &b, "fd01:2::2".parse().unwrap(), 1 << 20);
    assert!(!b.try_run("ping -n -c 1 -W 1 10.1.1.2").status.success());
    let listener = a.enter(|| TcpListener::bind((A, 0)).unwrap());
    let door = listener.local_addr().unwrap();
    let visit = b.enter(|| TcpStream::connect_timeout(&door, SILENCE));
    assert!(visit.is_err(), "{visit:?}");
    let shown = switch.cli("show npol interfaces").await;
    assert!(shown.contains("tap0"), "{shown}");
    let errors = switch.cli("show errors").await;
    assert!(errors.contains("denied by policy"), "{errors}");
}

#[tokio::test]
async fn a_reset_reaches_the_pod_and_ends_the_flow() {
    if !is_permitted() {
        return;
    }
    let (switch, a, _b, _) = guarded_pods().await;
    expect_ping(&a, "10.1.2.2");
    let closed = SocketAddr::from((B, 9));
    let refused = a.enter(|| TcpStream::connect_timeout(&closed, Duration::from_secs(10)));
    let kind = refused.map(drop).map_err(|error| error.kind());
    assert_eq!(kind, Err(std::io::ErrorKind::ConnectionRefused));
    let is_known = |shown: &str| shown.lines().any(|line| line.ends_with(" port 9"));
    let shown = switch.cli("show npol flows").await;
    assert!(is_known(&shown), "{shown}");
    let deadline = Instant::now() + Duration::from_secs(18);
    loop {
        let shown = switch.cli("show npol flows").await;
        if !is_known(&shown) {
            break;
        }
        assert!(Instant::now() < deadline, "{shown}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_new_policy_stops_a_connection_that_is_open() {
    if !is_permitted() {
        return;
    }
    let (switch, a, b, tap) = guarded_pods().await;
    expect_ping(&a, "10.1.2.2");
    let listener = b.enter(|| TcpListener::bind((B, 0)).unwrap());
    let address = listener.local_addr().unwrap();
    let mut out = a.enter(|| TcpStream::connect_timeout(&address, SILENCE).unwrap());
    let (mut at_b, _) = listener.accept().unwrap();
    at_b.set_read_timeout(Some(SILENCE)).unwrap();
    out.set_read_timeout(Some(SILENCE)).unwrap();
    let mut byte = [0];
    out.write_all(b"1").unwrap();
    at_b.read_exact(&mut byte).unwrap();
    guard(&switch, tap, NpolRuleAction::Deny).await;
    out.write_all(b"2").unwrap();
    assert!(
        at_b.read_exact(&mut byte).is_err(),
        "the flow is not stopped"
    );
    at_b.write_all(b"3").unwrap();
    assert!(
        out.read_exact(&mut byte).is_err(),
        "the flow is not stopped"
    );
    // Allowed again, both sides send what they still have.
    guard(&switch, tap, NpolRuleAction::Allow).await;
    at_b.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    at_b.read_exact(&mut byte).unwrap();
    assert_eq!(byte, *b"2");
}

#[tokio::test]
async fn sctp_opens_from_the_inside_only() {
    if !is_permitted() {
        return;
    }
    let (_switch, a, b, _) = guarded_pods().await;
    expect_ping(&a, "10.1.2.2");
    let (at_a, at_b) = (Raw::new(&a), Raw::new(&b));
    at_b.send(B, A, INIT);
    assert!(!at_a.hears(B, INIT, SILENCE), "an association from outside");
    at_b.send(B, A, INIT_ACK);
    assert!(!at_a.hears(B, INIT_ACK, SILENCE), "an answer to nothing");
    wait_for("INIT at b", || {
        at_a.send(A, B, INIT);
        at_b.hears(A, INIT, SILENCE).then_some(()).ok_or("silence")
    });
    at_b.send(B, A, INIT_ACK);
    assert!(at_a.hears(B, INIT_ACK, SILENCE));
    at_b.send(B, A, INIT);
    assert!(!at_a.hears(B, INIT, SILENCE), "an association over another");
}

/// SCTP packets by hand: the kernel need not know the protocol.
struct Raw {
    out: OwnedFd,
    heard: OwnedFd,
}

impl Raw {
    fn new(pod: &Namespace) -> Self {
        pod.enter(|| {
            let open = |family, kind, protocol| {
                socket(family, kind, SockFlag::SOCK_CLOEXEC, protocol).unwrap()
            };
            Self {
                out: open(AddressFamily::Inet, SockType::Raw, SockProtocol::Raw),
                heard: open(
                    AddressFamily::Packet,
                    SockType::Datagram,
                    SockProtocol::EthAll,
                ),
            }
        })
    }

    fn send(&self, src: Ipv4Addr, dst: Ipv4Addr, chunk: u8) {
        let mut packet = [0; ipv4::HEADER_LEN + sctp::HEADER_LEN + 4];
        let header = ipv4::Header {
            tos: 0,
            total_len: u16::try_from(packet.len()).unwrap(),
            ident: 1,
            fragment_word: 0,
            ttl: 64,
            protocol: proto::SCTP,
            src,
            dst,
        };
        header.emit(&mut packet);
        let (_, payload) = packet.split_at_mut(ipv4::HEADER_LEN);
        sctp::Sctp {
            src_port: 36412,
            dst_port: 36412,
            tag: 0,
            checksum: 0,
        }
        .emit(payload);
        payload[sctp::HEADER_LEN] = chunk;
        payload[sctp::HEADER_LEN + 3] = 4;
        let [x, y, z, w] = dst.octets();
        let to = SockaddrIn::new(x, y, z, w, 0);
        let sent = sendto(self.out.as_raw_fd(), &packet, &to, MsgFlags::empty());
        assert_eq!(sent, Ok(packet.len()));
    }

    /// Waits for a packet with this first chunk from `src`.
    fn hears(&self, src: Ipv4Addr, chunk: u8, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let tick = TimeVal::milliseconds(100);
        setsockopt(&self.heard, sockopt::ReceiveTimeout, &tick).unwrap();
        while Instant::now() < deadline {
            let mut bytes = [0; 128];
            let Ok(len) = recv(self.heard.as_raw_fd(), &mut bytes, MsgFlags::empty()) else {
                continue;
            };
            let Ok(ip) = ipv4::Ipv4::new_checked(&bytes[..len]) else {
                continue;
            };
            let first = ip.payload().get(sctp::HEADER_LEN).copied();
            if ip.protocol() == proto::SCTP && ip.src() == src && first == Some(chunk) {
                return true;
            }
        }
        false
    }
}
