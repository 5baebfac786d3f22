//! Flows that were allowed: a bounded table without allocation per packet.
//!
//! Set-associative: a flow can live in the [`WAYS`] places of one set, chosen by its hash. When all are taken the
//! one that has been silent longest makes room, and the eviction is counted under its reason. Nobody can make
//! the table grow or slow down; flooding it makes old flows ask the rules again.

use std::time::Duration;

use serde::Deserialize;
use weft_sdk::packet::flow::FlowKey;
use weft_sdk::prelude::*;

const WAYS: usize = 8;
const CONNECTIONS_MAX: usize = 1 << 20;
/// How long a flow that said goodbye is remembered: for the answers that are still on their way.
const CLOSING: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ConnectionsConfig {
    max: usize,
    idle_seconds: u32,
}

impl Default for ConnectionsConfig {
    fn default() -> Self {
        Self {
            max: 4096,
            idle_seconds: 300,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Connections {
    /// Whole sets, one after the other.
    places: Vec<Option<Connection>>,
    sets: usize,
    idle: Duration,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    opened: u64,
    /// Evictions of flows that had been silent for too long.
    expired: u64,
    /// Evictions of live flows because their set was full.
    displaced: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) key: FlowKey,
    pub(crate) last: Nanos,
    pub(crate) closing: bool,
}

impl Connections {
    pub(crate) fn new(config: &ConnectionsConfig) -> Result<Self, Fault> {
        if !(1..=CONNECTIONS_MAX).contains(&config.max) {
            let message = format!("not between 1 and {CONNECTIONS_MAX}");
            return Err(Fault::invalid("connections.max", message));
        }
        if config.idle_seconds == 0 {
            let message = "0 would forget a flow before its answer comes";
            return Err(Fault::invalid("connections.idleSeconds", message));
        }
        let sets = config.max.div_ceil(WAYS);
        let idle = Duration::from_secs(u64::from(config.idle_seconds));
        Ok(Self {
            places: vec![None; sets * WAYS],
            sets,
            idle,
            counts: Counts::default(),
        })
    }

    /// True if the packet belongs to a live flow, in either direction; the flow is then live again.
    pub(crate) fn touch(&mut self, key: &FlowKey, closing: bool, now: Nanos) -> bool {
        let idle = self.idle;
        let found = self.set(key).iter_mut().flatten().find(|flow| flow.is(key));
        let Some(flow) = found.filter(|flow| flow.is_live(idle, now)) else {
            return false;
        };
        flow.last = now;
        flow.closing |= closing;
        true
    }

    /// Remembers a flow that the rules allowed.
    pub(crate) fn open(&mut self, key: FlowKey, closing: bool, now: Nanos) {
        self.counts.opened += 1;
        self.insert(Connection {
            key,
            last: now,
            closing,
        });
    }

    pub(crate) fn counters(&self) -> [(&'static str, u64); 3] {
        let Counts {
            opened,
            expired,
            displaced,
        } = self.counts;
        [
            ("connections.opened", opened),
            ("connections.expired", expired),
            ("connections.displaced", displaced),
        ]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.places.iter().flatten()
    }

    /// Takes over a predecessor's flow, unless its set is full of younger ones.
    pub(crate) fn adopt(&mut self, saved: Connection) {
        let set = self.set(&saved.key);
        let older = |place: &Option<Connection>| place.is_none_or(|flow| flow.last < saved.last);
        if set.iter().any(older) {
            self.insert(saved);
        }
    }

    fn insert(&mut self, new: Connection) {
        let idle = self.idle;
        let set = self.set(&new.key);
        let known = set
            .iter()
            .position(|place| place.is_some_and(|flow| flow.is(&new.key)));
        let silent_longest =
            || (0..set.len()).min_by_key(|index| set[*index].map(|flow| flow.last));
        let Some(place) = known
            .or_else(silent_longest)
            .and_then(|index| set.get_mut(index))
        else {
            return;
        };
        let evicted = place.replace(new).filter(|_| known.is_none());
        match evicted.map(|old| old.is_live(idle, new.last)) {
            Some(true) => self.counts.displaced += 1,
            Some(false) => self.counts.expired += 1,
            None => {}
        }
    }

    /// Both directions of a flow share a set.
    fn set(&mut self, key: &FlowKey) -> &mut [Option<Connection>] {
        let hash = key.hash() ^ key.reversed().hash();
        let set = (hash as usize).checked_rem(self.sets).unwrap_or(0) * WAYS;
        self.places.get_mut(set..set + WAYS).unwrap_or_default()
    }
}

impl Connection {
    /// True for the packets of this flow, in either direction.
    fn is(&self, key: &FlowKey) -> bool {
        self.key == *key || self.key == key.reversed()
    }

    fn is_live(&self, idle: Duration, now: Nanos) -> bool {
        let patience = if self.closing {
            CLOSING.min(idle)
        } else {
            idle
        };
        now.since(self.last) < patience
    }
}
