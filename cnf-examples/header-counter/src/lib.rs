//! A bump in the wire that passes everything and counts what it sees by header: the least that a function can do.
//!
//! Ports 0 and 1 are the two ends. Told not to count, it does not look at packets at all, so that it shows what a
//! function costs that does nothing.
//!
//! ```json
//! { "count": false }
//! ```

use serde::Deserialize;
use weft_sdk::packet::ethernet::{self, Ethernet};
use weft_sdk::packet::flow::FlowKey;
use weft_sdk::packet::proto;
use weft_sdk::prelude::*;

/// The function.
#[derive(Debug, Default)]
pub struct HeaderCounter {
    config: Config,
    counts: [u64; KINDS.len()],
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    count: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { count: true }
    }
}

/// What packets are counted as; the discriminants of [`Kind`].
const KINDS: [&str; 6] = ["tcp", "udp", "icmp", "other-ip", "malformed-ip", "not-ip"];

#[derive(Debug, Clone, Copy)]
enum Kind {
    Tcp,
    Udp,
    Icmp,
    OtherIp,
    MalformedIp,
    NotIp,
}

impl PacketFunction for HeaderCounter {
    fn configure(&mut self, config: &str, ports: &[Port]) -> Result<(), Fault> {
        if ports.len() != 2 {
            let message = format!("it sits between 2 interfaces, not {}", ports.len());
            return Err(Fault::new(FaultKind::InvalidConfig, message));
        }
        self.config = config::parse(config)?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<'_>) {
        batch.for_each(|packet| {
            if self.config.count
                && let Some(count) = self.counts.get_mut(kind(packet.data()) as usize)
            {
                *count += 1;
            }
            packet.forward(packet.port().opposite());
        });
    }

    fn counters(&self) -> Vec<(String, u64)> {
        let all = KINDS.iter().zip(self.counts);
        all.map(|(name, count)| ((*name).to_owned(), count))
            .collect()
    }

    fn save(&self, bytes_max: usize) -> Vec<u8> {
        let bytes: Vec<u8> = self.counts.iter().flat_map(|n| n.to_le_bytes()).collect();
        if bytes.len() > bytes_max {
            return Vec::new();
        }
        bytes
    }

    fn restore(&mut self, _from_version: &str, saved: &[u8]) -> Result<(), Fault> {
        let (words, _) = saved.as_chunks();
        for (count, word) in self.counts.iter_mut().zip(words) {
            *count = u64::from_le_bytes(*word);
        }
        Ok(())
    }
}

fn kind(frame: &[u8]) -> Kind {
    let Ok(frame) = Ethernet::new_checked(frame) else {
        return Kind::NotIp;
    };
    if !matches!(frame.ethertype(), ethernet::IPV4 | ethernet::IPV6) {
        return Kind::NotIp;
    }
    match FlowKey::of_ip(frame.payload()).map(|key| key.protocol) {
        Some(proto::TCP) => Kind::Tcp,
        Some(proto::UDP) => Kind::Udp,
        Some(proto::ICMP | proto::ICMPV6) => Kind::Icmp,
        Some(_) => Kind::OtherIp,
        None => Kind::MalformedIp,
    }
}

weft_sdk::export_packet_function!(HeaderCounter);

#[cfg(test)]
mod tests;
