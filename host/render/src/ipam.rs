//! Addresses of a node's pods: the lowest one that is free, and that was not freed a moment ago.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use model::cluster::nth_address;

/// How long a freed address rests, so that late packets do not reach a stranger.
pub const REUSE_DELAY: Duration = Duration::from_secs(30);

/// Number of the gateway in the network.
const GATEWAY: u32 = 1;

/// A network without a free address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "network `{0}` has no free address; hint: remove pods of this node or give nodes a shorter prefix"
)]
pub struct Exhausted(pub IpNet);

/// The addresses of one network. Time is whatever monotonic clock the caller uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    net: IpNet,
    used: BTreeSet<IpAddr>,
    resting: BTreeMap<IpAddr, Duration>,
}

impl Pool {
    pub const fn new(net: IpNet) -> Self {
        Self {
            net,
            used: BTreeSet::new(),
            resting: BTreeMap::new(),
        }
    }

    pub const fn net(&self) -> IpNet {
        self.net
    }

    /// The address of the node itself on this network.
    pub fn gateway(&self) -> Option<IpAddr> {
        nth_address(self.net, GATEWAY).ok()
    }

    /// Marks an address as in use, as after a restart. False when it already was, or is foreign.
    pub fn adopt(&mut self, address: IpAddr) -> bool {
        self.net.contains(&address) && {
            self.resting.remove(&address);
            self.used.insert(address)
        }
    }

    /// Hands out an address: the lowest that rests no more, else the one that rested longest.
    ///
    /// # Errors
    /// [`Exhausted`] when every address is in use.
    pub fn allocate(&mut self, now: Duration) -> Result<IpAddr, Exhausted> {
        self.resting
            .retain(|_, freed| now.saturating_sub(*freed) < REUSE_DELAY);
        let lowest = (GATEWAY + 1..)
            .map_while(|n| nth_address(self.net, n).ok())
            .find(|a| !self.used.contains(a) && !self.resting.contains_key(a));
        let longest_rested = || self.resting.iter().min_by_key(|(_, freed)| **freed);
        let address = lowest
            .or_else(|| longest_rested().map(|(address, _)| *address))
            .ok_or(Exhausted(self.net))?;
        self.adopt(address);
        Ok(address)
    }

    /// Takes an address back.
    pub fn release(&mut self, address: IpAddr, now: Duration) {
        if self.used.remove(&address) {
            self.resting.insert(address, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(net: &str) -> Pool {
        Pool::new(net.parse().unwrap())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const START: Duration = Duration::from_secs(100);

    #[test]
    fn the_lowest_free_address_behind_the_gateway_is_handed_out() {
        let mut pool = pool("10.1.2.0/24");
        assert_eq!(pool.gateway(), Some(ip("10.1.2.1")));
        assert!(pool.adopt(ip("10.1.2.3")));
        let got: Vec<_> = (0..3).map(|_| pool.allocate(START).unwrap()).collect();
        assert_eq!(got, [ip("10.1.2.2"), ip("10.1.2.4"), ip("10.1.2.5")]);
    }

    #[test]
    fn a_freed_address_rests_before_it_is_used_again() {
        let mut pool = pool("10.1.2.0/24");
        let first = pool.allocate(START).unwrap();
        pool.release(first, START);
        assert_ne!(pool.allocate(START).unwrap(), first);
        assert_eq!(pool.allocate(START + REUSE_DELAY).unwrap(), first);
    }

    #[test]
    fn a_full_network_gives_the_address_that_rested_longest_and_then_refuses() {
        let mut pool = pool("10.1.2.0/29");
        let all: Vec<_> = (0..5).map(|_| pool.allocate(START).unwrap()).collect();
        assert_eq!(pool.allocate(START), Err(Exhausted(pool.net())));
        pool.release(all[3], START);
        pool.release(all[1], START + Duration::from_secs(1));
        assert_eq!(pool.allocate(START + Duration::from_secs(2)), Ok(all[3]));
    }

    #[test]
    fn a_foreign_address_is_not_adopted() {
        assert!(!pool("10.1.2.0/24").adopt(ip("10.1.3.4")));
    }
}
