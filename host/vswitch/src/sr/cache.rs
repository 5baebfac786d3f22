//! The headers that a dynamic proxy took off last: written and read by all workers without locks (a seqlock:
//! the version is odd while somebody writes, and readers that saw it change read again).

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Most bytes that are kept; longer headers do not fit a frame's head either.
pub(crate) const CACHED_MAX: usize = 192;

const WORDS: usize = CACHED_MAX / 8;
/// Reads before a reader gives up on a writer that never ends.
const ATTEMPTS: usize = 16;

const _: () = assert!(CACHED_MAX >= crate::frame::HEAD_MAX);

/// Bytes of headers, or nothing yet.
#[derive(Debug)]
pub(crate) struct HeaderCache {
    version: AtomicU64,
    len: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl Default for HeaderCache {
    fn default() -> Self {
        Self {
            version: AtomicU64::new(0),
            len: AtomicU64::new(0),
            words: [const { AtomicU64::new(0) }; WORDS],
        }
    }
}

impl HeaderCache {
    /// Keeps `bytes`, unless they are kept already or another worker is writing right now.
    pub(crate) fn store(&self, bytes: &[u8]) {
        let mut words = [0; WORDS];
        if bytes.len() > CACHED_MAX {
            return;
        }
        for (word, chunk) in words.iter_mut().zip(bytes.chunks(8)) {
            let mut padded = [0; 8];
            if let Some(part) = padded.get_mut(..chunk.len()) {
                part.copy_from_slice(chunk);
            }
            *word = u64::from_ne_bytes(padded);
        }
        let used = bytes.len().div_ceil(8);
        if self.is(&words, bytes.len() as u64, used) {
            return;
        }
        let version = self.version.load(Ordering::Relaxed);
        if !version.is_multiple_of(2)
            || self
                .version
                .compare_exchange(version, version + 1, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        fence(Ordering::Release);
        self.len.store(bytes.len() as u64, Ordering::Relaxed);
        for (slot, word) in self.words.iter().zip(words).take(used) {
            slot.store(word, Ordering::Relaxed);
        }
        self.version.store(version + 2, Ordering::Release);
    }

    /// Copies what is kept to `out` and gives its length; `None` when there is nothing.
    pub(crate) fn load(&self, out: &mut [u8; CACHED_MAX]) -> Option<usize> {
        for _ in 0..ATTEMPTS {
            let version = self.version.load(Ordering::Acquire);
            if version == 0 {
                return None;
            }
            let len = usize::try_from(self.len.load(Ordering::Relaxed))
                .ok()?
                .min(CACHED_MAX);
            for (chunk, word) in out.chunks_mut(8).zip(&self.words).take(len.div_ceil(8)) {
                chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
            }
            fence(Ordering::Acquire);
            if version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version {
                return Some(len);
            }
            std::hint::spin_loop();
        }
        None
    }

    fn is(&self, words: &[u64; WORDS], len: u64, used: usize) -> bool {
        let version = self.version.load(Ordering::Acquire);
        let same = version > 0
            && self.len.load(Ordering::Relaxed) == len
            && self
                .words
                .iter()
                .zip(words)
                .take(used)
                .all(|(slot, word)| slot.load(Ordering::Relaxed) == *word);
        fence(Ordering::Acquire);
        same && version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_loaded() {
        let (cache, mut out) = (HeaderCache::default(), [0; CACHED_MAX]);
        assert_eq!(cache.load(&mut out), None);
        cache.store(&[0; CACHED_MAX + 1]);
        assert_eq!(cache.load(&mut out), None, "too long to be kept");
        for len in [0, 1, 8, 61, CACHED_MAX] {
            let bytes: Vec<u8> = (0..len).map(|at| (at ^ len).to_le_bytes()[0]).collect();
            cache.store(&bytes);
            assert_eq!(cache.load(&mut out), Some(len));
            assert_eq!(out[..len], bytes);
        }
    }

    #[test]
    fn readers_see_whole_headers_whoever_writes() {
        let cache = HeaderCache::default();
        cache.store(&[1; 96]);
        std::thread::scope(|scope| {
            for mark in [1u8, 2, 3] {
                let cache = &cache;
                scope.spawn(move || {
                    for round in 0..2000u32 {
                        cache.store(&[mark; 96]);
                        let mut out = [0; CACHED_MAX];
                        if let Some(len) = cache.load(&mut out) {
                            assert!(
                                out[..len].iter().all(|byte| *byte == out[0]),
                                "{round}: {out:?}"
                            );
                        }
                    }
                });
            }
        });
    }
}
