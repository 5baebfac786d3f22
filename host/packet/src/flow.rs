//! Flow keys (the five-tuple) and a deterministic hash over them.

use core::net::{IpAddr, Ipv4Addr};

use crate::ethernet::{self, Ethernet};
use crate::ipv4::Ipv4;
use crate::ipv6::Ipv6;
use crate::proto;
use crate::wire::{tail, u16_at};

/// Addresses, protocol and ports of a packet. Ports are zero for fragments and for protocols without ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowKey {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Upper layer protocol.
    pub protocol: u8,
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
}

impl FlowKey {
    /// Reads the key of an IPv4 or IPv6 packet; `None` when it is neither or is damaged.
    #[must_use]
    pub fn of_ip(packet: &[u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 => {
                let ip = Ipv4::new_checked(packet).ok()?;
                let mut key = Self {
                    src: ip.src().into(),
                    dst: ip.dst().into(),
                    protocol: ip.protocol(),
                    src_port: 0,
                    dst_port: 0,
                };
                // A first fragment has ports but its followers do not: none are used, so that all take one path.
                if !ip.is_fragment() {
                    key.set_ports(tail(packet, ip.header_len()));
                }
                Some(key)
            }
            6 => {
                let ip = Ipv6::new_checked(packet).ok()?;
                let mut key = Self {
                    src: ip.src().into(),
                    dst: ip.dst().into(),
                    protocol: ip.next_header(),
                    src_port: 0,
                    dst_port: 0,
                };
                if let Ok(upper) = ip.upper_layer() {
                    key.protocol = upper.protocol;
                    if upper.fragment.is_none() {
                        key.set_ports(tail(packet, upper.offset));
                    }
                }
                Some(key)
            }
            _ => None,
        }
    }

    fn set_ports(&mut self, upper: &[u8]) {
        if matches!(self.protocol, proto::TCP | proto::UDP | proto::SCTP) && upper.len() >= 4 {
            self.src_port = u16_at(upper, 0);
            self.dst_port = u16_at(upper, 2);
        }
    }

    /// Gives the key of the opposite direction.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
            protocol: self.protocol,
            src_port: self.dst_port,
            dst_port: self.src_port,
        }
    }

    /// Hashes the key: equal keys give equal hashes on every machine and in every run.
    #[must_use]
    pub fn hash(&self) -> u32 {
        let ports = (u64::from(self.src_port) << 32)
            | (u64::from(self.dst_port) << 8)
            | u64::from(self.protocol);
        let mut state = mix(SEED, ports);
        if let (IpAddr::V4(src), IpAddr::V4(dst)) = (self.src, self.dst) {
            let both = u64::from(src.to_bits()) << 32 | u64::from(dst.to_bits());
            return fold(mix(state, both));
        }
        for address in [self.src, self.dst] {
            let (high, low) = halves(address);
            state = mix(mix(state, high), low);
        }
        fold(state)
    }
}

/// Hashes a frame for spreading: its IP flow when it has one, its addresses and type otherwise.
#[must_use]
pub fn hash_frame(frame: &[u8]) -> u32 {
    let Ok(eth) = Ethernet::new_checked(frame) else {
        return 0;
    };
    if let Ok((ethernet::IPV4 | ethernet::IPV6, at, _)) = eth.payload_behind_tags()
        && let Some(key) = FlowKey::of_ip(tail(frame, at))
    {
        return key.hash();
    }
    let word = |bytes: [u8; 6]| bytes.iter().fold(0u64, |sum, b| (sum << 8) | u64::from(*b));
    fold(mix(
        mix(SEED ^ u64::from(eth.ethertype()), word(eth.src().0)),
        word(eth.dst().0),
    ))
}

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mix(state: u64, word: u64) -> u64 {
    let x = (state ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^ (x >> 32)
}

const fn fold(state: u64) -> u32 {
    let [_, _, _, _, a, b, c, d] = mix(state, SEED).to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

const fn halves(address: IpAddr) -> (u64, u64) {
    let bits = match address {
        IpAddr::V4(v4) => Ipv4Addr::to_bits(v4) as u128,
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bits.to_be_bytes();
    (
        u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        u64::from_be_bytes([i, j, k, l, m, n, o, p]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(src_port: u16) -> FlowKey {
        FlowKey {
            src: Ipv4Addr::new(10, 0, 0, 1).into(),
            dst: Ipv4Addr::new(10, 0, 0, 2).into(),
            protocol: 6,
            src_port,
            dst_port: 80,
        }
    }

    #[test]
    fn hash_is_the_same_in_every_build() {
        assert_eq!(key(1000).hash(), key(1000).hash());
        assert_ne!(key(1000).hash(), key(1000).reversed().hash());
    }

    #[test]
    fn neighbouring_ports_spread_evenly_over_eight_buckets() {
        let mut buckets = [0u32; 8];
        for port in 0..8000 {
            buckets[key(port).hash() as usize % 8] += 1;
        }
        for count in buckets {
            assert!((850..1150).contains(&count), "{buckets:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_hash_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = (hash_frame(&bytes), FlowKey::of_ip(&bytes));
        }
    }
}
