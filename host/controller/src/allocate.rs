//! Numbers that are unique in the cluster: VNIs of segments and addresses of chain ends.
//!
//! What a chain already has it keeps: an allocation lives in its rendered chain and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::cluster::{AddressPlanError, nth_address};
use model::{ClusterConfig, MacAddr, NodeName, ObjectName, RenderedChain};

/// Largest VXLAN network identifier (RFC 7348: 24 bits).
const VNI_MAX: u32 = (1 << 24) - 1;

/// Free numbers, given what all other chains use.
#[derive(Debug)]
pub(crate) struct Allocator<'a> {
    config: &'a ClusterConfig,
    vnis: BTreeSet<u32>,
    addresses: BTreeSet<IpAddr>,
    /// This chain's former allocations.
    kept_vnis: Vec<u32>,
    kept_ends: BTreeMap<(Side, NodeName), IpAddr>,
}

/// Which end of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Entry,
    Exit,
}

/// The cluster's numbers are used up.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllocateError {
    #[error("no VNI is free above {base}; hint: lower `chainVniBase`")]
    Vni { base: u32 },
    #[error(transparent)]
    Address(#[from] AddressPlanError),
}

impl<'a> Allocator<'a> {
    pub(crate) fn new(
        config: &'a ClusterConfig,
        rendered: &BTreeMap<ObjectName, RenderedChain>,
        chain: &ObjectName,
    ) -> Self {
        let mut allocator = Self {
            config,
            vnis: BTreeSet::from([config.vxlan_vni]),
            addresses: BTreeSet::new(),
            kept_vnis: Vec::new(),
            kept_ends: BTreeMap::new(),
        };
        for other in rendered.values() {
            allocator.vnis.extend(other.segments.iter().map(|s| s.vni));
            let ends = other.entries.iter().chain(&other.exits);
            allocator.addresses.extend(ends.map(|e| e.address));
        }
        if let Some(own) = rendered.get(chain) {
            allocator.kept_vnis = own.segments.iter().map(|s| s.vni).collect();
            for (side, ends) in [(Side::Entry, &own.entries), (Side::Exit, &own.exits)] {
                let kept = ends.iter().map(|e| ((side, e.node.clone()), e.address));
                allocator.kept_ends.extend(kept);
            }
        }
        allocator
    }

    /// The VNI of segment `index`.
    pub(crate) fn vni(&mut self, index: usize) -> Result<u32, AllocateError> {
        if let Some(kept) = self.kept_vnis.get(index) {
            return Ok(*kept);
        }
        let base = self.config.chain_vni_base.max(1);
        let free = (base..=VNI_MAX).find(|vni| !self.vnis.contains(vni));
        let vni = free.ok_or(AllocateError::Vni { base })?;
        self.vnis.insert(vni);
        Ok(vni)
    }

    /// Address and MAC of the end on `node`.
    pub(crate) fn end(
        &mut self,
        side: Side,
        node: &NodeName,
    ) -> Result<(IpAddr, MacAddr), AllocateError> {
        if let Some(kept) = self.kept_ends.get(&(side, node.clone())) {
            return Ok((*kept, mac_of(*kept)));
        }
        for index in 1.. {
            let address = nth_address(self.config.chain_cidr, index)?;
            if self.addresses.insert(address) {
                return Ok((address, mac_of(address)));
            }
        }
        unreachable!("the loop ends with an address or with a full network")
    }
}

/// A locally administered MAC that is as unique as the address: `02:fe` and its last four octets.
fn mac_of(address: IpAddr) -> MacAddr {
    let [a, b, c, d] = match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(v6) => {
            let [.., a, b, c, d] = v6.octets();
            [a, b, c, d]
        }
    };
    MacAddr([0x02, 0xfe, a, b, c, d])
}
