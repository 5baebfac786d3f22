//! One bucket per source address, in a bounded table without allocation per packet.
//!
//! Set-associative: when a set is full, the bucket that was idle longest makes room. A source that comes back
//! starts with a full bucket, so a flood of made-up sources costs at most one burst each.

use std::net::IpAddr;

use weft_sdk::Nanos;
use weft_sdk::packet::flow::FlowKey;

use crate::bucket::{Bucket, Rate};

const WAYS: usize = 8;

#[derive(Debug)]
pub(crate) struct Sources {
    /// Whole sets, one after the other.
    places: Vec<Place>,
    sets: usize,
    evicted: u64,
}

#[derive(Debug, Clone)]
struct Place {
    source: Option<IpAddr>,
    bucket: Bucket,
}

impl Sources {
    pub(crate) fn new(max: usize) -> Self {
        let sets = max.div_ceil(WAYS).max(1);
        let empty = Place {
            source: None,
            bucket: Rate::default().full(),
        };
        Self {
            places: vec![empty; sets * WAYS],
            sets,
            evicted: 0,
        }
    }

    pub(crate) const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The bucket of a source, a full one if it has none yet.
    pub(crate) fn bucket(&mut self, source: IpAddr, rate: &Rate, now: Nanos) -> &mut Bucket {
        let key = FlowKey {
            src: source,
            dst: source,
            protocol: 0,
            src_port: 0,
            dst_port: 0,
        };
        let start = (key.hash() as usize % self.sets) * WAYS;
        let set = start..start + WAYS;
        let known = set
            .clone()
            .find(|index| self.places[*index].source == Some(source));
        let index = known.unwrap_or_else(|| {
            let idle_longest = set.min_by_key(|index| self.places[*index].bucket.last);
            let index = idle_longest.unwrap_or(start);
            let old = self.places[index].source.replace(source);
            self.evicted += u64::from(old.is_some());
            self.places[index].bucket = rate.full_at(now);
            index
        });
        &mut self.places[index].bucket
    }
}
