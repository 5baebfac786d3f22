//! One batch through the graph and out: to ports, and to the reassembly of its fragments.

use std::net::IpAddr;

use memif_rs::RxQueue;
use vswitch::graph::NodeId;
use vswitch::reassembly::{Outcome, Reassembler};
use vswitch::{Batch, FrameId, HEAD_MAX, Nanos, SwIfIndex, Tail};

use super::mailbox::{Notice, Post};
use super::view::View;
use crate::device::pool::TailPool;
use crate::device::port::{Scratch, Tails};
use crate::function::{Functions, Hook};
use crate::pcap::{Capture, TailsView};

/// Times that packets put together may turn out to carry fragments, before the rest is dropped.
const WHOLE_TURNS_MAX: usize = 4;

/// What a worker forwards with.
pub(super) struct Forward<'a> {
    pub(super) index: usize,
    pub(super) graph: &'a mut vswitch::Worker,
    pub(super) batch: &'a mut Batch,
    pub(super) pool: &'a mut TailPool,
    pub(super) scratch: &'a mut Scratch,
    pub(super) reassembler: &'a mut Reassembler,
    pub(super) functions: &'a mut Functions,
    pub(super) view: &'a View,
    pub(super) now: Nanos,
    pub(super) post: &'a Post,
    pub(super) capture: Option<&'a Capture>,
}

impl Forward<'_> {
    /// Runs the batch; `ring` is where its tails are, when they are not in the pool.
    pub(super) fn run(&mut self, ring: Option<&RxQueue>) {
        self.pool.forget();
        let mut hook = Hook {
            functions: self.functions,
            tails: Tails {
                pool: self.pool,
                ring,
            },
        };
        self.graph
            .run_with(&self.view.tables, self.batch, self.now, &mut hook);
        self.capture_done(ring);
        self.transmit(ring);
    }

    /// Sends the question for a neighbour.
    pub(super) fn ask(&mut self, neighbor: (SwIfIndex, IpAddr)) {
        self.graph
            .ask(&self.view.tables, self.batch, neighbor, self.now);
        self.transmit(None);
        self.batch.clear();
    }

    fn transmit(&mut self, ring: Option<&RxQueue>) {
        let mut tails = Tails {
            pool: self.pool,
            ring,
        };
        for (to, ids) in self.batch.tx_lists() {
            if to == SwIfIndex::LOCAL0 {
                reassemble(
                    self.reassembler,
                    self.graph,
                    self.batch,
                    ids,
                    &tails,
                    (self.view, self.now),
                );
                continue;
            }
            let errors = self.view.port(to).map_or(ids.len() as u64, |port| {
                port.send(self.index, self.batch, ids, &mut tails, self.scratch)
                    .errors
            });
            if errors > 0 {
                self.graph.counters().add_tx_error(to, errors);
            }
        }
        let post = self.post;
        self.graph
            .drain_events(|event| post.send(Notice::Learned(event)));
    }

    /// Copies what was received, before anything happens to it.
    pub(super) fn capture_received(&self, ring: Option<&RxQueue>) {
        let Some(capture) = self.capture.filter(|c| c.spec.rx) else {
            return;
        };
        let tails = TailsView {
            pool: self.pool,
            ring,
        };
        for id in self.batch.received_ids() {
            let frame = self.batch.frame(*id);
            capture.take(frame.rx, frame, self.view.tables.is_bare(frame.rx), &tails);
        }
    }

    /// Copies what leaves and what was dropped.
    fn capture_done(&mut self, ring: Option<&RxQueue>) {
        let Some(capture) = self.capture else { return };
        let tails = TailsView {
            pool: self.pool,
            ring,
        };
        let batch = &*self.batch;
        let tables = &self.view.tables;
        self.graph.drain_drops(|(id, node, why)| {
            let frame = batch.frame(id);
            let is_bare = tables.is_bare(frame.rx);
            capture.take_dropped(frame, (node, why), is_bare, &tails);
        });
        if !capture.spec.tx {
            return;
        }
        let leaving = batch.tx_lists().filter(|(to, _)| *to != SwIfIndex::LOCAL0);
        for (to, ids) in leaving {
            for id in ids {
                capture.take(to, batch.frame(*id), tables.is_bare(to), &tails);
            }
        }
    }

    /// Receives the packets that were put together, once the batch of their last fragments is done.
    pub(super) fn run_whole(&mut self) {
        for _ in 0..WHOLE_TURNS_MAX {
            if !self.reassembler.is_ready() {
                return;
            }
            let (batch, pool) = (&mut *self.batch, &mut *self.pool);
            let mut slot = 0;
            self.reassembler.drain(|whole| {
                let (head, rest) = whole.bytes.split_at(whole.bytes.len().min(HEAD_MAX));
                if let Some(room) = pool.slot_mut(slot as usize).get_mut(..rest.len()) {
                    room.copy_from_slice(rest);
                    let tail = Tail {
                        slot,
                        offset: 0,
                        len: u32::try_from(rest.len()).unwrap_or(0),
                    };
                    // The batch has room for more packets than can be under way.
                    batch
                        .push_whole(whole.rx, head, Some(tail), whole.fragment_size)
                        .ok();
                    slot += 1;
                }
            });
            self.run(None);
            self.batch.clear();
        }
        self.reassembler.drain(|_| {});
    }
}

fn reassemble(
    reassembler: &mut Reassembler,
    graph: &vswitch::Worker,
    batch: &Batch,
    ids: &[FrameId],
    tails: &Tails<'_>,
    (view, now): (&View, Nanos),
) {
    for id in ids {
        let frame = batch.frame(*id);
        let outcome = reassembler.take(frame, &view.tables, now, |room| {
            tails.copy(frame.tail, room)
        });
        if let Outcome::Dropped(reason) = outcome {
            graph.counters().add_drop(NodeId::Ip4Reassembly, reason, 1);
        }
    }
}

const _: () = assert!(vswitch::reassembly::PACKETS_MAX <= crate::device::pool::SLOTS);
