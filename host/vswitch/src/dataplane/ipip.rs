//! IPIP tunnels.

use super::interface::blank;
use super::{Dataplane, Result};
use crate::error::ApiError;
use crate::id::{Family, SwIfIndex};
use crate::interface::{InterfaceKind, LinkMode};
use crate::tunnel::{Ipip, IpipKey, IpipSpec};

impl Dataplane {
    /// Makes a point-to-point tunnel; its key is addresses and table.
    ///
    /// # Errors
    /// [`ApiError::InvalidProtocol`] for mixed families, [`ApiError::SameSrcDst`], [`ApiError::NoSuchFib`],
    /// [`ApiError::IfAlreadyExists`], [`ApiError::InstanceInUse`].
    pub fn ipip_add_tunnel(&mut self, mut spec: IpipSpec) -> Result<SwIfIndex> {
        let family = Family::of(spec.dst);
        if Family::of(spec.src) != family {
            return Err(ApiError::InvalidProtocol);
        }
        if spec.src == spec.dst {
            return Err(ApiError::SameSrcDst);
        }
        let fib = self.fib_of(family, spec.table_id)?;
        let key = IpipKey {
            local: spec.src,
            remote: spec.dst,
            fib,
        };
        if self.tables.ipip_of.get(&key).is_some() {
            return Err(ApiError::IfAlreadyExists);
        }
        let name_of = |n: u32| format!("ipip{n}");
        let instance = match spec.instance {
            Some(n) if self.names.contains_key(&name_of(n)) => return Err(ApiError::InstanceInUse),
            Some(n) => n,
            None => (0..)
                .find(|n| !self.names.contains_key(&name_of(*n)))
                .unwrap_or(0),
        };
        spec.instance = Some(instance);
        let mut info = blank(
            name_of(instance),
            "IPIP tunnel device",
            InterfaceKind::Ipip { instance },
        );
        info.mode = LinkMode::Ip;
        let index = self.add_interface(info)?;
        self.tables.ipips.set(
            index.0,
            Ipip {
                src: spec.src,
                dst: spec.dst,
                fib,
                flags: spec.flags,
                dscp: spec.dscp,
            },
        );
        self.tables.ipip_of.insert(key, index);
        self.ipips.insert(index, spec);
        Ok(index)
    }

    /// # Errors
    /// [`ApiError::NoSuchEntry`] when it is no such tunnel.
    pub fn ipip_del_tunnel(&mut self, index: SwIfIndex) -> Result<()> {
        let spec = self.ipips.remove(&index).ok_or(ApiError::NoSuchEntry)?;
        let fib = self.fib_index(Family::of(spec.dst), spec.table_id);
        self.tables.ipip_of.remove(&IpipKey {
            local: spec.src,
            remote: spec.dst,
            fib,
        });
        self.tables.ipips.remove(index.0);
        self.remove_interface(index)
    }

    pub fn ipip_tunnels(&self) -> impl Iterator<Item = (SwIfIndex, &IpipSpec)> {
        self.ipips.iter().map(|(i, t)| (*i, t))
    }
}
