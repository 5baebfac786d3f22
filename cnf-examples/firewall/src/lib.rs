//! A bump in the wire that lets through what its rules allow, and the answers to it.
//!
//! Ports 0 and 1 are the two ends. The first packet of a flow is judged by the rules, first match wins; an
//! allowed flow is remembered, so that its packets pass in both directions until it falls silent. What is not IP
//! (ARP above all) passes. A damaged IP packet does not. Fragments have no ports: they are a flow of their own, which
//! only rules without ports can allow.
//!
//! ```json
//! { "default": "deny",
//!   "rules": [
//!     { "name": "web", "action": "allow", "from": "left", "protocol": "tcp", "ports": [80, "8000-8080"] },
//!     { "name": "guests", "action": "deny", "src": "10.9.0.0/16" } ],
//!   "connections": { "max": 4096, "idleSeconds": 300 } }
//! ```

mod connections;
mod policy;
mod state;

use weft_sdk::packet::ethernet::{self, Ethernet};
use weft_sdk::packet::flow::FlowKey;
use weft_sdk::packet::tcp::{FIN, RST, Tcp};
use weft_sdk::packet::{ipv4::Ipv4, proto};
use weft_sdk::prelude::*;

use crate::connections::Connections;
use crate::policy::{Config, Decision, Policy};

/// The function.
#[derive(Debug, Default)]
pub struct Firewall {
    policy: Policy,
    connections: Connections,
    counts: Counts,
    /// Packets denied, by rule; the default action comes last.
    denied_by: Vec<u64>,
}

#[derive(Debug, Default)]
struct Counts {
    seen: u64,
    passed: u64,
    denied: u64,
    malformed: u64,
}

/// What a packet is to a firewall.
enum Kind {
    NotIp,
    Malformed,
    Flow { key: FlowKey, closing: bool },
}

impl PacketFunction for Firewall {
    fn configure(&mut self, config: &str, ports: &[Port]) -> Result<(), Fault> {
        if ports.len() != 2 {
            let message = format!("a firewall sits between 2 interfaces, not {}", ports.len());
            return Err(Fault::new(FaultKind::InvalidConfig, message));
        }
        let config: Config = config::parse(config)?;
        self.policy = Policy::new(&config, ports)?;
        self.connections = Connections::new(&config.connections)?;
        self.denied_by = vec![0; self.policy.names().count()];
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<'_>) {
        let now = batch.now();
        batch.for_each(|packet| {
            self.counts.seen += 1;
            if self.passes(packet.data(), packet.port(), now) {
                self.counts.passed += 1;
                packet.forward(packet.port().opposite());
            } else {
                self.counts.denied += 1;
                packet.drop();
            }
        });
    }

    fn counters(&self) -> Vec<(String, u64)> {
        let Counts {
            seen,
            passed,
            denied,
            malformed,
        } = self.counts;
        let totals = [("seen", seen), ("passed", passed), ("denied", denied)];
        let connections = self.connections.counters();
        let by_rule = self.policy.names().zip(&self.denied_by);
        totals
            .into_iter()
            .chain([("malformed", malformed)])
            .chain(connections)
            .map(|(name, count)| (name.to_owned(), count))
            .chain(by_rule.map(|(name, count)| (format!("denied.{name}"), *count)))
            .collect()
    }

    fn save(&self, bytes_max: usize) -> Vec<u8> {
        state::save(self.connections.iter().collect(), bytes_max)
    }

    fn restore(&mut self, _from_version: &str, saved: &[u8]) -> Result<(), Fault> {
        state::restore(saved, |flow| self.connections.adopt(flow))
    }
}

impl Firewall {
    fn passes(&mut self, frame: &[u8], from: PortId, now: Nanos) -> bool {
        let (key, closing) = match classify(frame) {
            Kind::NotIp => return true,
            Kind::Malformed => {
                self.counts.malformed += 1;
                return false;
            }
            Kind::Flow { key, closing } => (key, closing),
        };
        if self.connections.touch(&key, closing, now) {
            return true;
        }
        match self.policy.decide(&key, from) {
            Decision::Allow => {
                self.connections.open(key, closing, now);
                true
            }
            Decision::Deny { by } => {
                if let Some(count) = self.denied_by.get_mut(by) {
                    *count += 1;
                }
                false
            }
        }
    }
}

fn classify(frame: &[u8]) -> Kind {
    let Ok(header) = Ethernet::new_checked(frame) else {
        return Kind::Malformed;
    };
    let Ok((ethertype, at, _tags)) = header.payload_behind_tags() else {
        return Kind::Malformed;
    };
    if !matches!(ethertype, ethernet::IPV4 | ethernet::IPV6) {
        return Kind::NotIp;
    }
    let ip = frame.get(at..).unwrap_or_default();
    match FlowKey::of_ip(ip) {
        Some(key) => Kind::Flow {
            key,
            closing: key.protocol == proto::TCP && is_closing(ip),
        },
        None => Kind::Malformed,
    }
}

/// True for a TCP segment after which its sender says no more.
fn is_closing(ip: &[u8]) -> bool {
    let upper = match Ipv4::new_checked(ip) {
        Ok(v4) if !v4.is_fragment() => ip.get(v4.header_len()..),
        Ok(_) => None,
        Err(_) => weft_sdk::packet::ipv6::Ipv6::new_checked(ip)
            .and_then(|v6| v6.upper_layer())
            .ok()
            .and_then(|upper| ip.get(upper.offset..)),
    };
    upper
        .and_then(|segment| Tcp::new_checked(segment).ok())
        .is_some_and(|tcp| tcp.flags() & (FIN | RST) != 0)
}

weft_sdk::export_packet_function!(Firewall);

#[cfg(test)]
mod tests;
