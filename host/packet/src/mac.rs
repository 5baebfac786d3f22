//! Ethernet addresses.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use crate::WireError;

/// An IEEE 802 MAC address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// `00:00:00:00:00:00`, used for "not set".
    pub const ZERO: Self = Self([0; 6]);

    /// Tells whether the group bit is set (broadcast included).
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// Tells whether this is the broadcast address.
    #[must_use]
    pub fn is_broadcast(self) -> bool {
        self == Self::BROADCAST
    }

    /// Tells whether all bits are zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Maps an IPv4 group to its Ethernet group (RFC 1112, section 6.4).
    #[must_use]
    pub const fn from_ipv4_multicast(group: Ipv4Addr) -> Self {
        let [_, b, c, d] = group.octets();
        Self([0x01, 0x00, 0x5e, b & 0x7f, c, d])
    }

    /// Maps an IPv6 group to its Ethernet group (RFC 2464, section 7).
    #[must_use]
    pub const fn from_ipv6_multicast(group: Ipv6Addr) -> Self {
        let [.., a, b, c, d] = group.octets();
        Self([0x33, 0x33, a, b, c, d])
    }

    /// Gives the link-local address made of this address (RFC 4291, appendix A).
    #[must_use]
    pub const fn to_link_local(self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        let [ab, cd, ef] = [
            u16::from_be_bytes([a ^ 2, b]),
            u16::from_be_bytes([c, 0xff]),
            u16::from_be_bytes([e, f]),
        ];
        Ipv6Addr::new(0xfe80, 0, 0, 0, ab, cd, u16::from_be_bytes([0xfe, d]), ef)
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self, WireError> {
        let mut out = [0u8; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut out {
            let part = parts.next().ok_or(WireError::Truncated)?;
            if part.len() != 2 || part.starts_with('+') {
                return Err(WireError::Malformed);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| WireError::Malformed)?;
        }
        match parts.next() {
            None => Ok(Self(out)),
            Some(_) => Err(WireError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn text_round_trips_and_bad_text_is_refused() {
        let mac: MacAddr = "02:fe:00:0a:0b:ff".parse().unwrap();
        assert_eq!(mac.to_string(), "02:fe:00:0a:0b:ff");
        for bad in [
            "",
            "02",
            "02:fe:00:0a:0b",
            "02:fe:00:0a:0b:ff:00",
            "02:fe:00:0a:0b:+f",
            "g2:fe:00:0a:0b:ff",
        ] {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn link_local_address_follows_modified_eui64() {
        let mac = MacAddr([0x02, 0xfe, 0x11, 0x22, 0x33, 0x44]);
        assert_eq!(
            mac.to_link_local(),
            "fe80::fe:11ff:fe22:3344".parse::<Ipv6Addr>().unwrap()
        );
    }
}
