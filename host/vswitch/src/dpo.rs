//! Data-path objects: what a lookup leads to. Values here are indexes into [`crate::Tables`].

use std::net::IpAddr;

use packet::MacAddr;

use crate::id::SwIfIndex;

/// What happens to a packet after a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dpo {
    Drop,
    /// Answer with ICMP unreachable.
    Unreachable,
    /// Answer with ICMP "administratively prohibited".
    Prohibit,
    /// The packet is for the switch itself.
    Local,
    /// The packet is for the address of source NAT, and no session has taken it.
    CnatReturn,
    /// The destination is on this link: find or ask for the neighbour.
    Glean(SwIfIndex),
    /// Send to this neighbour: index of an [`Adjacency`].
    Adjacency(u32),
    /// Look the destination up again in another FIB (index).
    Lookup(u32),
    /// Look the next hop up in a FIB (index). Recursion is resolved per packet, so a change of the
    /// resolving route costs nothing here however many routes depend on it.
    Recursive {
        fib: u32,
        next_hop: IpAddr,
    },
    /// Process as a local SID (index).
    SrLocalsid(u32),
    /// Send along a segment list of a policy (index).
    SrPolicy {
        policy: u32,
        /// The packet came to the binding SID itself.
        bsid: bool,
    },
}

/// Choices of a route, spread by weight over a power of two of buckets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LoadBalance {
    buckets: Box<[Dpo]>,
    /// Where packets are counted; [`NOT_COUNTED`] = nowhere.
    counter: u32,
}

/// Stands for no counter.
pub(crate) const NOT_COUNTED: u32 = u32::MAX;

const BUCKETS_MAX: usize = 512;

impl LoadBalance {
    /// Spreads the choices so that each gets buckets in proportion to its weight (at least one).
    pub fn new(choices: &[(Dpo, u8)]) -> Self {
        let weights: Vec<u32> = choices.iter().map(|(_, w)| u32::from(*w)).collect();
        let buckets = spread(&weights)
            .into_iter()
            .filter_map(|at| choices.get(at).map(|(dpo, _)| *dpo));
        let buckets: Box<[_]> = buckets.collect();
        Self {
            buckets: if buckets.is_empty() {
                [Dpo::Drop].into()
            } else {
                buckets
            },
            counter: NOT_COUNTED,
        }
    }

    /// Has packets counted in this row of the counters of routes.
    pub(crate) fn counted_in(self, counter: u32) -> Self {
        Self { counter, ..self }
    }

    /// Row of the counters of routes, when packets are counted.
    #[inline]
    pub(crate) fn counter(&self) -> Option<u32> {
        (self.counter != NOT_COUNTED).then_some(self.counter)
    }

    /// The choice when there is no other.
    #[inline]
    pub fn only(&self) -> Option<Dpo> {
        match &*self.buckets {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// Chooses by flow hash; `hash` is asked for only when there is a choice.
    pub fn choose(&self, hash: impl FnOnce() -> u32) -> Dpo {
        if let [only] = &*self.buckets {
            return *only;
        }
        let at = hash() as usize % self.buckets.len().max(1);
        self.buckets.get(at).copied().unwrap_or(Dpo::Drop)
    }

    pub fn buckets(&self) -> &[Dpo] {
        &self.buckets
    }
}

/// Spreads positions of `weights` (0 counts as 1) over a power of two of buckets.
pub(crate) fn spread(weights: &[u32]) -> Vec<usize> {
    if weights.len() <= 1 {
        return (0..weights.len()).collect();
    }
    let weight = |w: &u32| u64::from((*w).max(1));
    let total: u64 = weights.iter().map(weight).sum();
    let equal = weights
        .windows(2)
        .all(|w| matches!(w, [a, b] if weight(a) == weight(b)));
    let least = weights.len().next_power_of_two();
    let exact = equal && least == weights.len();
    let wanted = if exact {
        least
    } else {
        let fine = usize::try_from(total * 4).unwrap_or(BUCKETS_MAX);
        fine.max(least * 16).min(BUCKETS_MAX).next_power_of_two()
    };
    let size = wanted.min(BUCKETS_MAX).max(least);
    let mut buckets = Vec::with_capacity(size);
    let mut seen = 0;
    for (at, weight) in weights.iter().map(weight).enumerate() {
        seen += weight;
        let share = (seen * size as u64 + total / 2) / total;
        let upto = usize::try_from(share).unwrap_or(size);
        // Each of those to come needs a bucket too.
        let left = size - (weights.len() - at - 1);
        let upto = upto.max(buckets.len() + 1).min(left);
        buckets.resize(upto.max(buckets.len()), at);
    }
    buckets
}

/// A neighbour on a link, known or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adjacency {
    pub sw_if_index: SwIfIndex,
    pub next_hop: IpAddr,
    /// Destination and source address of the rewrite; `None` = incomplete, ask first.
    pub rewrite: Option<Rewrite>,
}

/// What is put in front of an IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewrite {
    Ethernet {
        dst: MacAddr,
        src: MacAddr,
    },
    /// The link carries bare IP packets.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(choices: &[(Dpo, u8)]) -> Vec<usize> {
        let lb = LoadBalance::new(choices);
        choices
            .iter()
            .map(|(d, _)| lb.buckets().iter().filter(|b| *b == d).count())
            .collect()
    }

    #[test]
    fn buckets_follow_the_weights() {
        let adj = Dpo::Adjacency;
        assert_eq!(shares(&[(adj(1), 1)]), [1]);
        assert_eq!(shares(&[(adj(1), 1), (adj(2), 1)]), [1, 1]);
        assert_eq!(shares(&[(adj(1), 3), (adj(2), 1)]), [24, 8]);
        assert_eq!(LoadBalance::new(&[]).buckets(), [Dpo::Drop]);
        for weights in [[255u8, 1, 1], [1, 255, 1], [1, 1, 255]] {
            let choices: Vec<_> = (0..).map(adj).zip(weights).collect();
            let got = shares(&choices);
            assert!(got.iter().all(|n| *n > 0), "{got:?}");
        }
        for weights in [[u32::MAX, 1, 0], [0, 1, u32::MAX], [1, u32::MAX, 1]] {
            let buckets = spread(&weights);
            assert!((0..3).all(|at| buckets.contains(&at)), "{weights:?}");
        }
    }
}
