//! A bump in the wire that passes no more than so many packets or bits per second.
//!
//! Ports 0 and 1 are the two ends. Each direction, or each source address in it, has a token bucket; what finds
//! it empty is dropped. What is not IP (ARP above all) passes and costs nothing.
//!
//! ```json
//! { "pps": 1000, "bps": 10000000, "burstPackets": 200, "burstBytes": 250000, "per": "source", "from": ["left"], "sourcesMax": 1024 }
//! ```
//! At least one of `pps` and `bps`. Bursts default to a tenth of a second; `per` to `port`; `from` to both ports.

mod bucket;
mod sources;

use serde::Deserialize;
use weft_sdk::packet::ethernet::{self, Ethernet};
use weft_sdk::packet::flow::FlowKey;
use weft_sdk::prelude::*;

use crate::bucket::{Bucket, Denied, Rate};
use crate::sources::Sources;

/// Most source addresses that have a bucket of their own.
const SOURCES_MAX: usize = 1 << 20;

#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Config {
    pps: Option<u64>,
    bps: Option<u64>,
    burst_packets: Option<u64>,
    burst_bytes: Option<u64>,
    per: Per,
    from: Option<Vec<String>>,
    sources_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            pps: None,
            bps: None,
            burst_packets: None,
            burst_bytes: None,
            per: Per::Port,
            from: None,
            sources_max: 1024,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Per {
    #[default]
    Port,
    Source,
}

/// The function.
#[derive(Debug, Default)]
pub struct RateLimiter {
    rate: Rate,
    /// By number of the port that packets come from; `None`: not limited.
    directions: Vec<Option<Buckets>>,
    counts: Counts,
}

#[derive(Debug)]
enum Buckets {
    One(Bucket),
    PerSource(Sources),
}

#[derive(Debug, Default)]
struct Counts {
    seen: u64,
    passed: u64,
    dropped_packets: u64,
    dropped_bytes: u64,
}

impl PacketFunction for RateLimiter {
    fn configure(&mut self, config: &str, ports: &[Port]) -> Result<(), Fault> {
        if ports.len() != 2 {
            let message = format!(
                "a rate limiter sits between 2 interfaces, not {}",
                ports.len()
            );
            return Err(Fault::new(FaultKind::InvalidConfig, message));
        }
        let config: Config = config::parse(config)?;
        if !(1..=SOURCES_MAX).contains(&config.sources_max) {
            let message = format!("not between 1 and {SOURCES_MAX}");
            return Err(Fault::invalid("sourcesMax", message));
        }
        let names = config.from.as_deref().unwrap_or_default();
        for (index, name) in names.iter().enumerate() {
            if !ports.iter().any(|port| port.name == *name) {
                return Err(Fault::invalid(
                    format!("from[{index}]"),
                    format!("no interface `{name}`"),
                ));
            }
        }
        self.rate = rate(&config)?;
        let limited = |port: &Port| config.from.is_none() || names.contains(&port.name);
        let buckets = || match config.per {
            Per::Port => Buckets::One(self.rate.full()),
            Per::Source => Buckets::PerSource(Sources::new(config.sources_max)),
        };
        self.directions = ports
            .iter()
            .map(|port| limited(port).then(buckets))
            .collect();
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<'_>) {
        let now = batch.now();
        batch.for_each(|packet| {
            self.counts.seen += 1;
            match self.take(packet.data(), packet.port(), now) {
                Ok(()) => {
                    self.counts.passed += 1;
                    packet.forward(packet.port().opposite());
                }
                Err(denied) => {
                    match denied {
                        Denied::Packets => self.counts.dropped_packets += 1,
                        Denied::Bytes => self.counts.dropped_bytes += 1,
                    }
                    packet.drop();
                }
            }
        });
    }

    fn counters(&self) -> Vec<(String, u64)> {
        let Counts {
            seen,
            passed,
            dropped_packets,
            dropped_bytes,
        } = self.counts;
        let evicted = self
            .directions
            .iter()
            .flatten()
            .map(|buckets| match buckets {
                Buckets::One(_) => 0,
                Buckets::PerSource(sources) => sources.evicted(),
            });
        [
            ("seen", seen),
            ("passed", passed),
            ("dropped", dropped_packets + dropped_bytes),
            ("dropped.pps", dropped_packets),
            ("dropped.bps", dropped_bytes),
            ("sources.evicted", evicted.sum()),
        ]
        .map(|(name, count)| (name.to_owned(), count))
        .into()
    }
}

impl RateLimiter {
    fn take(&mut self, frame: &[u8], from: PortId, now: Nanos) -> Result<(), Denied> {
        let Some(Some(buckets)) = self.directions.get_mut(usize::from(from.0)) else {
            return Ok(());
        };
        let Some(key) = flow(frame) else {
            return Ok(());
        };
        let bucket = match buckets {
            Buckets::One(bucket) => bucket,
            Buckets::PerSource(sources) => sources.bucket(key.src, &self.rate, now),
        };
        bucket.take(&self.rate, frame.len() as u64, now)
    }
}

/// `None`: not IP, and not limited.
fn flow(frame: &[u8]) -> Option<FlowKey> {
    let (ethertype, at, _tags) = Ethernet::new_checked(frame)
        .ok()?
        .payload_behind_tags()
        .ok()?;
    let is_ip = matches!(ethertype, ethernet::IPV4 | ethernet::IPV6);
    is_ip.then(|| FlowKey::of_ip(frame.get(at..)?)).flatten()
}

fn rate(config: &Config) -> Result<Rate, Fault> {
    if config.pps.is_none() && config.bps.is_none() {
        return Err(Fault::invalid(
            "pps",
            "neither `pps` nor `bps`: nothing to limit",
        ));
    }
    let check = |field: &str, value: Option<u64>, max: u64| match value {
        Some(value) if !(1..=max).contains(&value) => {
            Err(Fault::invalid(field, format!("not between 1 and {max}")))
        }
        value => Ok(value),
    };
    let pps = check("pps", config.pps, 1_000_000_000)?;
    let bytes = check("bps", config.bps, 8_000_000_000_000)?.map(|bits| bits.div_ceil(8));
    let burst_packets = check("burstPackets", config.burst_packets, bucket::BURST_MAX)?;
    let burst_bytes = check("burstBytes", config.burst_bytes, bucket::BURST_MAX)?;
    // The smallest useful bucket holds one packet of full size.
    let tenth = |rate: u64, least: u64| (rate / 10).clamp(least, bucket::BURST_MAX);
    Ok(Rate {
        packets: pps.map(|pps| (pps, burst_packets.unwrap_or_else(|| tenth(pps, 1)))),
        bytes: bytes.map(|bps| (bps, burst_bytes.unwrap_or_else(|| tenth(bps, 16 << 10)))),
    })
}

weft_sdk::export_packet_function!(RateLimiter);

#[cfg(test)]
mod tests;
