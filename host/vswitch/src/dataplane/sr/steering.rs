//! Steering: traffic that is led into a policy.

use std::net::Ipv6Addr;

use super::Result;
use super::policy::table_or_default;
use crate::dataplane::Dataplane;
use crate::dataplane::route::{Choice, Source};
use crate::dpo::Dpo;
use crate::id::{Family, SwIfIndex};
use crate::interface::{InterfaceKind, L2Config, LinkMode};
use crate::sr::{SrError, Steered};

impl Dataplane {
    /// Leads traffic into the policy of `bsid`; traffic that is steered already changes its policy.
    ///
    /// # Errors
    /// [`SrError::NoSteeringPolicy`], [`SrError::InvalidSwIfIndex`], [`SrError::NoSteeringInterface`], [`SrError::CannotSteer`] for IPv4 or
    /// frames into a policy that inserts, and for an unknown table.
    pub fn sr_steering_add(&mut self, steered: Steered, bsid: Ipv6Addr) -> Result<()> {
        let steered = named(steered);
        if let Steered::L2(on) = steered {
            let info = self.interface(on).map_err(|_| SrError::InvalidSwIfIndex)?;
            if info.kind == InterfaceKind::Local || info.mode != LinkMode::Ethernet {
                return Err(SrError::NoSteeringInterface);
            }
        }
        let policy = self
            .sr
            .policies
            .get(&bsid)
            .ok_or(SrError::NoSteeringPolicy)?;
        if needs_encap(&steered) && !policy.is_encap {
            return Err(SrError::CannotSteer);
        }
        if let Steered::L3 { table, prefix } = steered {
            self.fib_of(prefix.family(), table)
                .map_err(|_| SrError::CannotSteer)?;
        }
        self.sr.steering.insert(steered, bsid);
        self.refresh_steering(steered);
        Ok(())
    }

    /// Ends steering. An interface is routed from then on.
    ///
    /// # Errors
    /// [`SrError::InvalidSwIfIndex`], [`SrError::NoSteering`].
    pub fn sr_steering_del(&mut self, steered: Steered) -> Result<()> {
        let steered = named(steered);
        if let Steered::L2(on) = steered {
            self.interface(on).map_err(|_| SrError::InvalidSwIfIndex)?;
        }
        self.sr
            .steering
            .remove(&steered)
            .ok_or(SrError::NoSteering)?;
        match steered {
            Steered::L2(on) => {
                if self
                    .interface(on)
                    .is_ok_and(|info| matches!(info.l2, L2Config::SrPolicy(_)))
                {
                    // The interface was looked at just now.
                    let _ = self.leave_l2(on);
                }
            }
            Steered::L3 { table, prefix } => {
                let fib = self.fib_index(prefix.family(), table);
                self.remove_source(fib, prefix.masked(), Source::Sr);
                self.drop_table_if_unused(prefix.family(), table);
            }
        }
        Ok(())
    }

    /// All steering with the binding SIDs of its policies.
    pub fn sr_steering(&self) -> impl Iterator<Item = (Steered, Ipv6Addr)> + '_ {
        self.sr.steering.iter().map(|(s, bsid)| (*s, *bsid))
    }

    /// A policy came, went, or changed its index.
    pub(super) fn refresh_steering_into(&mut self, bsid: Ipv6Addr) {
        let all: Vec<_> = self
            .sr
            .steering
            .iter()
            .filter(|(_, into)| **into == bsid)
            .map(|(steered, _)| *steered)
            .collect();
        all.into_iter()
            .for_each(|steered| self.refresh_steering(steered));
    }

    pub(super) fn forget_steering_on(&mut self, on: SwIfIndex) {
        self.sr.steering.remove(&Steered::L2(on));
    }

    fn refresh_steering(&mut self, steered: Steered) {
        let policy = self
            .sr
            .steering
            .get(&steered)
            .and_then(|bsid| self.sr.policies.get(bsid));
        // The policy may be another by now, one that inserts.
        let needs_encap = needs_encap(&steered);
        let policy = policy
            .filter(|entry| entry.is_encap || !needs_encap)
            .map(|entry| entry.index);
        match steered {
            Steered::L2(on) => {
                let l2 = L2Config::SrPolicy(policy.unwrap_or(u32::MAX));
                // The interface exists as long as it is steered.
                let _ = self.set_l2_sr(on, l2);
            }
            Steered::L3 { table, prefix } => {
                let dpo = policy.map_or(Dpo::Drop, |policy| Dpo::SrPolicy {
                    policy,
                    bsid: false,
                });
                let fib = self.fib_index(prefix.family(), table);
                let choice = Choice::fixed(dpo, SwIfIndex::NONE);
                self.add_source(fib, prefix.masked(), Source::Sr, vec![choice]);
            }
        }
    }
}

const fn named(steered: Steered) -> Steered {
    match steered {
        Steered::L2(on) => Steered::L2(on),
        Steered::L3 { table, prefix } => Steered::L3 {
            table: table_or_default(table),
            prefix,
        },
    }
}

/// A header can be inserted into IPv6 packets only.
const fn needs_encap(steered: &Steered) -> bool {
    match steered {
        Steered::L2(_) => true,
        Steered::L3 { prefix, .. } => matches!(prefix.family(), Family::V4),
    }
}
