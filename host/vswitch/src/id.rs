//! Typed numbers.

use std::fmt;
use std::net::IpAddr;

/// Index of an interface; freed indexes are used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SwIfIndex(pub u32);

impl SwIfIndex {
    /// "No interface".
    pub const NONE: Self = Self(u32::MAX);
    /// The interface that always exists; what is sent to it is for the switch's own thread.
    pub const LOCAL0: Self = Self(0);

    /// Tells whether this is [`SwIfIndex::NONE`].
    pub const fn is_none(self) -> bool {
        self.0 == u32::MAX
    }
}

impl Default for SwIfIndex {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Display for SwIfIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            f.write_str("none")
        } else {
            self.0.fmt(f)
        }
    }
}

impl fmt::Debug for SwIfIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SwIfIndex({self})")
    }
}

/// A point on the caller's monotonic clock, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Nanos(pub u64);

impl Nanos {
    /// Whole seconds, saturating at the end of `u32`.
    pub fn secs(self) -> u32 {
        u32::try_from(self.0 / 1_000_000_000).unwrap_or(u32::MAX)
    }
}

/// IP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Family {
    #[default]
    V4,
    V6,
}

impl Family {
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The version that an IP packet says it has.
    pub(crate) fn of_packet(packet: &[u8]) -> Self {
        if packet.first().is_some_and(|b| b >> 4 == 6) {
            Self::V6
        } else {
            Self::V4
        }
    }

    /// Bits of an address.
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}
