//! A batch of frames: received ones, and those that flooding and replies add.

use crate::frame::{BATCH_MAX, Frame, Tail};
use crate::id::SwIfIndex;
use crate::offload::Offload;

/// Most frames of one batch with all clones and replies.
const FRAMES_MAX: usize = 16 * BATCH_MAX;

/// Names a frame inside its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameId(pub(crate) u16);

/// The batch has no room for another frame, or the head is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the batch is full or the head is longer than {HEAD_MAX} bytes", HEAD_MAX = crate::frame::HEAD_MAX)]
pub struct BatchFull;

/// Frames received one after the other on one interface.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RxRun {
    pub(crate) on: SwIfIndex,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// Frames that go through the graph together. Made once per worker and used again: memory grows to the
/// high-water mark and stays.
#[derive(Debug)]
pub struct Batch {
    frames: Vec<Frame>,
    used: usize,
    /// Received frames come first, under the numbers from 0.
    received: Vec<FrameId>,
    rx_runs: Vec<RxRun>,
    tx: Vec<Vec<FrameId>>,
    tx_dirty: Vec<SwIfIndex>,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    pub fn new() -> Self {
        Self {
            frames: vec![Frame::empty(); BATCH_MAX],
            used: 0,
            received: Vec::with_capacity(BATCH_MAX),
            rx_runs: Vec::with_capacity(BATCH_MAX),
            tx: Vec::new(),
            tx_dirty: Vec::with_capacity(64),
        }
    }

    /// Adds a received frame.
    ///
    /// # Errors
    /// [`BatchFull`] after [`BATCH_MAX`] frames, or when `head` is longer than [`crate::HEAD_MAX`].
    pub fn push(
        &mut self,
        rx: SwIfIndex,
        head: &[u8],
        tail: Option<Tail>,
        offload: Offload,
    ) -> Result<FrameId, BatchFull> {
        self.receive(rx, head.len(), tail, offload, |room| {
            room.copy_from_slice(head);
            true
        })
    }

    /// Adds a received frame whose head of `head_len` bytes `fill` writes in place; `fill` says whether it could.
    ///
    /// # Errors
    /// As for [`Batch::push`], and when `fill` failed.
    #[inline]
    pub fn receive(
        &mut self,
        rx: SwIfIndex,
        head_len: usize,
        tail: Option<Tail>,
        offload: Offload,
        fill: impl FnOnce(&mut [u8]) -> bool,
    ) -> Result<FrameId, BatchFull> {
        if self.is_full() {
            return Err(BatchFull);
        }
        let (id, frame) = self.spare().ok_or(BatchFull)?;
        let room = frame.reset(rx, head_len, tail, offload);
        let len = room
            .and_then(|room| fill(room).then_some(head_len + tail.map_or(0, |t| t.len as usize)));
        let Some(len) = len else {
            self.used -= 1;
            return Err(BatchFull);
        };
        self.received.push(id);
        match self.rx_runs.last_mut() {
            Some(run) if run.on == rx => {
                run.packets += 1;
                run.bytes += len as u64;
            }
            _ => self.rx_runs.push(RxRun {
                on: rx,
                packets: 1,
                bytes: len as u64,
            }),
        }
        Ok(id)
    }

    /// Adds the frames that a device received on one interface, as many as there is room for: `len` gives the length of
    /// the head and what is behind it, `fill` writes the head in place and says whether it could. Returns how many were
    /// added, and how many could not be.
    #[inline]
    pub fn receive_burst<P>(
        &mut self,
        rx: SwIfIndex,
        packets: impl Iterator<Item = P>,
        shape: impl Fn(&P) -> (usize, Option<Tail>),
        fill: impl Fn(&P, &mut [u8]) -> bool,
    ) -> (usize, usize) {
        let room = BATCH_MAX.saturating_sub(self.received.len());
        let (first, mut refused, mut bytes) = (self.used, 0, 0);
        let mut spare = self.frames.iter_mut().skip(first).take(room);
        let mut at = first;
        let mut frame = spare.next();
        for packet in packets {
            let Some(to) = &mut frame else { break };
            let (head_len, tail) = shape(&packet);
            let head = to.reset(rx, head_len, tail, Offload::default());
            if head.is_some_and(|head| fill(&packet, head)) {
                bytes += (head_len + tail.map_or(0, |tail| tail.len as usize)) as u64;
                at += 1;
                frame = spare.next();
            } else {
                refused += 1;
            }
        }
        self.used = at;
        let ids = (first..at).filter_map(|at| u16::try_from(at).ok());
        self.received.extend(ids.map(FrameId));
        let packets = at - first;
        if packets > 0 {
            let packets = packets as u64;
            self.rx_runs.push(RxRun {
                on: rx,
                packets,
                bytes,
            });
        }
        (packets, refused)
    }

    /// Adds a packet that was put together from fragments; it is not counted as received again.
    ///
    /// # Errors
    /// Those of [`Batch::push`].
    pub fn push_whole(
        &mut self,
        rx: SwIfIndex,
        head: &[u8],
        tail: Option<Tail>,
        fragment_size: u16,
    ) -> Result<FrameId, BatchFull> {
        let id = self.push(rx, head, tail, Offload::default())?;
        let len = head.len() + tail.map_or(0, |t| t.len as usize);
        if let Some(run) = self.rx_runs.last_mut() {
            (run.packets, run.bytes) = (run.packets - 1, run.bytes.saturating_sub(len as u64));
        }
        if let Some(frame) = self.frame_mut(id) {
            (frame.meta.whole, frame.meta.fragment_size) = (true, fragment_size);
        }
        Ok(id)
    }

    /// Tells whether no more frames can be received before [`Batch::clear`].
    pub fn is_full(&self) -> bool {
        self.received.len() >= BATCH_MAX
    }

    /// Number of received frames.
    pub fn rx_len(&self) -> usize {
        self.received.len()
    }

    pub(crate) fn rx_runs(&self) -> &[RxRun] {
        &self.rx_runs
    }

    /// The received frames, as they were pushed.
    pub fn received_ids(&self) -> &[FrameId] {
        &self.received
    }

    pub(crate) fn received_mut(&mut self) -> impl Iterator<Item = &mut Frame> {
        self.frames.iter_mut().take(self.received.len())
    }

    /// Forgets all frames and lists; devices may release the tails.
    pub fn clear(&mut self) {
        self.used = 0;
        self.received.clear();
        self.rx_runs.clear();
        for sw_if_index in self.tx_dirty.drain(..) {
            if let Some(list) = self.tx.get_mut(sw_if_index.0 as usize) {
                list.clear();
            }
        }
    }

    /// What to transmit, per device interface, in the order of first use.
    pub fn tx_lists(&self) -> impl Iterator<Item = (SwIfIndex, &[FrameId])> {
        self.tx_dirty
            .iter()
            .filter_map(|i| Some((*i, self.tx.get(i.0 as usize)?.as_slice())))
    }

    /// The frame of an id from this batch.
    #[inline]
    pub fn frame(&self, id: FrameId) -> &Frame {
        static NOTHING: std::sync::LazyLock<Frame> = std::sync::LazyLock::new(Frame::empty);
        self.frames
            .get(usize::from(id.0))
            .unwrap_or_else(|| &NOTHING)
    }

    #[inline]
    pub(crate) fn frame_mut(&mut self, id: FrameId) -> Option<&mut Frame> {
        self.frames.get_mut(usize::from(id.0))
    }

    /// Takes an unused frame; its content is stale until reset.
    #[inline]
    pub(crate) fn spare(&mut self) -> Option<(FrameId, &mut Frame)> {
        if self.used >= FRAMES_MAX {
            return None;
        }
        if self.used == self.frames.len() {
            self.frames.push(Frame::empty());
        }
        let id = FrameId(u16::try_from(self.used).ok()?);
        self.used += 1;
        Some((id, self.frames.get_mut(usize::from(id.0))?))
    }

    /// Copies a frame (head copied, tail shared).
    pub(crate) fn copy(&mut self, of: FrameId) -> Option<FrameId> {
        let (id, _) = self.spare()?;
        let (old, new) = self.frames.split_at_mut_checked(usize::from(id.0))?;
        new.first_mut()?.copy_from(old.get(usize::from(of.0))?);
        Some(id)
    }

    /// Gives an unused frame together with the one that it shall be made from.
    pub(crate) fn derive(&mut self, of: FrameId) -> Option<(FrameId, &Frame, &mut Frame)> {
        let (id, _) = self.spare()?;
        let (old, new) = self.frames.split_at_mut_checked(usize::from(id.0))?;
        Some((id, old.get(usize::from(of.0))?, new.first_mut()?))
    }

    pub(crate) fn transmit(&mut self, on: SwIfIndex, ids: &[FrameId]) {
        let at = on.0 as usize;
        if at >= self.tx.len() {
            self.tx
                .resize_with(at + 1, || Vec::with_capacity(BATCH_MAX));
        }
        if let Some(list) = self.tx.get_mut(at) {
            if list.is_empty() {
                self.tx_dirty.push(on);
            }
            list.extend_from_slice(ids);
        }
    }
}
