//! Segment routing: local SIDs, policies, steering.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use super::pool::Pool;
use crate::id::{Family, SwIfIndex};
use crate::sr::{Behavior, HOP_LIMIT_DEFAULT, SrError, Steered};

mod localsid;
mod policy;
mod steering;

use localsid::LocalsidEntry;
use policy::PolicyEntry;

type Result<T, E = SrError> = std::result::Result<T, E>;

/// Everything about segment routing that is not in the tables.
#[derive(Debug)]
pub(super) struct SrState {
    /// By SID and prefix length; all tables share one name space, as in VPP.
    localsids: BTreeMap<(Ipv6Addr, u8), LocalsidEntry>,
    localsid_pool: Pool,
    /// Local SIDs of the proxies whose functions are behind an interface; the last one added rules.
    proxies: BTreeMap<(SwIfIndex, Option<Family>), Vec<u32>>,
    policies: BTreeMap<Ipv6Addr, PolicyEntry>,
    policy_pool: Pool,
    list_pool: Pool,
    steering: BTreeMap<Steered, Ipv6Addr>,
    encap_source: Ipv6Addr,
    hop_limit: u8,
}

impl Default for SrState {
    fn default() -> Self {
        Self {
            localsids: BTreeMap::new(),
            localsid_pool: Pool::default(),
            proxies: BTreeMap::new(),
            policies: BTreeMap::new(),
            policy_pool: Pool::default(),
            list_pool: Pool::default(),
            steering: BTreeMap::new(),
            encap_source: Ipv6Addr::UNSPECIFIED,
            hop_limit: HOP_LIMIT_DEFAULT,
        }
    }
}

impl SrState {
    /// Tells whether a local SID, a policy or steering refers to a table.
    pub(super) fn names_table(&self, family: Family, table_id: u32) -> bool {
        let looked_up = |behavior: &Behavior| match behavior {
            Behavior::T { table } | Behavior::Dt6 { table } => Some((Family::V6, *table)),
            Behavior::Dt4 { table } => Some((Family::V4, *table)),
            Behavior::End
            | Behavior::X { .. }
            | Behavior::Dx2 { .. }
            | Behavior::Dx6 { .. }
            | Behavior::Dx4 { .. }
            | Behavior::UnPerf
            | Behavior::Un
            | Behavior::Ua { .. }
            | Behavior::StaticProxy { .. }
            | Behavior::DynamicProxy(_)
            | Behavior::Masquerading(_) => None,
        };
        let is = |named: (Family, u32)| named == (family, table_id);
        let by_sid = self.localsids.values().any(|entry| {
            is((Family::V6, entry.spec.fib_table))
                || looked_up(&entry.spec.behavior).is_some_and(is)
        });
        by_sid
            || self
                .policies
                .values()
                .any(|policy| is((Family::V6, policy.fib_table)))
            || self.steering.keys().any(|steered| match steered {
                Steered::L2(_) => false,
                Steered::L3 { table, prefix } => is((prefix.family(), *table)),
            })
    }
}
