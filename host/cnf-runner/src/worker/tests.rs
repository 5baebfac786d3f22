use std::path::Path;

use memif_rs::{Address, ClientConfig, Limits, Listener, Mode, RxQueue, ServerConfig, TxQueue};
use weft_sdk::{Batch, Fault, PacketFunction, Port};

use super::*;
use crate::native::NativePlane;

/// Passes everything and marks the last octet with its generation.
#[derive(Default)]
struct Wire {
    generation: u8,
    passed: u64,
}

impl PacketFunction for Wire {
    fn configure(&mut self, _: &str, _: &[Port]) -> Result<(), Fault> {
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<'_>) {
        batch.for_each(|packet| {
            if let Some(last) = packet.data_mut().last_mut() {
                *last = self.generation;
            }
            packet.forward(packet.port().opposite());
            self.passed += 1;
        });
    }

    fn counters(&self) -> Vec<(String, u64)> {
        vec![("passed".to_owned(), self.passed)]
    }

    fn save(&self, _: usize) -> Vec<u8> {
        self.passed.to_le_bytes().to_vec()
    }

    fn restore(&mut self, _: &str, state: &[u8]) -> Result<(), Fault> {
        self.passed = state.try_into().map(u64::from_le_bytes).unwrap_or_default();
        Ok(())
    }
}

/// The dataplane's side of two links.
struct Switch {
    listener: Listener,
    links: [Option<(RxQueue, TxQueue)>; 2],
}

impl Switch {
    fn new(socket: &Path) -> Self {
        let mut listener = Listener::bind(&Address::path(socket), Limits::default()).unwrap();
        for id in [0, 1] {
            let config = ServerConfig {
                name: format!("memif0/{id}"),
                ..ServerConfig::default()
            };
            listener.add(id, config).unwrap();
        }
        Self {
            listener,
            links: [None, None],
        }
    }

    fn wait_connected(&mut self) {
        until("both links are up", || {
            self.listener.drive(Instant::now()).unwrap();
            while let Some(event) = self.listener.poll_event() {
                if let Event::Connected { id, link } = event {
                    let (mut rx, mut tx) = link.into_copy().unwrap();
                    self.links[id as usize] = Some((rx.remove(0), tx.remove(0)));
                }
            }
            self.links.iter().all(Option::is_some)
        });
    }

    fn send(&mut self, link: usize, frame: &[u8]) -> bool {
        let (_, tx) = self.links[link].as_mut().unwrap();
        let sent = tx.push(&[frame]).unwrap();
        tx.commit();
        sent
    }

    fn receive(&mut self, link: usize) -> Vec<Vec<u8>> {
        let (rx, _) = self.links[link].as_mut().unwrap();
        rx.peek(256).unwrap();
        let frames = rx.packets().map(|p| {
            let mut bytes = vec![0; p.len()];
            p.copy_out(0, &mut bytes);
            bytes
        });
        let frames = frames.collect();
        rx.release_all();
        frames
    }
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "waited too long until {what}"
        );
        std::thread::yield_now();
    }
}

fn start(socket: &Path) -> Handle<Wire> {
    let plane = NativePlane::<Wire>::new(2);
    let links = (0..2)
        .map(|id| {
            let config = ClientConfig {
                name: format!("port{id}"),
                mode: Mode::Ethernet,
                memory: plane.memory(),
                ..ClientConfig::default()
            };
            let client = Client::new(Address::path(socket), id, config, Limits::default()).unwrap();
            Control {
                name: format!("port{id}"),
                client,
            }
        })
        .collect();
    let (worker, handle) = Worker::new(plane, links, Instant::now()).unwrap();
    std::thread::spawn(move || worker.run().unwrap());
    swap(&handle, 1);
    handle
}

fn swap(handle: &Handle<Wire>, generation: u8) {
    let (reply, done) = oneshot::channel();
    handle
        .send(Command::Swap(
            Wire {
                generation,
                passed: 0,
            },
            reply,
        ))
        .unwrap();
    done.blocking_recv().unwrap();
}

fn stats(handle: &Handle<Wire>) -> Stats {
    let (reply, answer) = oneshot::channel();
    handle.send(Command::Stats(reply)).unwrap();
    answer.blocking_recv().unwrap()
}

/// The switch is connected first: until a port has read this, its frames are drops of a link that is down.
fn wait_up(handle: &Handle<Wire>) {
    until("the worker's ports are up", || {
        stats(handle).ports.iter().all(|p| p.up)
    });
}

#[test]
fn a_swap_under_traffic_loses_no_frame_and_keeps_the_state() {
    const FRAMES: usize = 4000;
    /// Fewer than a ring holds: a full ring drops, and this is not what the test asks.
    const IN_FLIGHT: usize = 256;
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("memif.sock");
    let mut switch = Switch::new(&socket);
    let handle = start(&socket);
    switch.wait_connected();
    wait_up(&handle);
    let mut sent = 0;
    let mut received = Vec::new();
    until("all frames came through", || {
        let room = sent < FRAMES && sent < received.len() + IN_FLIGHT;
        if room && switch.send(0, &[7; 60]) {
            sent += 1;
            if sent == FRAMES / 2 {
                swap(&handle, 2);
            }
        }
        received.extend(switch.receive(1));
        received.len() == FRAMES
    });
    let by_second = received.iter().filter(|f| f.last() == Some(&2)).count();
    assert!(by_second >= FRAMES / 2, "{by_second} of {FRAMES}");
    let stats = stats(&handle);
    assert_eq!(stats.function["passed"], FRAMES as u64);
    assert_eq!(stats.drops.values().sum::<u64>(), 0);
    assert_eq!(
        (stats.ports[0].rx, stats.ports[1].tx),
        (FRAMES as u64, FRAMES as u64)
    );
    handle.send(Command::Stop).unwrap();
}

#[test]
fn frames_towards_a_link_that_is_down_are_counted_and_the_link_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("memif.sock");
    let mut switch = Switch::new(&socket);
    let handle = start(&socket);
    switch.wait_connected();
    assert!(switch.listener.disconnect(1, DisconnectReason::Requested));
    switch.links[1] = None;
    until("the runner sees the link down", || {
        switch.listener.drive(Instant::now()).unwrap();
        let _event = switch.listener.poll_event();
        stats(&handle).ports[1]
            .last_disconnect
            .contains("peer disconnected")
    });
    switch.wait_connected();
    wait_up(&handle);
    assert!(switch.send(0, &[7; 60]));
    until("frames pass again", || !switch.receive(1).is_empty());
    handle.send(Command::Stop).unwrap();
}
