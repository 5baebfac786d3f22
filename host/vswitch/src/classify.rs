//! Classifier tables: masks over the first bytes of a packet, sessions with the values that match, chains of tables.
//!
//! A table looks at `skip` vectors of 16 bytes and compares the next one to five, masked, with its sessions. What a table
//! does not know goes to the next one; the last table of a chain says what becomes of the rest.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::id::Family;
use crate::persist::{PMap, PVec};

/// Bytes of a vector.
pub const VECTOR_LEN: usize = 16;
/// Vectors that a table compares.
pub const MATCH_MAX: usize = 5;
/// Vectors that a table may skip and compare: a worker sees no more of a packet.
pub const VECTORS_MAX: u32 = 12;
/// Tables at once.
pub const TABLES_MAX: usize = 4096;
/// Sessions of all tables together.
pub const SESSIONS_MAX: usize = 262_144;

const WORDS: usize = MATCH_MAX * VECTOR_LEN / 8;

/// `hit_next` or `miss_next` that drops; all others let pass.
pub const NEXT_DENY: u32 = 0;
/// "None" of table numbers and next nodes.
pub const NONE: u32 = u32::MAX;

/// The bytes that a table compares, the rest zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key([u64; WORDS]);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|word| state.write_u64(*word));
    }
}

impl Key {
    /// Up to [`MATCH_MAX`] vectors; bytes that are not there are zero.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut words = [0; WORDS];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks(8)) {
            let mut eight = [0; 8];
            for (to, from) in eight.iter_mut().zip(chunk) {
                *to = *from;
            }
            *word = u64::from_be_bytes(eight);
        }
        Self(words)
    }

    fn masked(self, mask: &Self) -> Self {
        let mut words = self.0;
        for (word, mask) in words.iter_mut().zip(mask.0) {
            *word &= mask;
        }
        Self(words)
    }

    fn bytes(&self, len: usize) -> Vec<u8> {
        let all = self.0.iter().flat_map(|word| word.to_be_bytes());
        all.take(len).collect()
    }
}

/// What an operator says about a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// A hint that is only shown.
    pub buckets: u32,
    pub skip: u32,
    /// Next table of the chain, or [`NONE`].
    pub next_table: u32,
    /// [`NEXT_DENY`], or anything else to let pass.
    pub miss_next: u32,
    /// Counts from this many bytes behind the L3 header of a routed packet, not from the start of the frame.
    pub from_current: Option<i16>,
    /// One to five whole vectors.
    pub mask: Vec<u8>,
}

/// What else a session does to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    None,
    /// Looks packets of this family up in another table.
    SetFib {
        family: Family,
        table_id: u32,
    },
    /// Kept for whoever reads the table; forwarding does not look at it.
    SetMetadata(u32),
}

/// What an operator says about a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSpec {
    /// [`NEXT_DENY`], or anything else to let pass.
    pub hit_next: u16,
    pub opaque: u32,
    pub action: Action,
    /// The skipped vectors and those that are compared.
    pub matched: Vec<u8>,
}

/// A session as the data path sees it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) hit_next: u16,
    pub(crate) opaque: u32,
    pub(crate) action: Action,
    /// What [`Action::SetFib`] stands for.
    pub(crate) fib: Option<(Family, u32)>,
    hits: AtomicU64,
}

impl Session {
    pub(crate) fn new(spec: &SessionSpec, fib: Option<(Family, u32)>) -> Self {
        Self {
            hit_next: spec.hit_next,
            opaque: spec.opaque,
            action: spec.action,
            fib,
            hits: AtomicU64::new(0),
        }
    }
}

/// A table as the data path sees it.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) spec: TableSpec,
    mask: Key,
    pub(crate) sessions: PMap<Key, Arc<Session>>,
}

impl Table {
    pub(crate) fn new(spec: TableSpec) -> Self {
        Self {
            mask: Key::of(&spec.mask),
            spec,
            sessions: PMap::default(),
        }
    }

    /// The key of a session; `None` when it has not the table's length.
    pub(crate) fn key(&self, matched: &[u8]) -> Option<Key> {
        let skip = self.skipped();
        let compared = matched.get(skip..)?;
        (compared.len() == self.spec.mask.len()).then(|| Key::of(compared).masked(&self.mask))
    }

    fn skipped(&self) -> usize {
        usize::try_from(self.spec.skip)
            .unwrap_or(usize::MAX)
            .saturating_mul(VECTOR_LEN)
    }

    fn find(&self, head: &[u8], current: usize) -> Option<&Arc<Session>> {
        let from = match self.spec.from_current {
            None => Some(0),
            Some(offset) => current.checked_add_signed(offset.into()),
        };
        let from = from?.saturating_add(self.skipped());
        let seen = head.get(from..).unwrap_or(&[]);
        self.sessions.get(&Key::of(seen).masked(&self.mask))
    }

    /// All sessions in order of their keys.
    pub(crate) fn list(&self, table: u32) -> Vec<SessionInfo> {
        let mut all = Vec::with_capacity(self.sessions.len());
        self.sessions.for_each(|key, session| {
            all.push(SessionInfo {
                table,
                hit_next: session.hit_next,
                opaque: session.opaque,
                action: session.action,
                hits: session.hits.load(Ordering::Relaxed),
                matched: key.bytes(self.spec.mask.len()),
            });
        });
        all.sort_by(|a, b| a.matched.cmp(&b.matched));
        all
    }
}

/// What a chain says about a packet.
#[derive(Debug)]
pub(crate) enum Verdict<'a> {
    Hit(&'a Session),
    /// No session matches, and this is where such packets go.
    Miss(u32),
    /// The interface names a table that was deleted.
    Gone,
}

/// Walks a chain, which has no cycles. `current` is where the node is in the `head` of the frame.
pub(crate) fn walk<'a>(
    tables: &'a PVec<Arc<Table>>,
    first: u32,
    head: &[u8],
    current: usize,
) -> Verdict<'a> {
    let mut verdict = Verdict::Gone;
    let mut at = first;
    while let Some(table) = tables.get(at) {
        if let Some(session) = table.find(head, current) {
            session.hits.fetch_add(1, Ordering::Relaxed);
            return Verdict::Hit(session);
        }
        verdict = Verdict::Miss(table.spec.miss_next);
        at = table.spec.next_table;
    }
    verdict
}

/// A table in a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    pub index: u32,
    pub spec: TableSpec,
    pub sessions: usize,
}

/// A session in a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    pub table: u32,
    pub hit_next: u16,
    pub opaque: u32,
    pub action: Action,
    pub hits: u64,
    /// The vectors that are compared, masked.
    pub matched: Vec<u8>,
}

/// First tables of an interface's input; in each, [`None`] = no classification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InputTables {
    pub ip4: Option<u32>,
    pub ip6: Option<u32>,
    pub l2: Option<u32>,
}

impl InputTables {
    /// The same chain for all frames.
    pub const fn all(first: u32) -> Self {
        let first = Some(first);
        Self {
            ip4: first,
            ip6: first,
            l2: first,
        }
    }

    /// The chain for routed packets of a family.
    pub const fn of(&self, family: Family) -> Option<u32> {
        match family {
            Family::V4 => self.ip4,
            Family::V6 => self.ip6,
        }
    }
}

/// A mask or a value of a frame's header, for tables that start at the frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeaderBytes([u8; MATCH_MAX * VECTOR_LEN]);

impl HeaderBytes {
    pub(crate) const fn new() -> Self {
        Self([0; MATCH_MAX * VECTOR_LEN])
    }

    #[must_use]
    pub(crate) fn with(mut self, at: usize, bytes: &[u8]) -> Self {
        if let Some(room) = self.0.get_mut(at..at + bytes.len()) {
            room.copy_from_slice(bytes);
        }
        self
    }

    #[must_use]
    pub(crate) fn with_ip(self, at: usize, ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => self.with(at, &ip.octets()),
            IpAddr::V6(ip) => self.with(at, &ip.octets()),
        }
    }

    /// The first bytes, in whole vectors.
    pub(crate) fn vectors(&self, len: usize) -> Vec<u8> {
        let len = len.next_multiple_of(VECTOR_LEN);
        self.0.iter().take(len).copied().collect()
    }
}
