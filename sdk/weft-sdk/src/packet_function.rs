//! The data-plane trait and the nouns around it.

use std::time::Duration;

use crate::{Batch, Fault};

/// Number of a port of the function, dense from zero in the order of the pod's interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u8);

impl PortId {
    /// The other end of a bump in the wire: 0 and 1, 2 and 3, and so on.
    #[must_use]
    pub const fn opposite(self) -> Self {
        Self(self.0 ^ 1)
    }
}

/// A port of the function: one interface of its pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// What packets carry.
    pub id: PortId,
    /// The interface's name in the pod, such as `left`.
    pub name: String,
    /// Largest packet, without the Ethernet header.
    pub mtu: u16,
}

/// Monotonic time in nanoseconds, from an unspecified start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// Time since `earlier`, zero if that is in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A function on packets. One instance per worker; instances share nothing.
pub trait PacketFunction {
    /// Takes the configuration, a JSON document (`null` if there is none), and the ports. Called once, first.
    ///
    /// # Errors
    /// A [`Fault`] that the operator can act on; [`crate::config::parse`] makes one from a bad document.
    fn configure(&mut self, config: &str, ports: &[Port]) -> Result<(), Fault>;

    /// Decides about every packet of a batch. A packet nobody decides about is dropped.
    fn process(&mut self, batch: &mut Batch<'_>);

    /// Counts since `configure`, in a stable order.
    fn counters(&self) -> Vec<(String, u64)>;

    /// How often [`tick`](Self::tick) is wanted.
    fn tick_interval(&self) -> Option<Duration> {
        None
    }

    /// Housekeeping between batches.
    fn tick(&mut self, _now: Nanos) {}

    /// State for the successor on a hot swap, at most `bytes_max` of it: leave out the oldest. A host refuses more
    /// and the successor starts empty.
    fn save(&self, _bytes_max: usize) -> Vec<u8> {
        Vec::new()
    }

    /// Takes over a predecessor's state, after `configure`.
    ///
    /// # Errors
    /// A [`Fault`] if the state cannot be used; the function then starts empty, which is not fatal.
    fn restore(&mut self, _from_version: &str, _state: &[u8]) -> Result<(), Fault> {
        Ok(())
    }
}
