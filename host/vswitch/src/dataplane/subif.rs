//! VLAN sub-interfaces and tag rewriting.

use std::sync::Arc;

use super::interface::blank;
use super::{Dataplane, Result};
use crate::error::ApiError;
use crate::id::SwIfIndex;
use crate::interface::{InterfaceKind, LinkMode};
use crate::vlan::{RewriteSpec, SubSpec, TagRewrite, VLAN_ID_MAX};

impl Dataplane {
    /// Makes the sub-interface for one VLAN.
    ///
    /// # Errors
    /// [`ApiError::InvalidVlan`] for 0 and above 4095, [`ApiError::VlanAlreadyExists`] for a taken number,
    /// [`ApiError::InvalidRegistration`] when another sub-interface takes these frames, [`ApiError::InvalidSwIfIndex`].
    pub fn create_vlan_subif(&mut self, parent: SwIfIndex, vlan: u32) -> Result<SwIfIndex> {
        let parent = self.parent_of(parent)?;
        let vlan = u16::try_from(vlan)
            .ok()
            .filter(|id| (1..=VLAN_ID_MAX).contains(id))
            .ok_or(ApiError::InvalidVlan)?;
        self.add_subif(parent, SubSpec::vlan(vlan), ApiError::InvalidRegistration)
    }

    /// Makes a sub-interface that matches as `spec` says.
    ///
    /// # Errors
    /// [`ApiError::VlanAlreadyExists`] for a taken number, [`ApiError::InvalidVlan`] for an id above 4095,
    /// [`ApiError::Unspecified`] when another sub-interface takes these frames or the match is not supported,
    /// [`ApiError::InvalidSwIfIndex`].
    pub fn create_subif(&mut self, parent: SwIfIndex, spec: SubSpec) -> Result<SwIfIndex> {
        let parent = self.parent_of(parent)?;
        let any = spec.outer_any || spec.inner_any;
        let unsupported = !spec.default
            && (spec.outer_any
                || spec.no_tags
                || spec.tag_count() == 0
                || (spec.two_tags && spec.exact_match && any));
        if spec.outer > VLAN_ID_MAX || spec.inner > VLAN_ID_MAX {
            return Err(ApiError::InvalidVlan);
        }
        if unsupported {
            return Err(ApiError::Unspecified);
        }
        self.add_subif(parent, spec, ApiError::Unspecified)
    }

    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`]; [`ApiError::InvalidSubSwIfIndex`] when it is not a sub-interface.
    pub fn delete_subif(&mut self, index: SwIfIndex) -> Result<()> {
        if self.interface(index)?.sub.is_none() {
            return Err(ApiError::InvalidSubSwIfIndex);
        }
        self.remove_interface(index)
    }

    /// Sets how the tags of switched frames change on their way in; on their way out the change is undone.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`]; [`ApiError::InvalidInterface`] when it is not Ethernet;
    /// [`ApiError::InvalidVlanTagCount`] when more tags are to be taken out than the sub-interface names.
    pub fn vlan_tag_rewrite(&mut self, index: SwIfIndex, spec: RewriteSpec) -> Result<()> {
        let info = self.interface(index)?;
        if info.mode != LinkMode::Ethernet || info.kind == InterfaceKind::Local {
            return Err(ApiError::InvalidInterface);
        }
        if TagRewrite::pair(&spec, info.sub.as_ref()).is_none() {
            return Err(ApiError::InvalidVlanTagCount);
        }
        self.info_mut(index)?.tag_rewrite = spec;
        self.refresh(index);
        Ok(())
    }

    /// The interface that a frame of `index` leaves by.
    fn parent_of(&self, index: SwIfIndex) -> Result<SwIfIndex> {
        Ok(self.interface(index)?.kind.parent().unwrap_or(index))
    }

    fn add_subif(
        &mut self,
        parent: SwIfIndex,
        spec: SubSpec,
        taken: ApiError,
    ) -> Result<SwIfIndex> {
        let above = self.interface(parent)?;
        let name = format!("{}.{}", above.name, spec.id);
        if above.mode != LinkMode::Ethernet {
            return Err(taken);
        }
        let numbers = self.subs_of(parent);
        if numbers.iter().any(|i| {
            self.interfaces
                .get(i)
                .is_some_and(|i| i.sub.is_some_and(|s| s.id == spec.id))
        }) {
            return Err(ApiError::VlanAlreadyExists);
        }
        let key = spec.key(parent);
        if self.tables.subs.get(&key).is_some() {
            return Err(taken);
        }
        let above = self.interface(parent)?;
        let mut info = blank(name, above.dev_type, InterfaceKind::Sub { parent });
        info.mac = above.mac;
        info.link_up = above.link_up;
        info.link_mtu = above.link_mtu;
        info.sub = Some(spec);
        let index = self.add_interface(info)?;
        self.tables.subs.insert(key, (index, spec));
        self.subs.insert((parent, index));
        self.refresh(parent);
        Ok(index)
    }

    /// Forgets that `index` is a sub-interface, and deletes the sub-interfaces it has itself.
    pub(super) fn remove_subs(&mut self, index: SwIfIndex) -> Result<()> {
        for sub in self.subs_of(index) {
            self.remove_interface(sub)?;
        }
        let info = self.interface(index)?;
        if let (InterfaceKind::Sub { parent }, Some(spec)) = (info.kind, info.sub) {
            self.tables.subs.remove(&spec.key(parent));
            self.subs.remove(&(parent, index));
            self.refresh(parent);
        }
        Ok(())
    }

    pub(super) fn has_subs(&self, parent: SwIfIndex) -> bool {
        let mut all = self.subs.range((parent, SwIfIndex(0))..);
        all.next().is_some_and(|(of, _)| *of == parent)
    }

    pub(super) fn subs_of(&self, parent: SwIfIndex) -> Vec<SwIfIndex> {
        let all = self
            .subs
            .range((parent, SwIfIndex(0))..)
            .take_while(|(of, _)| *of == parent);
        all.map(|(_, index)| *index).collect()
    }

    /// Both directions of the tag rewrite of an interface, when it has one.
    pub(super) fn tag_rewrite_of(
        spec: &RewriteSpec,
        sub: Option<&SubSpec>,
    ) -> Option<Arc<(TagRewrite, TagRewrite)>> {
        let pair = TagRewrite::pair(spec, sub)?;
        (!pair.0.is_nothing() || !pair.1.is_nothing()).then(|| Arc::new(pair))
    }
}
