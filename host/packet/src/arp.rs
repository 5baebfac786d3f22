//! ARP for IPv4 over Ethernet (RFC 826).

use core::net::Ipv4Addr;

use crate::wire::{array_at, put, put_u16, u8_at, u16_at};
use crate::{MacAddr, WireError};

/// Length of an Ethernet/IPv4 ARP packet, in bytes.
pub const LEN: usize = 28;

/// What the packet asks or says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has the sender address.
    Reply,
    /// Anything else (RARP and friends).
    Other(u16),
}

/// An Ethernet/IPv4 ARP packet as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// Request or reply.
    pub operation: Operation,
    /// Sender hardware address.
    pub sender_mac: MacAddr,
    /// Sender protocol address.
    pub sender_ip: Ipv4Addr,
    /// Target hardware address (zero in a request).
    pub target_mac: MacAddr,
    /// Target protocol address.
    pub target_ip: Ipv4Addr,
}

impl Arp {
    /// Parses a packet.
    ///
    /// # Errors
    /// [`WireError::Truncated`], or [`WireError::Malformed`] when it is not Ethernet/IPv4.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() < LEN {
            return Err(WireError::Truncated);
        }
        if u16_at(bytes, 0) != 1
            || u16_at(bytes, 2) != 0x0800
            || u8_at(bytes, 4) != 6
            || u8_at(bytes, 5) != 4
        {
            return Err(WireError::Malformed);
        }
        Ok(Self {
            operation: match u16_at(bytes, 6) {
                1 => Operation::Request,
                2 => Operation::Reply,
                other => Operation::Other(other),
            },
            sender_mac: MacAddr(array_at(bytes, 8)),
            sender_ip: array_at::<4>(bytes, 14).into(),
            target_mac: MacAddr(array_at(bytes, 18)),
            target_ip: array_at::<4>(bytes, 24).into(),
        })
    }

    /// Writes the packet at the start of `out`, which should hold [`LEN`] bytes.
    pub fn emit(&self, out: &mut [u8]) {
        put(out, 0, [0, 1, 8, 0, 6, 4]);
        let operation = match self.operation {
            Operation::Request => 1,
            Operation::Reply => 2,
            Operation::Other(other) => other,
        };
        put_u16(out, 6, operation);
        put(out, 8, self.sender_mac.0);
        put(out, 14, self.sender_ip.octets());
        put(out, 18, self.target_mac.0);
        put(out, 24, self.target_ip.octets());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parse_of_emit_is_identity(op: u16, sm: [u8; 6], si: [u8; 4], tm: [u8; 6], ti: [u8; 4]) {
            let operation = match op { 1 => Operation::Request, 2 => Operation::Reply, other => Operation::Other(other) };
            let arp = Arp { operation, sender_mac: MacAddr(sm), sender_ip: si.into(), target_mac: MacAddr(tm), target_ip: ti.into() };
            let mut out = [0; LEN];
            arp.emit(&mut out);
            prop_assert_eq!(Arp::parse(&out), Ok(arp));
        }

        #[test]
        fn any_bytes_parse_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Arp::parse(&bytes);
        }
    }

    #[test]
    fn other_hardware_is_refused() {
        let mut out = [0; LEN];
        Arp {
            operation: Operation::Request,
            sender_mac: MacAddr::ZERO,
            sender_ip: Ipv4Addr::LOCALHOST,
            target_mac: MacAddr::ZERO,
            target_ip: Ipv4Addr::LOCALHOST,
        }
        .emit(&mut out);
        out[1] = 6;
        assert_eq!(Arp::parse(&out), Err(WireError::Malformed));
        assert_eq!(Arp::parse(&out[..27]), Err(WireError::Truncated));
    }
}
