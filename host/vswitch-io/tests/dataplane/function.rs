//! Packet functions between real kernels: examples built from source, and hostile ones from text.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use memif_rs::{Address, Client, ClientConfig, Event, Limits, RxQueue, TxQueue};
use packet::{ethernet, ipv4, proto, udp};
use vpp_api::interface::{SwInterfaceDetails, SwInterfaceDump, SwInterfaceSetRxPlacement};
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::ip_neighbor::{IpNeighbor, IpNeighborAddDel, IpNeighborFlags};
use vpp_api::weft_function::{
    WeftFunctionAddReplace, WeftFunctionDel, WeftFunctionDetails, WeftFunctionDump,
    WeftFunctionInterfaceDump, WeftFunctionInterfaceSet,
};
use vpp_api::{ApiError, FixedString};
use vpp_api_client::RequestError;

use crate::lab::{Namespace, is_permitted, wait_for};
use crate::memif::master;
use crate::switch::{PodConfig, Switch};
use crate::traffic::{expect_ping, transfer, transfer_to_port};

/// Two pods behind one dataplane, which routes between them.
async fn pods(workers: u16) -> (Switch, Namespace, Namespace, [InterfaceIndex; 2]) {
    let (a, b) = (Namespace::new("a"), Namespace::new("b"));
    let switch = Switch::start(None, workers).await;
    let mut taps = [InterfaceIndex::NONE; 2];
    for (tap, (pod, n)) in taps.iter_mut().zip([(&a, 1), (&b, 2)]) {
        *tap = switch.tap(pod, &PodConfig::routed(n)).await;
        switch.address(*tap, &format!("10.1.{n}.1/24")).await;
        switch.address(*tap, &format!("fd01:{n}::1/64")).await;
    }
    expect_ping(&a, "10.1.2.2");
    (switch, a, b, taps)
}

fn request(name: &str, module: &Path) -> WeftFunctionAddReplace {
    WeftFunctionAddReplace {
        name: FixedString::new(name).unwrap(),
        module: FixedString::new(&module.to_string_lossy()).unwrap(),
        deadline_ms: 20,
        ..WeftFunctionAddReplace::default()
    }
}

async fn add(switch: &Switch, request: &WeftFunctionAddReplace) -> u32 {
    switch.api.request(request).await.unwrap().function_index
}

/// Attaches a function to both sides of an interface.
async fn attach(switch: &Switch, on: InterfaceIndex, function_index: u32) {
    for is_input in [true, false] {
        let request = WeftFunctionInterfaceSet {
            sw_if_index: on,
            is_input,
            function_index,
        };
        switch.api.request(&request).await.unwrap();
    }
}

async fn details(switch: &Switch, function_index: u32) -> WeftFunctionDetails {
    let dump = WeftFunctionDump { function_index };
    switch.api.dump(&dump).await.unwrap().remove(0)
}

fn pings(from: &Namespace, to: &str) -> bool {
    let ping = from.try_run(&format!("ping -n -c 1 -W 1 {to}"));
    ping.status.success()
}

#[tokio::test]
async fn a_firewall_on_an_interface_denies_by_name_and_lets_the_rest_pass() {
    let Some(firewall) = is_permitted()
        .then(|| guests::example("firewall"))
        .flatten()
    else {
        return;
    };
    let (switch, a, b, [tap, other]) = pods(2).await;
    // What it remembers of a flow is one worker's: both directions must be that worker's.
    for sw_if_index in [tap, other] {
        let request = SwInterfaceSetRxPlacement {
            sw_if_index,
            worker_id: 1,
            ..SwInterfaceSetRxPlacement::default()
        };
        switch.api.request(&request).await.unwrap();
    }
    let config = r#"{"rules": [
        {"name": "no-telnet", "action": "deny", "protocol": "tcp", "ports": [2323]},
        {"name": "out", "action": "allow", "from": "left"}]}"#;
    let request = WeftFunctionAddReplace {
        config: config.into(),
        ..request("wall", &firewall)
    };
    let wall = add(&switch, &request).await;
    attach(&switch, tap, wall).await;
    expect_ping(&a, "10.1.2.2");
    expect_ping(&a, "fd01:2::2");
    transfer(&a, &b, "10.1.2.2".parse().unwrap(), 8 << 20);
    transfer(&a, &b, "fd01:2::2".parse().unwrap(), 1 << 20);
    let door = "10.1.2.2:2323".parse().unwrap();
    for (visitor, host, door) in [(&b, &a, "10.1.1.2:80".parse().unwrap()), (&a, &b, door)] {
        let _listener = host.enter(|| std::net::TcpListener::bind(door).unwrap());
        let patience = Duration::from_millis(1500);
        let visit = visitor.enter(|| std::net::TcpStream::connect_timeout(&door, patience));
        assert!(visit.is_err(), "{visit:?}");
    }
    let errors = switch.cli("show errors").await;
    for node in ["weft-function-input", "weft-function-output"] {
        let named = |line: &str| line.contains(node) && line.contains("verdict is to drop");
        assert!(errors.lines().any(named), "{node} in {errors}");
    }
    let shown = switch.cli("show function wall").await;
    for part in [
        "denied.no-telnet",
        "fail-closed",
        "input of tap0",
        "firewall",
    ] {
        assert!(shown.contains(part), "`{part}` in {shown}");
    }
    let seen = details(&switch, wall).await;
    assert!(seen.packets > 100 && seen.drops > 2, "{seen:?}");
    assert_eq!((seen.faults, seen.undecided, seen.changed), (0, 0, 0));
    assert_eq!(seen.about.as_str().split(' ').next(), Some("firewall"));
    attach(&switch, tap, u32::MAX).await;
    transfer_to_port(&a, &b, door, 1 << 20);
}

#[tokio::test]
async fn a_function_that_fails_passes_or_drops_as_declared_and_is_tried_ever_more_rarely() {
    if !is_permitted() {
        return;
    }
    let (switch, a, b, [tap, _]) = pods(2).await;
    let trap = guests::function(switch.dir.path(), "trap", "unreachable");
    let endless = guests::function(switch.dir.path(), "endless", "(loop (br 0))");
    let good = guests::function(switch.dir.path(), "good", guests::FORWARD);
    for (module, fail_open, why) in [
        (&trap, false, "unreachable"),
        (&trap, true, "unreachable"),
        (&endless, false, "within 20ms"),
        (&endless, true, "within 20ms"),
    ] {
        let bad = WeftFunctionAddReplace {
            fail_open,
            ..request("bad", module)
        };
        let index = add(&switch, &bad).await;
        attach(&switch, tap, index).await;
        let flood = a.try_run("ping -n -q -c 300 -i 0.002 -W 1 10.1.2.2");
        assert_eq!(flood.status.success(), fail_open, "{flood:?}");
        if fail_open {
            expect_ping(&a, "10.1.2.2");
            transfer(&a, &b, "10.1.2.2".parse().unwrap(), 1 << 20);
        }
        let seen = details(&switch, index).await;
        assert!(seen.last_fault.contains(why), "{seen:?}");
        assert!(seen.undecided >= 300, "{seen:?}");
        // Hundreds of calls, on two workers; the first waits are 10, 20, 40, ... ms.
        assert!((2..=30).contains(&seen.faults), "{seen:?}");
        let shown = switch.cli("show errors").await;
        let named = "function: it failed and is fail-closed";
        assert!(fail_open || shown.contains(named), "{shown}");
        let healed = WeftFunctionAddReplace {
            fail_open,
            ..request("bad", &good)
        };
        assert_eq!(add(&switch, &healed).await, index);
        assert!(pings(&a, "10.1.2.2"), "the successor serves at once");
        attach(&switch, tap, u32::MAX).await;
        let function_index = index;
        let end = WeftFunctionDel { function_index };
        switch.api.request(&end).await.unwrap();
    }
}

#[tokio::test]
async fn swaps_under_traffic_lose_nothing() {
    if !is_permitted() {
        return;
    }
    let (switch, a, _b, [tap, other]) = pods(2).await;
    let modules = ["one", "two"].map(|name| {
        let dir = switch.dir.path();
        guests::function(dir, name, guests::FORWARD)
    });
    let index = add(&switch, &request("turns", &modules[0])).await;
    for on in [tap, other] {
        attach(&switch, on, index).await;
    }
    let mut ping = a.spawn("ping -n -q -c 1500 -i 0.002 -W 2 10.1.2.2");
    let mut swaps = 0;
    while ping.try_wait().unwrap().is_none() {
        let next = request("turns", &modules[swaps % 2]);
        assert_eq!(add(&switch, &next).await, index);
        swaps += 1;
    }
    let ping = ping.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ping.stdout);
    assert!(said.contains(" 0% packet loss"), "{said}");
    assert!(swaps > 5, "{swaps} swaps");
    let seen = details(&switch, index).await;
    assert!(seen.packets >= 4 * 1500 && seen.undecided == 0, "{seen:?}");
}

#[tokio::test]
async fn what_cannot_serve_is_refused_by_its_cause_and_changes_nothing() {
    if !is_permitted() {
        return;
    }
    let (switch, a, _b, [tap, _]) = pods(1).await;
    let dir = switch.dir.path();
    let good = guests::function(dir, "good", guests::FORWARD);
    let index = add(&switch, &request("it", &good)).await;
    attach(&switch, tap, index).await;
    let noise = dir.join("noise.wasm");
    std::fs::write(&noise, b"no module").unwrap();
    let nowhere = PathBuf::from("/nowhere.wasm");
    let huge = WeftFunctionAddReplace {
        memory_mib: 100_000,
        ..request("it", &good)
    };
    for (refused, code) in [
        (request("it", &nowhere), ApiError::SyscallError1),
        (request("it", &noise), ApiError::InitFailed),
        (request("", &good), ApiError::InvalidValue),
        (huge, ApiError::InvalidValue),
    ] {
        let answer = switch.api.request(&refused).await.unwrap_err();
        let is_it = matches!(&answer, RequestError::Refused { error, .. } if *error == code);
        assert!(is_it, "{answer:?}");
    }
    let function_index = index;
    let in_use = switch
        .api
        .request(&WeftFunctionDel { function_index })
        .await;
    assert!(in_use.is_err());
    assert!(pings(&a, "10.1.2.2"));
    let dump = WeftFunctionInterfaceDump::default();
    let attached = switch.api.dump(&dump).await.unwrap();
    let sides: Vec<_> = attached
        .iter()
        .map(|d| (d.sw_if_index, d.is_input))
        .collect();
    assert_eq!(sides, [(tap, true), (tap, false)]);
}

/// A memif peer of the dataplane.
struct Peer {
    client: Client,
    link: Option<(RxQueue, TxQueue)>,
}

impl Peer {
    fn new(socket: &Path, id: u32) -> Self {
        let config = ClientConfig {
            name: format!("peer{id}"),
            ..ClientConfig::default()
        };
        let client = Client::new(Address::path(socket), id, config, Limits::default());
        let (client, link) = (client.unwrap(), None);
        Self { client, link }
    }

    fn queues(&mut self) -> Option<&mut (RxQueue, TxQueue)> {
        self.drive();
        self.link.as_mut()
    }

    fn drive(&mut self) {
        self.client.drive(Instant::now()).unwrap();
        while let Some(event) = self.client.poll_event() {
            if let Event::Connected { link, .. } = event {
                let (mut rx, mut tx) = link.into_copy().unwrap();
                self.link = Some((rx.remove(0), tx.remove(0)));
            }
        }
    }
}

/// A UDP packet with a payload of zeroes and no checksum.
fn datagram(to: [u8; 6], len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    let own = packet::MacAddr([2, 0, 0, 0, 0, 7]);
    ethernet::emit(&mut out, packet::MacAddr(to), own, ethernet::IPV4);
    let total = u16::try_from(len - ethernet::HEADER_LEN).unwrap();
    ipv4::Header {
        tos: 0,
        total_len: total,
        ident: 1,
        fragment_word: 0,
        ttl: 9,
        protocol: proto::UDP,
        src: [10, 9, 1, 2].into(),
        dst: [10, 9, 2, 2].into(),
    }
    .emit(&mut out[ethernet::HEADER_LEN..]);
    udp::emit(&mut out[34..], 5, 6, total - 20, 0);
    out
}

#[tokio::test]
async fn a_function_changes_bytes_beyond_the_headers_between_memifs() {
    let switch = Switch::start(None, 1).await;
    let socket = switch.dir.path().join("memif.sock");
    let near = master(&switch, &socket, 0).await;
    let far = master(&switch, &socket, 1).await;
    switch.address(near, "10.9.1.1/24").await;
    switch.address(far, "10.9.2.1/24").await;
    let neighbor = IpNeighborAddDel {
        is_add: true,
        neighbor: IpNeighbor {
            sw_if_index: far,
            flags: IpNeighborFlags::STATIC,
            mac_address: vpp_api::ethernet_types::MacAddress([2, 0, 0, 0, 0, 8]),
            ip_address: "10.9.2.2".parse().unwrap(),
        },
    };
    switch.api.request(&neighbor).await.unwrap();
    let stamp = guests::function(switch.dir.path(), "stamp", guests::STAMP);
    let index = add(&switch, &request("stamp", &stamp)).await;
    let all: Vec<SwInterfaceDetails> = switch.api.dump(&SwInterfaceDump::default()).await.unwrap();
    let mac = all
        .iter()
        .find(|d| d.sw_if_index == near)
        .unwrap()
        .l2_address;
    let mut peers = [Peer::new(&socket, 0), Peer::new(&socket, 1)];
    for peer in &mut peers {
        wait_for("a memif", || peer.queues().map(drop).ok_or("no link"));
    }
    for (on, is_input) in [(near, true), (far, false)] {
        let set = WeftFunctionInterfaceSet {
            sw_if_index: on,
            is_input,
            function_index: index,
        };
        switch.api.request(&set).await.unwrap();
    }
    for len in [60, 192, 193, 400, 600, 800, 1000, 1500] {
        let sent = datagram(mac.0, len);
        let (_, tx) = peers[0].queues().unwrap();
        assert!(tx.push(&[&sent]).unwrap());
        tx.commit();
        let seen = wait_for("the packet", || {
            let (rx, _) = peers[1].queues().unwrap();
            let count = rx.peek(8).unwrap();
            let mut bytes = vec![0; rx.packet(0).ok_or("nothing")?.len()];
            rx.packet(0).unwrap().copy_out(0, &mut bytes);
            rx.release_all();
            (count == 1).then_some(bytes).ok_or("more than one")
        });
        let mut expected = sent[34..].to_vec();
        if len > 500 {
            *expected.last_mut().unwrap() = b'Z';
        }
        assert_eq!(seen[34..], expected, "{len} bytes");
    }
    let seen = details(&switch, index).await;
    assert_eq!((seen.packets, seen.changed, seen.faults), (16, 8, 0));
}
