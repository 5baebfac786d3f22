//! From paths to what the data path follows: load balances and the adjacencies they hold.

use std::net::IpAddr;
use std::sync::Arc;

use super::Dataplane;
use super::route::{Choice, Target};
use crate::counters::ROUTES_COUNTED_MAX;
use crate::dpo::{Dpo, LoadBalance};
use crate::id::SwIfIndex;
use crate::interface::LinkMode;
use crate::prefix::Prefix;
use crate::route::{PathKind, RoutePath};

/// A load balance that routes share.
#[derive(Debug)]
pub(super) struct SharedLoadBalance {
    index: u32,
    routes: u32,
    /// Adjacencies that it leads to.
    held: Box<[(SwIfIndex, IpAddr)]>,
}

impl Dataplane {
    /// Replaces a load balance, and gives the adjacencies that it now holds instead of `old`.
    pub(super) fn set_load_balance(
        &mut self,
        index: u32,
        choices: &[Choice],
        old: &[(SwIfIndex, IpAddr)],
    ) -> Vec<(SwIfIndex, IpAddr)> {
        let (choices, held) = self.balance(choices);
        self.tables.load_balances.set(index, Arc::new(choices));
        old.iter().for_each(|key| self.release_adjacency(*key));
        held
    }

    pub(super) fn free_load_balance(&mut self, index: u32, held: &[(SwIfIndex, IpAddr)]) {
        self.tables.load_balances.remove(index);
        self.load_balance_pool.give_back(index);
        held.iter().for_each(|key| self.release_adjacency(*key));
    }

    /// Gives the load balance of a route. Routes that are not counted share the load balance of the same choices: a full
    /// table has few of them, which stay in the cache.
    pub(super) fn share_load_balance(&mut self, choices: &[Choice], stats_index: u32) -> u32 {
        let (mut choices, held) = self.balance(choices);
        if stats_index < ROUTES_COUNTED_MAX {
            choices = choices.counted_in(stats_index);
        }
        if let Some(shared) = self.shared_load_balances.get_mut(&choices) {
            shared.routes += 1;
            let index = shared.index;
            // It holds the same ones.
            held.iter().for_each(|key| self.release_adjacency(*key));
            return index;
        }
        let (index, choices) = (self.load_balance_pool.take(), Arc::new(choices));
        self.tables.load_balances.set(index, Arc::clone(&choices));
        let shared = SharedLoadBalance {
            index,
            routes: 1,
            held: held.into(),
        };
        self.shared_load_balances.insert(choices, shared);
        index
    }

    /// Undoes [`Self::share_load_balance`].
    pub(super) fn unshare_load_balance(&mut self, index: u32) {
        let Some(choices) = self.tables.load_balances.get(index).map(Arc::clone) else {
            return;
        };
        let Some(shared) = self.shared_load_balances.get_mut(&choices) else {
            return;
        };
        shared.routes -= 1;
        if shared.routes == 0
            && let Some(shared) = self.shared_load_balances.remove(&choices)
        {
            self.free_load_balance(index, &shared.held);
        }
    }

    /// What usable choices come to, and the adjacencies that are held for them.
    fn balance(&mut self, choices: &[Choice]) -> (LoadBalance, Vec<(SwIfIndex, IpAddr)>) {
        let mut held = Vec::new();
        let usable: Vec<_> = choices
            .iter()
            .filter(|c| self.is_usable(c))
            .copied()
            .collect();
        let preference = |c: &Choice| match c.target {
            Target::Path(p) => p.preference,
            Target::Fixed(_) => 0,
        };
        let best = usable.iter().map(preference).min().unwrap_or(0);
        let mut dpos = Vec::with_capacity(usable.len());
        for choice in usable.iter().filter(|c| preference(c) == best) {
            dpos.push(match choice.target {
                Target::Fixed(Dpo::Glean(on)) => (self.glean(on, None, &mut held), 1),
                Target::Fixed(dpo) => (dpo, 1),
                Target::Path(path) => (self.resolve(&path, &mut held), path.weight),
            });
        }
        (LoadBalance::new(&dpos), held)
    }

    /// A path on an interface that is down does not forward; local and drop paths always do.
    fn is_usable(&self, choice: &Choice) -> bool {
        let needs_link = match choice.target {
            Target::Fixed(dpo) => matches!(dpo, Dpo::Glean(_)),
            Target::Path(path) => path.kind == PathKind::Normal && !choice.on.is_none(),
        };
        !needs_link || self.interfaces.get(&choice.on).is_some_and(|i| i.admin_up)
    }

    fn resolve(&mut self, path: &RoutePath, held: &mut Vec<(SwIfIndex, IpAddr)>) -> Dpo {
        match path.kind {
            PathKind::Local => Dpo::Local,
            PathKind::Drop => Dpo::Drop,
            PathKind::IcmpUnreach => Dpo::Unreachable,
            PathKind::IcmpProhibit => Dpo::Prohibit,
            PathKind::Normal => {
                match (path.next_hop.is_unspecified(), path.sw_if_index.is_none()) {
                    (false, false) => self.glean(path.sw_if_index, Some(path.next_hop), held),
                    (true, false) => self.glean(path.sw_if_index, None, held),
                    (false, true) => Dpo::Recursive {
                        fib: self.fib_index(path.family, path.table_id),
                        next_hop: path.next_hop,
                    },
                    (true, true) => Dpo::Lookup(self.fib_index(path.family, path.table_id)),
                }
            }
        }
    }

    /// A neighbour when one is named, or when the link has only one peer; else "whoever has the destination".
    fn glean(
        &mut self,
        on: SwIfIndex,
        next_hop: Option<IpAddr>,
        held: &mut Vec<(SwIfIndex, IpAddr)>,
    ) -> Dpo {
        let point_to_point = self
            .interfaces
            .get(&on)
            .is_some_and(|i| i.mode == LinkMode::Ip);
        let Some(peer) =
            next_hop.or_else(|| point_to_point.then(|| Prefix::any(crate::id::Family::V4).addr))
        else {
            return Dpo::Glean(on);
        };
        held.push((on, peer));
        Dpo::Adjacency(self.acquire_adjacency((on, peer)))
    }
}
