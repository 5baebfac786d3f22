//! The tables of flows: their limits, their ageing, what they hold.

use std::sync::Arc;

use super::Dataplane;
use crate::id::Nanos;
use crate::session::{FlowTable, KEY_WORDS};
use crate::track::{ACL, Flows, NPOL};

/// Slots of each table that one call of [`Dataplane::age_flows`] looks at: the default tables in 10 seconds.
const SLOTS_PER_CALL: usize = 131_072;

/// Limits of the tables of flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowLimits {
    /// Flows with a verdict of npol.
    pub npol: usize,
    /// Flows that access lists reflect.
    pub acl: usize,
    /// Flows of each family that cloud NAT keeps.
    pub cnat: usize,
    /// Keeps peers from choosing flows that share a bucket; should differ from run to run.
    pub seed: u64,
}

impl Default for FlowLimits {
    fn default() -> Self {
        Self {
            npol: crate::npol::FLOWS_MAX_DEFAULT,
            acl: crate::acl::FLOWS_MAX_DEFAULT,
            cnat: crate::cnat::SESSIONS_DEFAULT,
            seed: 0,
        }
    }
}

impl Dataplane {
    /// Sets the limits. Call it before anything is configured: the flows known so far are forgotten.
    pub fn set_flow_limits(&mut self, limits: FlowLimits) {
        let FlowLimits {
            npol,
            acl,
            cnat,
            seed,
        } = limits;
        self.tables.cnat.with_sessions(cnat, seed);
        for (flows, limit, timeouts) in [
            (&mut self.tables.npol.flows, npol, &NPOL),
            (&mut self.tables.acl_tracking.flows, acl, &ACL),
        ] {
            let reserved = flows.table().bytes() > 0;
            *flows = Arc::new(Flows::new(limit, seed, timeouts));
            if reserved {
                flows.table().reserve();
            }
        }
        self.dirty = true;
    }

    /// Removes some of the flows that are over; to be called about once a second.
    pub fn age_flows(&self, now: Nanos) {
        for flows in [&self.tables.npol.flows, &self.tables.acl_tracking.flows] {
            flows.table().age(SLOTS_PER_CALL, now, |_, _| {});
        }
    }

    /// Flows with a verdict of npol.
    pub fn npol_flows(&self) -> &FlowTable<KEY_WORDS, 1> {
        self.tables.npol.flows.table()
    }

    /// Flows that access lists reflect.
    pub fn acl_flows(&self) -> &FlowTable<KEY_WORDS, 1> {
        self.tables.acl_tracking.flows.table()
    }
}
