//! A plane moves frames between links and one kind of function.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use memif_rs::{BurstError, Memory, Queues};
use weft_sdk::Nanos;

use crate::counters::Counters;

/// Frames that are handed to a function at once.
pub(crate) const BATCH_MAX: usize = 256;

/// Bytes of one slot of the packet memory. DPDK's memif servers write up to 2048 bytes into a buffer
/// whatever its descriptor says, so a slot must not be smaller.
pub(crate) const SLOT_BYTES: u32 = 2048;

/// The packet side of a runner: owns the queues and the function. Lives on the worker thread.
pub(crate) trait Plane: Send + 'static {
    /// A function that is loaded and configured, but not serving yet.
    type Next: Send + 'static;

    /// What new links are made of.
    fn memory(&self) -> Memory;
    fn attach(&mut self, port: usize, queues: Queues);
    fn detach(&mut self, port: usize);
    /// Moves at most one batch that arrived on `port`; returns its size.
    ///
    /// # Errors
    /// The ring is broken, or our books are: the link is to be disconnected.
    fn poll(
        &mut self,
        port: usize,
        now: Nanos,
        counters: &mut Counters,
    ) -> Result<usize, BurstError>;
    /// Runs the function's timer when it is due.
    fn tick(&mut self, now: Nanos);
    /// When [`Plane::tick`] wants to be called next.
    fn next_tick(&self) -> Option<Nanos>;
    /// Asks all peers for a doorbell; true when frames are already waiting.
    fn arm(&mut self) -> bool;
    fn disarm(&mut self);
    /// Doorbells of the armed links.
    fn doorbells(&self) -> Vec<BorrowedFd<'_>>;
    /// Puts `next` in service; it gets its predecessor's state.
    fn swap(&mut self, next: Self::Next);
    fn function_counters(&mut self) -> BTreeMap<String, u64>;
    /// Faults of the function since the start, and the last one's text.
    fn faults(&self) -> (u64, String);
}

/// Makes functions ready off the packet path.
pub(crate) trait Loader: Send + Sync + 'static {
    type Next: Send + 'static;

    /// Loads and configures the function anew from its files.
    fn load(
        &self,
        module: Option<&std::path::Path>,
        config: &str,
    ) -> anyhow::Result<Loaded<Self::Next>>;
    /// `native` or `wasm`.
    fn kind(&self) -> &'static str;
}

/// What a [`Loader`] made.
pub(crate) struct Loaded<N> {
    pub(crate) next: N,
    pub(crate) name: String,
    /// SHA-256 of the component in hexadecimal; empty for native code.
    pub(crate) digest: String,
}
