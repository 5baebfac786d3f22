//! What the runner counts. The function has counters of its own.

use std::collections::BTreeMap;

/// Why the runner itself lost a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// The verdict names a link that is down.
    LinkDown,
    /// The peer does not empty its ring.
    RingFull,
    /// Longer than a slot of the packet memory.
    TooLong,
    /// The verdict points outside the frame's slot or names no port.
    BadVerdict,
    /// The function failed during the batch.
    Fault,
}

impl DropReason {
    const ALL: [Self; 5] = [
        Self::LinkDown,
        Self::RingFull,
        Self::TooLong,
        Self::BadVerdict,
        Self::Fault,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::LinkDown => "link-down",
            Self::RingFull => "ring-full",
            Self::TooLong => "too-long",
            Self::BadVerdict => "bad-verdict",
            Self::Fault => "function-fault",
        }
    }
}

/// Frames lost by the runner.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drops([u64; DropReason::ALL.len()]);

impl Drops {
    pub(crate) fn add(&mut self, reason: DropReason, frames: u64) {
        let [link_down, ring_full, too_long, bad_verdict, fault] = &mut self.0;
        *match reason {
            DropReason::LinkDown => link_down,
            DropReason::RingFull => ring_full,
            DropReason::TooLong => too_long,
            DropReason::BadVerdict => bad_verdict,
            DropReason::Fault => fault,
        } += frames;
    }

    /// Every reason with its count, zeros included.
    pub(crate) fn by_name(&self) -> BTreeMap<String, u64> {
        DropReason::ALL
            .iter()
            .zip(self.0)
            .map(|(r, n)| (r.name().to_owned(), n))
            .collect()
    }
}

/// Frames of one link.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PortCounters {
    pub(crate) rx: u64,
    pub(crate) tx: u64,
}

/// Everything that a plane counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) ports: Vec<PortCounters>,
    pub(crate) drops: Drops,
}

impl Counters {
    pub(crate) fn new(ports: usize) -> Self {
        Self {
            ports: vec![PortCounters::default(); ports],
            drops: Drops::default(),
        }
    }

    pub(crate) fn received(&mut self, port: usize, frames: usize) {
        if let Some(port) = self.ports.get_mut(port) {
            port.rx += frames as u64;
        }
    }

    pub(crate) fn sent(&mut self, port: usize, frames: usize) {
        if let Some(port) = self.ports.get_mut(port) {
            port.tx += frames as u64;
        }
    }
}
