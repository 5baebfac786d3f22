//! Policies and their segment lists.

use std::net::Ipv6Addr;
use std::sync::Arc;

use super::Result;
use crate::dataplane::Dataplane;
use crate::dataplane::route::{Choice, Source};
use crate::dpo::{Dpo, spread};
use crate::id::{Family, SwIfIndex};
use crate::prefix::Prefix;
use crate::sr::{
    LISTS_MAX, ListInfo, Policy, PolicyChange, PolicyInfo, PolicyKind, PolicySpec, SEGMENTS_MAX,
    SegmentList, SrError, encapsulation, insertion,
};

#[derive(Debug)]
pub(in crate::dataplane) struct PolicyEntry {
    pub(super) index: u32,
    kind: PolicyKind,
    pub(super) is_encap: bool,
    pub(super) fib_table: u32,
    fib: u32,
    encap_src: Ipv6Addr,
    lists: Vec<ListInfo>,
}

impl Dataplane {
    /// Sets the source of encapsulated packets of segment lists to come.
    pub const fn sr_set_encap_source(&mut self, source: Ipv6Addr) {
        self.sr.encap_source = source;
    }

    /// # Errors
    /// [`SrError::InvalidValue`] for zero.
    pub const fn sr_set_encap_hop_limit(&mut self, hop_limit: u8) -> Result<()> {
        if hop_limit == 0 {
            return Err(SrError::InvalidValue);
        }
        self.sr.hop_limit = hop_limit;
        Ok(())
    }

    /// Source and hop limit of encapsulated packets of segment lists to come.
    pub const fn sr_encap(&self) -> (Ipv6Addr, u8) {
        (self.sr.encap_source, self.sr.hop_limit)
    }

    /// Adds a policy with its first segment list. Steering into its binding SID, from an earlier policy,
    /// leads here from now on.
    ///
    /// # Errors
    /// [`SrError::BsidTaken`], [`SrError::NoPolicyTable`], [`SrError::InvalidValue`] for no segments or too many.
    pub fn sr_policy_add(&mut self, spec: &PolicySpec) -> Result<()> {
        if self.sr.policies.contains_key(&spec.bsid) {
            return Err(SrError::BsidTaken);
        }
        let fib_table = table_or_default(spec.fib_table);
        let fib = self
            .fib_of(Family::V6, fib_table)
            .map_err(|_| SrError::NoPolicyTable)?;
        let prefix = Prefix::host(spec.bsid.into());
        if self.routes.contains_key(&(fib, prefix)) {
            return Err(SrError::BsidTaken);
        }
        check_segments(&spec.segments)?;
        let index = self.sr.policy_pool.take();
        let entry = PolicyEntry {
            index,
            kind: spec.kind,
            is_encap: spec.is_encap,
            fib_table,
            fib,
            encap_src: Ipv6Addr::UNSPECIFIED,
            lists: Vec::new(),
        };
        self.sr.policies.insert(spec.bsid, entry);
        self.add_list(spec.bsid, &spec.segments, spec.encap_src, spec.weight);
        let dpo = Dpo::SrPolicy {
            policy: index,
            bsid: true,
        };
        let choice = Choice::fixed(dpo, SwIfIndex::NONE);
        self.add_source(fib, prefix, Source::Sr, vec![choice]);
        self.refresh_steering_into(spec.bsid);
        Ok(())
    }

    /// Removes a policy; what is steered into it is dropped until there is one again.
    ///
    /// # Errors
    /// [`SrError::NoPolicy`].
    pub fn sr_policy_del(&mut self, bsid: Ipv6Addr) -> Result<()> {
        let entry = self.sr.policies.remove(&bsid).ok_or(SrError::NoPolicy)?;
        self.remove_source(entry.fib, Prefix::host(bsid.into()), Source::Sr);
        self.tables.sr.policies.remove(entry.index);
        for list in &entry.lists {
            self.tables.sr.lists.remove(list.index);
            self.sr.list_pool.give_back(list.index);
        }
        self.sr.policy_pool.give_back(entry.index);
        self.refresh_steering_into(bsid);
        self.drop_table_if_unused(Family::V6, entry.fib_table);
        self.dirty = true;
        Ok(())
    }

    /// Adds, removes or reweighs a segment list.
    ///
    /// # Errors
    /// [`SrError::NoPolicy`], [`SrError::LastList`], [`SrError::NoListToRemove`], [`SrError::NoListToChange`],
    /// [`SrError::InvalidValue`] for no segments or too many, [`SrError::LimitExceeded`].
    pub fn sr_policy_mod(&mut self, bsid: Ipv6Addr, change: &PolicyChange) -> Result<()> {
        let policy = self.sr.policies.get_mut(&bsid).ok_or(SrError::NoPolicy)?;
        match change {
            PolicyChange::Add {
                segments,
                encap_src,
                weight,
            } => {
                check_segments(segments)?;
                if policy.lists.len() >= LISTS_MAX {
                    return Err(SrError::LimitExceeded);
                }
                self.add_list(bsid, segments, *encap_src, *weight);
            }
            PolicyChange::Del { list } => {
                if policy.lists.len() == 1 {
                    return Err(SrError::LastList);
                }
                let at = policy.lists.iter().position(|l| l.index == *list);
                policy.lists.remove(at.ok_or(SrError::NoListToRemove)?);
                self.tables.sr.lists.remove(*list);
                self.sr.list_pool.give_back(*list);
                self.publish_policy(bsid);
            }
            PolicyChange::Weigh { list, weight } => {
                let found = policy.lists.iter_mut().find(|l| l.index == *list);
                found.ok_or(SrError::NoListToChange)?.weight = *weight;
                self.publish_policy(bsid);
            }
        }
        Ok(())
    }

    /// All policies in the order of their indexes.
    pub fn sr_policies(&self) -> Vec<PolicyInfo> {
        let mut all: Vec<_> = self.sr.policies.iter().collect();
        all.sort_by_key(|(_, entry)| entry.index);
        all.into_iter()
            .map(|(bsid, entry)| PolicyInfo {
                bsid: *bsid,
                kind: entry.kind,
                is_encap: entry.is_encap,
                fib_table: entry.fib_table,
                encap_src: entry.encap_src,
                lists: entry.lists.clone(),
            })
            .collect()
    }

    /// The policy must exist, and the segments be checked.
    fn add_list(&mut self, bsid: Ipv6Addr, path: &[Ipv6Addr], encap_src: Ipv6Addr, weight: u32) {
        let (own, hop_limit) = self.sr_encap();
        let index = self.sr.list_pool.take();
        let Some(policy) = self.sr.policies.get_mut(&bsid) else {
            return;
        };
        let src = if encap_src.is_unspecified() {
            own
        } else {
            encap_src
        };
        let list = if policy.is_encap {
            policy.encap_src = src;
            let rewrite = encapsulation(path, src, hop_limit);
            SegmentList {
                rewrite_bsid: rewrite.clone(),
                rewrite,
                fib: policy.fib,
            }
        } else {
            // The place of the packet's own destination comes last.
            let with_dst: Vec<_> = path
                .iter()
                .copied()
                .chain([Ipv6Addr::UNSPECIFIED])
                .collect();
            SegmentList {
                rewrite: insertion(&with_dst),
                rewrite_bsid: insertion(path),
                fib: policy.fib,
            }
        };
        policy.lists.push(ListInfo {
            index,
            weight: if weight == u32::MAX { 1 } else { weight },
            segments: path.to_vec(),
        });
        self.tables.sr.lists.set(index, Arc::new(list));
        self.publish_policy(bsid);
    }

    /// Makes the data path follow the segment lists of a policy.
    fn publish_policy(&mut self, bsid: Ipv6Addr) {
        let Some(entry) = self.sr.policies.get(&bsid) else {
            return;
        };
        let indexes: Vec<u32> = entry.lists.iter().map(|list| list.index).collect();
        let weights: Vec<u32> = entry.lists.iter().map(|list| list.weight).collect();
        let buckets = spread(&weights)
            .into_iter()
            .filter_map(|at| indexes.get(at).copied())
            .collect();
        let policy = Policy {
            is_encap: entry.is_encap,
            spray: (entry.kind == PolicyKind::Spray).then(|| indexes.into()),
            buckets,
        };
        self.tables.sr.policies.set(entry.index, Arc::new(policy));
        self.dirty = true;
    }
}

fn check_segments(segments: &[Ipv6Addr]) -> Result<()> {
    if segments.is_empty() || segments.len() > SEGMENTS_MAX {
        Err(SrError::InvalidValue)
    } else {
        Ok(())
    }
}

/// `u32::MAX` stands for table 0.
pub(super) const fn table_or_default(table_id: u32) -> u32 {
    if table_id == u32::MAX { 0 } else { table_id }
}
