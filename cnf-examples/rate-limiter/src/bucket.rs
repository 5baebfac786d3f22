//! A token bucket in integers: the same answers on every machine.

use weft_sdk::Nanos;

/// Largest burst, so that a full bucket in fine units fits a u64.
pub(crate) const BURST_MAX: u64 = 1_000_000_000;
/// Fine units of one token: refilling adds `rate * elapsed nanoseconds` of them.
const UNITS: u64 = 1_000_000_000;

/// Tokens per second and size of the bucket, for packets and for bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rate {
    pub(crate) packets: Option<(u64, u64)>,
    pub(crate) bytes: Option<(u64, u64)>,
}

/// Which bucket was empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    Packets,
    Bytes,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    packets: u64,
    bytes: u64,
    pub(crate) last: Option<Nanos>,
}

impl Rate {
    /// A bucket that has not been used for a long time.
    pub(crate) fn full(&self) -> Bucket {
        let full = |rate: Option<(u64, u64)>| rate.map_or(0, |(_, burst)| burst * UNITS);
        Bucket {
            packets: full(self.packets),
            bytes: full(self.bytes),
            last: None,
        }
    }
}

impl Rate {
    /// A full bucket whose first use is now.
    pub(crate) fn full_at(&self, now: Nanos) -> Bucket {
        Bucket {
            last: Some(now),
            ..self.full()
        }
    }
}

impl Bucket {
    /// Takes the tokens of one packet, of both kinds or of none.
    pub(crate) fn take(&mut self, rate: &Rate, length: u64, now: Nanos) -> Result<(), Denied> {
        let elapsed = self.last.map_or(0, |last| now.0.saturating_sub(last.0));
        self.last = Some(self.last.map_or(now, |last| last.max(now)));
        let refill = |level: u64, rate: Option<(u64, u64)>| {
            rate.map_or(0, |(rate, burst)| {
                level
                    .saturating_add(rate.saturating_mul(elapsed))
                    .min(burst * UNITS)
            })
        };
        self.packets = refill(self.packets, rate.packets);
        self.bytes = refill(self.bytes, rate.bytes);
        let (packet, bytes) = (UNITS, length.saturating_mul(UNITS));
        if rate.packets.is_some() && self.packets < packet {
            return Err(Denied::Packets);
        }
        if rate.bytes.is_some() && self.bytes < bytes {
            return Err(Denied::Bytes);
        }
        self.packets = self.packets.saturating_sub(packet);
        self.bytes = self.bytes.saturating_sub(bytes);
        Ok(())
    }
}
