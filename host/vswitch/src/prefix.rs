//! IP prefixes of both families.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::ApiError;
use crate::id::Family;

/// An address and a length; host bits are kept (interface addresses need them), see [`Prefix::masked`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    pub addr: IpAddr,
    pub len: u8,
}

impl Prefix {
    /// The whole address space of a family.
    pub const fn any(family: Family) -> Self {
        match family {
            Family::V4 => Self {
                addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                len: 0,
            },
            Family::V6 => Self {
                addr: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                len: 0,
            },
        }
    }

    /// # Errors
    /// [`ApiError::InvalidPrefixLength`] when `len` is longer than the address.
    pub fn new(addr: IpAddr, len: u8) -> Result<Self, ApiError> {
        if len > Family::of(addr).bits() {
            Err(ApiError::InvalidPrefixLength)
        } else {
            Ok(Self { addr, len })
        }
    }

    /// The prefix of one address.
    pub const fn host(addr: IpAddr) -> Self {
        Self {
            addr,
            len: Family::of(addr).bits(),
        }
    }

    pub const fn family(&self) -> Family {
        Family::of(self.addr)
    }

    /// Clears the host bits.
    #[must_use]
    pub fn masked(self) -> Self {
        let addr = match self.addr {
            IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & mask4(self.len)).into(),
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & mask6(self.len)).into(),
        };
        Self {
            addr,
            len: self.len,
        }
    }

    /// Tells whether `addr` lies inside; the other family never does.
    pub fn contains(&self, addr: IpAddr) -> bool {
        match (self.addr, addr) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()) & mask4(self.len) == 0,
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()) & mask6(self.len) == 0,
            _ => false,
        }
    }
}

/// Netmask of an IPv4 prefix length.
pub const fn mask4(len: u8) -> u32 {
    if len == 0 {
        0
    } else {
        u32::MAX << (32 - if len > 32 { 32 } else { len })
    }
}

/// Netmask of an IPv6 prefix length.
pub const fn mask6(len: u8) -> u128 {
    if len == 0 {
        0
    } else {
        u128::MAX << (128 - if len > 128 { 128 } else { len })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Prefix {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        let (addr, len) = text.split_once('/').ok_or(ApiError::InvalidPrefixLength)?;
        let addr = addr.parse().map_err(|_| ApiError::InvalidValue)?;
        Self::new(
            addr,
            len.parse().map_err(|_| ApiError::InvalidPrefixLength)?,
        )
    }
}
