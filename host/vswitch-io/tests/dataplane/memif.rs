//! A CNF between two pods, over memif.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use memif_rs::{Address, Client, ClientConfig, Event, Limits, RxQueue, TxQueue};
use vpp_api::interface::{SwInterfaceEvent, WantInterfaceEvents};
use vpp_api::interface_types::{IfStatusFlags, InterfaceIndex};
use vpp_api::l2::SwInterfaceSetL2Xconnect;
use vpp_api::memif::{MemifCreateV2, MemifRole, MemifSocketFilenameAddDelV2};

use crate::lab::{Namespace, is_permitted};
use crate::switch::{PodConfig, Switch};
use crate::traffic::{expect_ping, transfer};

/// A CNF that forwards every frame from one interface to the other, byte for byte.
pub(crate) struct Wire {
    stop: Arc<AtomicBool>,
    frames: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Wire {
    pub(crate) fn start(socket: &Path) -> Self {
        let (stop, frames) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let address = Address::path(socket);
        let client = |id: u32| {
            let config = ClientConfig {
                name: format!("port{id}"),
                ..ClientConfig::default()
            };
            Client::new(address.clone(), id, config, Limits::default()).unwrap()
        };
        let (clients, stopped) = ([client(0), client(1)], Arc::clone(&stop));
        let counted = Arc::clone(&frames);
        let thread = Some(std::thread::spawn(move || {
            forward(clients, &stopped, &counted);
        }));
        Self {
            stop,
            frames,
            thread,
        }
    }

    /// Frames forwarded so far.
    pub(crate) fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn forward(mut clients: [Client; 2], stop: &AtomicBool, frames: &AtomicU64) {
    let mut links: [Option<(RxQueue, TxQueue)>; 2] = [None, None];
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        if links.iter().any(Option::is_none) || due < Instant::now() {
            due = Instant::now() + Duration::from_millis(10);
            for (client, link) in clients.iter_mut().zip(&mut links) {
                client.drive(Instant::now()).unwrap();
                while let Some(event) = client.poll_event() {
                    *link = match event {
                        Event::Connected { link, .. } => {
                            let (mut rx, mut tx) = link.into_copy().unwrap();
                            Some((rx.remove(0), tx.remove(0)))
                        }
                        Event::Disconnected { .. } | Event::Refused { .. } => None,
                    };
                }
            }
        }
        let [Some(left), Some(right)] = &mut links else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        let moved = carry(&mut left.0, &mut right.1) + carry(&mut right.0, &mut left.1);
        frames.fetch_add(moved as u64, Ordering::Relaxed);
        if moved == 0 {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

fn carry(from: &mut RxQueue, to: &mut TxQueue) -> usize {
    let count = from.peek(256).unwrap_or(0);
    for at in 0..count {
        let packet = from.packet(at).unwrap();
        let mut bytes = vec![0; packet.len()];
        packet.copy_out(0, &mut bytes);
        while !to.push(&[&bytes]).unwrap() {
            to.commit();
            std::thread::yield_now();
        }
    }
    to.commit();
    from.release_all();
    count
}

/// Creates a memif that listens on `socket`, up.
pub(crate) async fn master(switch: &Switch, socket: &Path, id: u32) -> InterfaceIndex {
    let filename = socket.to_string_lossy().into_owned();
    let request = MemifSocketFilenameAddDelV2 {
        is_add: true,
        socket_id: 1,
        socket_filename: filename,
    };
    switch.api.request(&request).await.unwrap();
    let request = MemifCreateV2 {
        role: MemifRole::Master,
        id,
        socket_id: 1,
        ..MemifCreateV2::default()
    };
    let sw_if_index = switch.api.request(&request).await.unwrap().sw_if_index;
    switch.up(sw_if_index).await;
    sw_if_index
}

async fn cross(switch: &Switch, a: InterfaceIndex, b: InterfaceIndex) {
    for (rx, tx) in [(a, b), (b, a)] {
        let request = SwInterfaceSetL2Xconnect {
            rx_sw_if_index: rx,
            tx_sw_if_index: tx,
            enable: true,
        };
        switch.api.request(&request).await.unwrap();
    }
}

#[tokio::test]
async fn frames_pass_a_cnf_between_two_pods_and_its_death_is_an_event() {
    if !is_permitted() {
        return;
    }
    let (a, b) = (Namespace::new("a"), Namespace::new("b"));
    let switch = Switch::start(None, 2).await;
    let mut events = switch.api.events::<SwInterfaceEvent>();
    switch
        .api
        .request(&WantInterfaceEvents {
            enable_disable: 1,
            pid: 7,
        })
        .await
        .unwrap();
    let socket = switch.dir.path().join("memif.sock");
    let tap_a = switch.tap(&a, &PodConfig::bridged(1)).await;
    let tap_b = switch.tap(&b, &PodConfig::bridged(2)).await;
    let left = master(&switch, &socket, 0).await;
    let right = master(&switch, &socket, 1).await;
    cross(&switch, tap_a, left).await;
    cross(&switch, right, tap_b).await;
    let wire = Wire::start(&socket);
    let mut link_event = async |of: InterfaceIndex, up: bool| loop {
        let event = tokio::time::timeout(Duration::from_secs(10), events.next())
            .await
            .unwrap()
            .unwrap();
        if event.sw_if_index == of
            && event.flags.contains(IfStatusFlags::LINK_UP) == up
            && event.pid == 7
        {
            break;
        }
    };
    link_event(left, true).await;
    expect_ping(&a, "10.2.0.2");
    transfer(&a, &b, "10.2.0.2".parse::<IpAddr>().unwrap(), 8 << 20);
    transfer(&b, &a, "10.2.0.1".parse::<IpAddr>().unwrap(), 8 << 20);

    drop(wire);
    link_event(left, false).await;
    assert!(
        !a.try_run("ping -n -c 1 -W 1 10.2.0.2").status.success(),
        "frames pass a dead CNF"
    );
    let _wire = Wire::start(&socket);
    expect_ping(&a, "10.2.0.2");
}

#[tokio::test]
async fn a_switch_connects_to_another_as_memif_slave() {
    if !is_permitted() {
        return;
    }
    let (a, b) = (Namespace::new("a"), Namespace::new("b"));
    let (first, second) = (Switch::start(None, 1).await, Switch::start(None, 1).await);
    let socket = first.dir.path().join("memif.sock");
    let tap_a = first.tap(&a, &PodConfig::bridged(1)).await;
    let tap_b = second.tap(&b, &PodConfig::bridged(2)).await;
    let server = master(&first, &socket, 3).await;
    let filename = socket.to_string_lossy().into_owned();
    let request = MemifSocketFilenameAddDelV2 {
        is_add: true,
        socket_id: 1,
        socket_filename: filename,
    };
    second.api.request(&request).await.unwrap();
    let request = MemifCreateV2 {
        role: MemifRole::Slave,
        id: 3,
        socket_id: 1,
        ..MemifCreateV2::default()
    };
    let client = second.api.request(&request).await.unwrap().sw_if_index;
    second.up(client).await;
    cross(&first, tap_a, server).await;
    cross(&second, tap_b, client).await;
    expect_ping(&a, "10.2.0.2");
    transfer(&a, &b, "10.2.0.2".parse::<IpAddr>().unwrap(), 4 << 20);
    let shown = first.cli("show memif").await;
    assert!(shown.contains("flags connected"), "{shown}");
}
