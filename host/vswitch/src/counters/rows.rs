//! A growing table of counter rows: chunks appear when first counted in, and never move.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const CHUNK: usize = 64;
const CHUNKS: usize = 1024;

/// Rows that a table can hold.
pub(crate) const ROWS_MAX: usize = CHUNK * CHUNKS;

type Chunk<const N: usize> = Box<[[AtomicU64; N]; CHUNK]>;

/// Rows of `N` counters; one writer, any number of readers.
pub(super) struct Rows<const N: usize>(Box<[OnceLock<Chunk<N>>]>);

impl<const N: usize> Default for Rows<N> {
    fn default() -> Self {
        Self((0..CHUNKS).map(|_| OnceLock::new()).collect())
    }
}

impl<const N: usize> Rows<N> {
    pub(super) fn add(&self, row: u32, which: usize, by: u64) {
        let Some(chunk) = self.0.get(row as usize / CHUNK) else {
            return;
        };
        let rows = chunk.get_or_init(|| {
            Box::new(std::array::from_fn(|_| {
                std::array::from_fn(|_| AtomicU64::new(0))
            }))
        });
        super::bump(
            rows.get(row as usize % CHUNK)
                .and_then(|row| row.get(which)),
            by,
        );
    }

    fn row(&self, row: u32) -> Option<&[AtomicU64; N]> {
        self.0
            .get(row as usize / CHUNK)?
            .get()?
            .get(row as usize % CHUNK)
    }

    pub(super) fn read(&self, row: u32) -> [u64; N] {
        self.row(row).map_or([0; N], |row| {
            std::array::from_fn(|at| row.get(at).map_or(0, |c| c.load(Ordering::Relaxed)))
        })
    }

    pub(super) fn clear(&self, row: u32) {
        for counter in self.row(row).into_iter().flatten() {
            counter.store(0, Ordering::Relaxed);
        }
    }
}
