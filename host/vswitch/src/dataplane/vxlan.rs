//! VXLAN tunnels.

use std::collections::BTreeSet;

use super::interface::blank;
use super::{Dataplane, Result};
use crate::error::ApiError;
use crate::id::{Family, SwIfIndex};
use crate::interface::{InterfaceKind, LinkMode};
use crate::tunnel::{Vxlan, VxlanKey, VxlanSpec};

impl Dataplane {
    /// Adds or deletes a tunnel; its key is addresses, VNI, table and its own port. It is up from the start.
    ///
    /// # Errors
    /// [`ApiError::SameSrcDst`], [`ApiError::InvalidValue`] for mixed families or a VNI above 24 bits,
    /// [`ApiError::NoSuchFib`], [`ApiError::TunnelExists`], [`ApiError::InstanceInUse`],
    /// [`ApiError::NoSuchEntry`] on delete, [`ApiError::Unimplemented`] for a multicast destination.
    pub fn vxlan_add_del_tunnel_v3(&mut self, is_add: bool, spec: VxlanSpec) -> Result<SwIfIndex> {
        let (family, port) = (Family::of(spec.dst), spec.ports().0);
        let fib = self.fib_of(Family::of(spec.src), spec.encap_table)?;
        if Family::of(spec.src) != family || spec.vni > packet::vxlan::VNI_MAX {
            return Err(ApiError::InvalidValue);
        }
        if spec.src == spec.dst {
            return Err(ApiError::SameSrcDst);
        }
        if spec.dst.is_multicast() {
            return Err(ApiError::Unimplemented);
        }
        // What is received cannot tell tunnels apart that differ in the peer's port only.
        let key = VxlanKey {
            local: spec.src,
            remote: spec.dst,
            vni: spec.vni,
            fib,
            port,
        };
        let existing = self.tables.vxlan_of.get(&key).copied();
        if is_add {
            if existing.is_some() {
                return Err(ApiError::TunnelExists);
            }
            return self.add_vxlan(spec, key);
        }
        let index = existing.ok_or(ApiError::NoSuchEntry)?;
        self.vxlans.remove(&index);
        self.tables.vxlan_of.remove(&key);
        self.tables.vxlans.remove(index.0);
        self.refresh_vxlan_ports();
        self.remove_interface(index)?;
        Ok(index)
    }

    pub fn vxlan_tunnels(&self) -> impl Iterator<Item = (SwIfIndex, &VxlanSpec)> {
        self.vxlans.iter().map(|(i, v)| (*i, v))
    }

    fn add_vxlan(&mut self, mut spec: VxlanSpec, key: VxlanKey) -> Result<SwIfIndex> {
        let name_of = |n: u32| format!("vxlan_tunnel{n}");
        let instance = match spec.instance.filter(|n| *n != u32::MAX) {
            Some(n) if self.names.contains_key(&name_of(n)) => return Err(ApiError::InstanceInUse),
            Some(n) => n,
            None => (0..)
                .find(|n| !self.names.contains_key(&name_of(*n)))
                .unwrap_or(0),
        };
        spec.instance = Some(instance);
        let mut info = blank(
            name_of(instance),
            "VXLAN",
            InterfaceKind::Vxlan { instance },
        );
        info.mac = self.generate_mac();
        info.link_up = true;
        info.mode = if spec.is_l3 {
            LinkMode::Ip
        } else {
            LinkMode::Ethernet
        };
        let index = self.add_interface(info)?;
        let vxlan = Vxlan {
            src: spec.src,
            dst: spec.dst,
            dst_port: spec.ports().1,
            vni: spec.vni,
            fib: key.fib,
            is_l3: spec.is_l3,
        };
        self.tables.vxlans.set(index.0, vxlan);
        self.tables.vxlan_of.insert(key, index);
        self.vxlans.insert(index, spec);
        self.refresh_vxlan_ports();
        self.set_flags(index, true)?;
        Ok(index)
    }

    fn refresh_vxlan_ports(&mut self) {
        let ports: BTreeSet<u16> = self.vxlans.values().map(|v| v.ports().0).collect();
        self.tables.vxlan_ports = ports.into_iter().collect();
        self.dirty = true;
    }
}
