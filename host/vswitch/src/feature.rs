//! Feature arcs: what an interface does to a routed packet on its way in and on its way out, in which order.
//!
//! A feature is a bit of a [`Features`] set that the writer computes for each interface and family. A node
//! that has done its work asks for the node [`Features::after`] its own feature; the lookup (on input) and
//! `interface-output` (on output) end the arcs. The order of the enums is the order of VPP's arcs
//! `ip4-unicast`, `ip6-unicast`, `ip4-output` and `ip6-output`.
//!
//! Policies (npol) see the addresses of the real endpoints, as in VPP, where npol's hooks come last in cnat's
//! input and first in its output. So on input translation runs before policy and may only restore real
//! addresses (service to backend, node back to pod); on output it runs after policy and may only hide them
//! (pod behind node, backend back to service). A reply of a service is therefore translated where it
//! leaves, not where it enters.
//!
//! Packet functions, which VPP does not have, stand beside policies: they see what policies let pass, with the addresses
//! of the real endpoints both ways, and before steering chooses a path.

use crate::graph::NodeId;
use crate::id::Family;

/// What may happen to a routed packet between its validation and the lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InputFeature {
    Reassembly,
    Urpf,
    Acl,
    Cnat,
    Npol,
    Function,
    Abf,
    Inacl,
    SrProxy,
}

/// What may happen to a routed packet between its rewrite and `interface-output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputFeature {
    Urpf,
    Npol,
    Function,
    Cnat,
}

/// A feature of one arc.
pub(crate) trait Feature: Copy + 'static {
    /// All features of the arc, in the order in which they run.
    const ALL: &'static [Self];
    /// The node that follows the last feature.
    fn end(family: Family) -> NodeId;
    /// The node of this feature.
    fn node(self, family: Family) -> NodeId;
    /// Position in [`Feature::ALL`].
    fn position(self) -> u32;
}

impl Feature for InputFeature {
    const ALL: &'static [Self] = &[
        Self::Reassembly,
        Self::Urpf,
        Self::Acl,
        Self::Cnat,
        Self::Npol,
        Self::Function,
        Self::Abf,
        Self::Inacl,
        Self::SrProxy,
    ];

    fn end(family: Family) -> NodeId {
        match family {
            Family::V4 => NodeId::Ip4Lookup,
            Family::V6 => NodeId::Ip6Lookup,
        }
    }

    fn node(self, family: Family) -> NodeId {
        match self {
            Self::Reassembly => match family {
                Family::V4 => NodeId::Ip4Reassembly,
                Family::V6 => NodeId::Ip6Reassembly,
            },
            Self::Urpf => NodeId::UrpfInput,
            Self::Acl => NodeId::AclInput,
            Self::Cnat => match family {
                Family::V4 => NodeId::CnatInput4,
                Family::V6 => NodeId::CnatInput6,
            },
            Self::Npol => NodeId::NpolInput,
            Self::Function => NodeId::FunctionInput,
            Self::Abf => NodeId::AbfInput,
            Self::Inacl => match family {
                Family::V4 => NodeId::Ip4Inacl,
                Family::V6 => NodeId::Ip6Inacl,
            },
            Self::SrProxy => NodeId::SrProxyRewrite,
        }
    }

    fn position(self) -> u32 {
        self as u32
    }
}

impl Feature for OutputFeature {
    const ALL: &'static [Self] = &[Self::Urpf, Self::Npol, Self::Function, Self::Cnat];

    fn end(_: Family) -> NodeId {
        NodeId::InterfaceOutput
    }

    fn node(self, family: Family) -> NodeId {
        match (self, family) {
            (Self::Urpf, _) => NodeId::UrpfOutput,
            (Self::Npol, _) => NodeId::NpolOutput,
            (Self::Function, _) => NodeId::FunctionOutput,
            (Self::Cnat, Family::V4) => NodeId::CnatOutput4,
            (Self::Cnat, Family::V6) => NodeId::CnatOutput6,
        }
    }

    fn position(self) -> u32 {
        self as u32
    }
}

/// The features that an interface has on an arc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Features<F> {
    bits: u16,
    arc: std::marker::PhantomData<F>,
}

const _: () = assert!(InputFeature::ALL.len() <= 16 && OutputFeature::ALL.len() <= 16);

impl<F: Feature> Features<F> {
    /// None.
    pub(crate) const fn new() -> Self {
        Self {
            bits: 0,
            arc: std::marker::PhantomData,
        }
    }

    /// The same with `feature`, if it is `on`.
    #[must_use]
    pub(crate) fn with(self, feature: F, on: bool) -> Self {
        Self {
            bits: self.bits | u16::from(on) << feature.position(),
            ..self
        }
    }

    #[inline]
    pub(crate) const fn is_empty(self) -> bool {
        self.bits == 0
    }

    #[inline]
    pub(crate) fn is_only(self, feature: F) -> bool {
        self.bits == 1 << feature.position()
    }

    /// The node of the first feature, or the end of the arc.
    pub(crate) fn first(self, family: Family) -> NodeId {
        Self::lowest(self.bits, family)
    }

    /// The node of the next feature behind `feature`, or the end of the arc.
    pub(crate) fn after(self, feature: F, family: Family) -> NodeId {
        Self::lowest(self.bits & (!1 << feature.position()), family)
    }

    fn lowest(bits: u16, family: Family) -> NodeId {
        if bits == 0 {
            return F::end(family);
        }
        F::ALL
            .get(bits.trailing_zeros() as usize)
            .map_or_else(|| F::end(family), |f| f.node(family))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_run_in_the_order_of_their_arc() {
        let none = Features::<InputFeature>::new();
        assert_eq!(none.first(Family::V4), NodeId::Ip4Lookup);
        let both = none
            .with(InputFeature::Abf, true)
            .with(InputFeature::Acl, true);
        assert_eq!(both.first(Family::V6), NodeId::AclInput);
        assert_eq!(both.after(InputFeature::Acl, Family::V6), NodeId::AbfInput);
        assert_eq!(both.after(InputFeature::Abf, Family::V6), NodeId::Ip6Lookup);
        for (at, feature) in InputFeature::ALL.iter().enumerate() {
            assert_eq!(feature.position() as usize, at);
        }
    }
}
