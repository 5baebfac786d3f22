//! A dataplane, a worker and a wire in memory, for tests.
#![expect(
    clippy::cast_possible_truncation,
    reason = "numbers of a test are small"
)]

use std::net::IpAddr;

use packet::ethernet::{self, Ethernet};
use packet::ipv4::{self, Ipv4};
use packet::ipv6::{self, Ipv6};
use packet::{FlowKey, MacAddr, icmp, icmpv6, proto, udp};

use crate::function::{NoFunctions, PacketHook};
use crate::interface::DeviceSpec;
use crate::neighbor::NeighborFlags;
use crate::reassembly::{Outcome, Reassembler};
use crate::{Batch, Dataplane, HEAD_MAX, Nanos, Offload, Prefix, SwIfIndex, Tables, Tail, Worker};

pub(crate) struct Lab {
    pub(crate) dp: Dataplane,
    pub(crate) worker: Worker,
    pub(crate) batch: Batch,
    pub(crate) now: Nanos,
    pub(crate) reassembler: Reassembler,
    /// What became of the fragments so far.
    pub(crate) reassembled: Vec<Outcome>,
    /// How far apart frames are.
    pub(crate) step: u64,
    pub(crate) hook: Box<dyn PacketHook>,
}

/// A frame that left: where, its bytes, and the work left to the device.
pub(crate) type Sent = (SwIfIndex, Vec<u8>, Offload);

impl Lab {
    pub(crate) fn new() -> Self {
        let mut dp = Dataplane::new();
        let worker = dp.new_worker();
        Self {
            dp,
            worker,
            batch: Batch::new(),
            now: Nanos(1_000_000_000),
            reassembler: Reassembler::default(),
            reassembled: Vec::new(),
            step: 1_000_000_000,
            hook: Box::new(NoFunctions),
        }
    }

    /// A device that is up.
    pub(crate) fn device(&mut self, name: &str) -> SwIfIndex {
        let spec = DeviceSpec {
            name: name.to_owned(),
            link_mtu: 1500,
            link_up: true,
            ..DeviceSpec::default()
        };
        let index = self.dp.create_device_interface(spec).unwrap();
        self.dp.set_mac(index, own_mac(index)).unwrap();
        self.dp.set_flags(index, true).unwrap();
        index
    }

    /// A device that is up and has addresses.
    pub(crate) fn routed(&mut self, name: &str, addresses: &[&str]) -> SwIfIndex {
        let index = self.device(name);
        for address in addresses {
            self.dp
                .add_del_address(index, true, prefix(address))
                .unwrap();
        }
        index
    }

    pub(crate) fn neighbor(&mut self, on: SwIfIndex, ip: &str, mac: MacAddr) {
        let flags = NeighborFlags {
            is_static: true,
            no_fib_entry: false,
        };
        self.dp
            .ip_neighbor_add_del(on, addr(ip), mac, flags, true, self.now)
            .unwrap();
    }

    pub(crate) fn send(&mut self, rx: SwIfIndex, frame: &[u8]) -> Vec<Sent> {
        self.send_with(rx, frame, Offload::default())
    }

    /// Receives one frame, its bytes beyond the head as a tail, and gives what is transmitted. A second has passed.
    pub(crate) fn send_with(&mut self, rx: SwIfIndex, frame: &[u8], offload: Offload) -> Vec<Sent> {
        let tables = self.dp.publish();
        let (head, rest) = frame.split_at(frame.len().min(HEAD_MAX));
        let tail = Tail {
            slot: 9,
            offset: 0,
            len: rest.len() as u32,
        };
        self.batch.push(rx, head, Some(tail), offload).unwrap();
        let mut sent = self.run(&tables, rest);
        while self.reassembler.is_ready() {
            let mut wholes = Vec::new();
            self.reassembler
                .drain(|w| wholes.push((w.rx, w.bytes.to_vec(), w.fragment_size)));
            for (rx, bytes, size) in wholes {
                let (head, rest) = bytes.split_at(bytes.len().min(HEAD_MAX));
                let tail = Tail {
                    len: rest.len() as u32,
                    ..tail
                };
                self.batch.push_whole(rx, head, Some(tail), size).unwrap();
                sent.extend(self.run(&tables, rest));
            }
        }
        let (dp, now) = (&mut self.dp, self.now);
        self.worker
            .drain_events(|event| dp.handle_event(event, now));
        self.now.0 += self.step;
        sent
    }

    /// Runs the batch, whose tails are all in `rest`, and does with its frames what a thread does.
    fn run(&mut self, tables: &Tables, rest: &[u8]) -> Vec<Sent> {
        self.worker
            .run_with(tables, &mut self.batch, self.now, &mut *self.hook);
        let mut sent = Vec::new();
        for (on, ids) in self.batch.tx_lists() {
            for id in ids {
                let out = self.batch.frame(*id);
                if on == SwIfIndex::LOCAL0 {
                    let outcome = self.reassembler.take(out, tables, self.now, |room| {
                        let tail = out.tail.unwrap();
                        room.copy_from_slice(&rest[tail.offset as usize..][..tail.len as usize]);
                        room.len()
                    });
                    self.reassembled.push(outcome);
                    continue;
                }
                let mut bytes = out.head().to_vec();
                if let Some(tail) = out.tail {
                    assert_eq!(tail.slot, 9);
                    bytes.extend(&rest[tail.offset as usize..][..tail.len as usize]);
                }
                assert_eq!(bytes.len(), out.len());
                sent.push((on, bytes, out.offload));
            }
        }
        self.batch.clear();
        sent
    }

    /// What is transmitted, as text: one line per frame.
    pub(crate) fn text(&mut self, rx: SwIfIndex, frame: &[u8]) -> String {
        let sent = self.send(rx, frame);
        sent.iter()
            .map(|(on, bytes, _)| {
                format!(
                    "{}: {}\n",
                    self.dp.interface(*on).unwrap().name,
                    decode(bytes)
                )
            })
            .collect()
    }

    /// Drop counters that are not zero, as `node: reason = count`.
    pub(crate) fn drops(&self) -> Vec<String> {
        self.dp
            .error_counters()
            .iter()
            .map(|c| format!("{}: {} = {}", c.node, c.reason, c.count))
            .collect()
    }
}

pub(crate) fn own_mac(index: SwIfIndex) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, index.0 as u8])
}

/// MAC of a host outside.
pub(crate) fn host(n: u8) -> MacAddr {
    MacAddr([2, 0xaa, 0, 0, 0, n])
}

pub(crate) fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

pub(crate) fn eth(dst: MacAddr, src: MacAddr, payload: &[u8]) -> Vec<u8> {
    let kind = if payload[0] >> 4 == 6 {
        ethernet::IPV6
    } else {
        ethernet::IPV4
    };
    let mut out = ethernet::header(dst, src, kind).to_vec();
    out.extend(payload);
    out
}

pub(crate) fn ip(src: &str, dst: &str, protocol: u8, ttl: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u16;
    let mut out = match (addr(src), addr(dst)) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut out = vec![0; 20];
            ipv4::Header {
                tos: 0,
                total_len: len + 20,
                ident: 7,
                fragment_word: ipv4::FLAG_DF,
                ttl,
                protocol,
                src,
                dst,
            }
            .emit(&mut out);
            out
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let mut out = vec![0; 40];
            ipv6::Header {
                traffic_class: 0,
                flow_label: 0,
                payload_len: len,
                next_header: protocol,
                hop_limit: ttl,
                src,
                dst,
            }
            .emit(&mut out);
            out
        }
        _ => panic!("mixed families"),
    };
    out.extend(payload);
    out
}

pub(crate) fn udp(src: &str, dst: &str, ports: (u16, u16), payload: usize) -> Vec<u8> {
    let mut datagram = vec![0; 8];
    udp::emit(&mut datagram, ports.0, ports.1, 8 + payload as u16, 0);
    datagram.extend((0..payload).map(|i| i as u8));
    ip(src, dst, proto::UDP, 64, &datagram)
}

pub(crate) fn echo(src: &str, dst: &str, payload: usize) -> Vec<u8> {
    let mut message = vec![0; 8];
    let is_v6 = addr(src).is_ipv6();
    icmp::emit(
        &mut message,
        if is_v6 {
            icmpv6::ECHO_REQUEST
        } else {
            icmp::ECHO_REQUEST
        },
        0,
        [0, 1, 0, 2],
    );
    message.extend((0..payload).map(|i| i as u8));
    match (addr(src), addr(dst)) {
        (IpAddr::V6(s), IpAddr::V6(d)) => icmpv6::fill_checksum(&mut message, s, d),
        _ => icmp::fill_checksum(&mut message),
    }
    ip(
        src,
        dst,
        if is_v6 { proto::ICMPV6 } else { proto::ICMP },
        64,
        &message,
    )
}

/// One line about a frame; checksums that can be checked are checked.
pub(crate) fn decode(frame: &[u8]) -> String {
    let header = Ethernet::new_checked(frame).unwrap();
    let link = format!("{} > {}", header.src(), header.dst());
    let payload = header.payload();
    if header.ethertype() == ethernet::ARP {
        let arp = packet::arp::Arp::parse(payload).unwrap();
        return format!(
            "{link} arp {:?} {} is-at {} for {}",
            arp.operation, arp.sender_ip, arp.sender_mac, arp.target_ip
        );
    }
    let Some(flow) = FlowKey::of_ip(payload) else {
        return format!("{link} type {:04x}", header.ethertype());
    };
    let (ttl, upper) = match flow.src {
        IpAddr::V4(_) => {
            let ip = Ipv4::new_checked(payload).unwrap();
            assert!(ip.checksum_ok());
            assert_eq!(usize::from(ip.total_len()), payload.len());
            (ip.ttl(), &payload[ip.header_len()..])
        }
        IpAddr::V6(_) => {
            let ip = Ipv6::new_checked(payload).unwrap();
            assert_eq!(usize::from(ip.payload_len()) + 40, payload.len());
            (ip.hop_limit(), &payload[40..])
        }
    };
    let flow_text = format!("{link} {} > {} ttl {ttl}", flow.src, flow.dst);
    match flow.protocol {
        proto::ICMP => {
            assert_eq!(packet::checksum::of(upper), 0);
            format!(
                "{flow_text} icmp {}/{} rest {:?}",
                upper[0],
                upper[1],
                &upper[4..8]
            )
        }
        proto::ICMPV6 => {
            let (IpAddr::V6(src), IpAddr::V6(dst)) = (flow.src, flow.dst) else {
                unreachable!()
            };
            assert!(icmpv6::checksum_ok(upper, src, dst));
            format!("{flow_text} icmp6 {}/{}", upper[0], upper[1])
        }
        proto::UDP => format!(
            "{flow_text} udp {} > {} length {}",
            flow.src_port,
            flow.dst_port,
            upper.len()
        ),
        other => format!("{flow_text} protocol {other}"),
    }
}
