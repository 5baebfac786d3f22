//! Packet functions: code of others that decides about packets, as a feature of interfaces.
//!
//! The graph knows a function by its number. Whoever runs it implements [`PacketHook`], gets a [`Job`] of packets in
//! one call, and answers each with a [`Ruling`]; a function sees whole packets with an Ethernet header in front, which is
//! made up on links that have none. Nothing it answers is trusted: a changed packet is checked like a received one, and
//! one that it did not change is the one that came.

use packet::{MacAddr, ethernet};

use crate::batch::{Batch, FrameId};
use crate::frame::{ETHERNET_LEN, Frame, HEAD_MAX, Tail};
use crate::id::{Family, Nanos};

/// Most functions at one time.
pub const FUNCTIONS_MAX: usize = 64;
/// Longest name of a function, in bytes.
pub const NAME_MAX: usize = 63;
/// Bytes of the link header in front of each packet.
pub const LINK_LEN: usize = ethernet::HEADER_LEN;
/// Most bytes that [`Job::change`] takes behind the link header; the rest is a tail.
pub const CHANGED_HEAD_MAX: usize = HEAD_MAX - LINK_LEN;

/// Where a packet meets a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// It came in by the interface.
    Input,
    /// It leaves by the interface.
    Output,
}

/// A function as the data path sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) fail_open: bool,
}

/// What the writer knows about a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionInfo {
    pub index: u32,
    pub name: String,
    /// Packets pass while it fails; otherwise they are dropped.
    pub fail_open: bool,
}

/// What was counted about a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FunctionCounters {
    /// Packets that met it.
    pub packets: u64,
    /// Of those, what it dropped.
    pub drops: u64,
    /// What it changed.
    pub changed: u64,
    /// Packets about which it failed to decide: they passed or were dropped, as configured.
    pub undecided: u64,
    /// Calls that failed.
    pub faults: u64,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ruling {
    #[default]
    Drop,
    /// On, as it came.
    Pass,
    /// On, as [`Job::change`] made it.
    Changed,
    /// The answer made no sense.
    Nonsense,
    /// The function cannot be shown a packet of this length.
    TooLong,
    /// There is no memory for the changed packet.
    NoRoom,
}

/// Why a call gave no rulings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookFault {
    /// The function failed now.
    Failed,
    /// It failed before and is not tried, or is not there.
    Absent,
}

/// Runs packet functions; each worker has its own.
pub trait PacketHook {
    /// Lets a function rule on all packets of a job.
    ///
    /// # Errors
    /// [`HookFault`]; what was ruled is then ignored, and no packet may have been changed.
    fn process(&mut self, function: u32, job: &mut Job<'_>, now: Nanos) -> Result<(), HookFault>;
}

/// A worker without functions.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFunctions;

impl PacketHook for NoFunctions {
    fn process(&mut self, _: u32, _: &mut Job<'_>, _: Nanos) -> Result<(), HookFault> {
        Err(HookFault::Absent)
    }
}

/// Packets of one call, at most [`crate::BATCH_MAX`].
#[derive(Debug)]
pub struct Job<'a> {
    side: Side,
    batch: &'a mut Batch,
    ids: &'a [FrameId],
    rulings: &'a mut [Ruling],
}

/// A packet of a job: link header, then `head`, then the bytes that `tail` names.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    pub link: [u8; LINK_LEN],
    pub head: &'a [u8],
    pub tail: Option<Tail>,
}

impl Packet<'_> {
    /// Its length, in bytes.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a packet length, not a container"
    )]
    pub fn len(&self) -> usize {
        LINK_LEN + self.head.len() + self.tail.map_or(0, |t| t.len as usize)
    }
}

impl<'a> Job<'a> {
    /// `rulings` has a place for each of `ids`.
    pub(crate) fn new(
        side: Side,
        batch: &'a mut Batch,
        ids: &'a [FrameId],
        rulings: &'a mut [Ruling],
    ) -> Self {
        Self {
            side,
            batch,
            ids,
            rulings,
        }
    }

    pub const fn side(&self) -> Side {
        self.side
    }

    /// Number of packets.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a job without packets is never made"
    )]
    pub const fn len(&self) -> usize {
        self.ids.len()
    }

    /// The packet at a position.
    pub fn packet(&self, at: usize) -> Option<Packet<'_>> {
        let frame = self.batch.frame(*self.ids.get(at)?);
        Some(Packet {
            link: link(frame),
            head: frame.l3(),
            tail: frame.tail,
        })
    }

    /// Says what becomes of a packet that stays as it is.
    pub fn rule(&mut self, at: usize, ruling: Ruling) {
        if let Some(place) = self.rulings.get_mut(at) {
            *place = ruling;
        }
    }

    /// Lets a packet pass with other bytes: `head`, at most [`CHANGED_HEAD_MAX`] bytes from the IP header on, then `tail`.
    /// Of the link header the addresses count, and those on output only.
    pub fn change(&mut self, at: usize, link: &[u8; LINK_LEN], head: &[u8], tail: Option<Tail>) {
        let frame = self.ids.get(at).and_then(|id| self.batch.frame_mut(*id));
        let done = frame.is_some_and(|frame| {
            if self.side == Side::Output && frame.meta.l3 == ETHERNET_LEN {
                set_addresses(frame, link);
            }
            frame.set_l3(head, tail)
        });
        let ruling = if done {
            Ruling::Changed
        } else {
            Ruling::Nonsense
        };
        self.rule(at, ruling);
    }
}

/// The link header of a packet, or one with zero addresses where the link has none.
fn link(frame: &Frame) -> [u8; LINK_LEN] {
    if frame.meta.l3 == ETHERNET_LEN
        && let Some(header) = frame.head().first_chunk()
    {
        return *header;
    }
    let ethertype = match Family::of_packet(frame.l3()) {
        Family::V4 => ethernet::IPV4,
        Family::V6 => ethernet::IPV6,
    };
    ethernet::header(MacAddr::ZERO, MacAddr::ZERO, ethertype)
}

fn set_addresses(frame: &mut Frame, link: &[u8; LINK_LEN]) {
    let addresses = 2 * packet::MacAddr::ZERO.0.len();
    if let (Some(to), Some(from)) = (frame.head_mut().get_mut(..addresses), link.get(..addresses)) {
        to.copy_from_slice(from);
    }
}
