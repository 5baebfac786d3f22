//! Interfaces: life cycle, state, names, MTU.

use std::net::Ipv6Addr;
use std::sync::Arc;

use packet::MacAddr;

use super::{Dataplane, Result};
use crate::classify::InputTables;
use crate::error::ApiError;
use crate::event::Notice;
use crate::feature::{Features, InputFeature, OutputFeature};
use crate::id::{Family, SwIfIndex};
use crate::interface::{DeviceSpec, Interface, InterfaceInfo, InterfaceKind, L2Config, LinkMode};
use crate::prefix::Prefix;
use crate::vlan::RewriteSpec;

/// MTU of interfaces that are not devices.
const MTU_DEFAULT: u16 = 9000;

impl Dataplane {
    /// Attaches a device.
    ///
    /// # Errors
    /// [`ApiError::IfAlreadyExists`] when the name is taken.
    pub fn create_device_interface(&mut self, spec: DeviceSpec) -> Result<SwIfIndex> {
        let mut info = blank(spec.name, spec.dev_type, InterfaceKind::Device);
        info.mode = spec.mode;
        info.link_mtu = spec.link_mtu;
        info.link_up = spec.link_up;
        info.mac = if spec.mac.is_zero() {
            self.generate_mac()
        } else {
            spec.mac
        };
        self.add_interface(info)
    }

    /// Detaches a device, with everything configured on it.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`] when it is not a device.
    pub fn delete_interface(&mut self, index: SwIfIndex) -> Result<()> {
        match self.interface(index)?.kind {
            InterfaceKind::Device => self.remove_interface(index),
            InterfaceKind::Local
            | InterfaceKind::Loopback { .. }
            | InterfaceKind::Vxlan { .. }
            | InterfaceKind::Ipip { .. }
            | InterfaceKind::Sub { .. } => Err(ApiError::InvalidSwIfIndex),
        }
    }

    /// Makes a loopback; a zero `mac` means a generated one.
    ///
    /// # Errors
    /// [`ApiError::InvalidRegistration`] when the instance is taken.
    pub fn create_loopback(&mut self, mac: MacAddr, instance: Option<u32>) -> Result<SwIfIndex> {
        let name_of = |n: u32| format!("loop{n}");
        let instance = match instance {
            Some(n) if self.names.contains_key(&name_of(n)) => {
                return Err(ApiError::InvalidRegistration);
            }
            Some(n) => n,
            None => (0..)
                .find(|n| !self.names.contains_key(&name_of(*n)))
                .unwrap_or(0),
        };
        let mut info = blank(
            name_of(instance),
            "Loopback",
            InterfaceKind::Loopback { instance },
        );
        info.link_up = true;
        info.mac = if mac.is_zero() {
            let [.., a, b] = instance.to_be_bytes();
            MacAddr([0xde, 0xad, 0, 0, a, b])
        } else {
            mac
        };
        self.add_interface(info)
    }

    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`] when it is not a loopback.
    pub fn delete_loopback(&mut self, index: SwIfIndex) -> Result<()> {
        match self.interface(index)?.kind {
            InterfaceKind::Loopback { .. } => self.remove_interface(index),
            InterfaceKind::Local
            | InterfaceKind::Device
            | InterfaceKind::Vxlan { .. }
            | InterfaceKind::Ipip { .. }
            | InterfaceKind::Sub { .. } => Err(ApiError::InvalidSwIfIndex),
        }
    }

    /// Sets the administrative state.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`]; [`ApiError::Unspecified`] to set a sub-interface up whose parent is down.
    pub fn set_flags(&mut self, index: SwIfIndex, admin_up: bool) -> Result<()> {
        if admin_up && let InterfaceKind::Sub { parent } = self.interface(index)?.kind {
            let above = self.interface(parent)?;
            if !above.admin_up {
                return Err(ApiError::Unspecified);
            }
        }
        let info = self.info_mut(index)?;
        // A tunnel has a link as soon as it may be used.
        if matches!(info.kind, InterfaceKind::Ipip { .. }) {
            info.link_up = admin_up;
        }
        if std::mem::replace(&mut info.admin_up, admin_up) != admin_up {
            self.refresh(index);
            self.reinstall_routes_on(index);
            self.notify_flags(index);
        }
        Ok(())
    }

    /// Sets the link state, as the device layer sees it.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`].
    pub fn set_link(&mut self, index: SwIfIndex, up: bool) -> Result<()> {
        let info = self.info_mut(index)?;
        if std::mem::replace(&mut info.link_up, up) != up {
            self.notify_flags(index);
        }
        for sub in self.subs_of(index) {
            self.set_link(sub, up)?;
        }
        Ok(())
    }

    /// Sets the biggest frame of the device.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`], [`ApiError::InvalidValue`] for zero.
    pub fn hw_set_mtu(&mut self, index: SwIfIndex, mtu: u16) -> Result<()> {
        let info = self.info_mut(index)?;
        if mtu == 0 {
            return Err(ApiError::InvalidValue);
        }
        info.link_mtu = mtu;
        self.refresh(index);
        Ok(())
    }

    /// Sets the MTU of L3, IPv4, IPv6 and MPLS packets; zero in the last three means "as L3".
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`].
    pub fn set_mtu(&mut self, index: SwIfIndex, mtu: [u32; 4]) -> Result<()> {
        self.info_mut(index)?.mtu = mtu;
        self.refresh(index);
        Ok(())
    }

    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`]; [`ApiError::InvalidValue`] for a group address.
    pub fn set_mac(&mut self, index: SwIfIndex, mac: MacAddr) -> Result<()> {
        let kind = self.interface(index)?.kind;
        if mac.is_multicast() || mac.is_zero() {
            return Err(ApiError::InvalidValue);
        }
        let index = kind.parent().unwrap_or(index);
        self.put_mac(index, mac)?;
        for sub in self.subs_of(index) {
            self.put_mac(sub, mac)?;
        }
        Ok(())
    }

    fn put_mac(&mut self, index: SwIfIndex, mac: MacAddr) -> Result<()> {
        let info = self.info_mut(index)?;
        // One that was set by hand stays.
        if info.link_local == info.mac.to_link_local() {
            info.link_local = mac.to_link_local();
        }
        info.mac = mac;
        self.refresh(index);
        self.rewrite_adjacencies_on(index);
        self.refresh_bvi_mac(index);
        Ok(())
    }

    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`], [`ApiError::IfAlreadyExists`].
    pub fn set_name(&mut self, index: SwIfIndex, name: &str) -> Result<()> {
        let old = self.interface(index)?.name.clone();
        match self.names.get(name) {
            Some(other) if *other != index => return Err(ApiError::IfAlreadyExists),
            _ => {}
        }
        self.names.remove(&old);
        self.names.insert(name.to_owned(), index);
        name.clone_into(&mut self.info_mut(index)?.name);
        Ok(())
    }

    /// Sets or clears the tag.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`]; [`ApiError::InvalidValue`] for an empty tag.
    pub fn tag(&mut self, index: SwIfIndex, is_add: bool, tag: &str) -> Result<()> {
        let info = self.info_mut(index)?;
        if is_add && tag.is_empty() {
            return Err(ApiError::InvalidValue);
        }
        if is_add {
            tag.clone_into(&mut info.tag);
        } else {
            info.tag.clear();
        }
        Ok(())
    }

    /// All interfaces in index order.
    pub fn interfaces(&self) -> impl Iterator<Item = &InterfaceInfo> {
        self.interfaces.values()
    }

    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`].
    pub fn interface(&self, index: SwIfIndex) -> Result<&InterfaceInfo> {
        self.interfaces
            .get(&index)
            .ok_or(ApiError::InvalidSwIfIndex)
    }

    pub fn interface_by_name(&self, name: &str) -> Option<SwIfIndex> {
        self.names.get(name).copied()
    }

    pub(super) fn info_mut(&mut self, index: SwIfIndex) -> Result<&mut InterfaceInfo> {
        self.dirty = true;
        self.interfaces
            .get_mut(&index)
            .ok_or(ApiError::InvalidSwIfIndex)
    }

    pub(super) fn make_local0(&mut self) {
        let mut info = blank("local0".to_owned(), "local", InterfaceKind::Local);
        info.link_mtu = 0;
        // Cannot fail: nothing exists yet.
        let _ = self.add_interface(info);
    }

    pub(super) fn add_interface(&mut self, mut info: InterfaceInfo) -> Result<SwIfIndex> {
        if self.names.contains_key(&info.name) {
            return Err(ApiError::IfAlreadyExists);
        }
        let index = SwIfIndex(self.interface_pool.take());
        info.sw_if_index = index;
        info.link_local = info.mac.to_link_local();
        // A sub-interface has the MTU of its parent until it is given its own.
        if info.mtu == [0; 4] && info.sub.is_none() {
            info.mtu = [u32::from(info.link_mtu), 0, 0, 0];
        }
        self.names.insert(info.name.clone(), index);
        self.interfaces.insert(index, info);
        self.clear_counters(index);
        self.refresh(index);
        Ok(index)
    }

    pub(super) fn remove_interface(&mut self, index: SwIfIndex) -> Result<()> {
        let borrowers = self.borrowers.get(&index).cloned().unwrap_or_default();
        for borrower in borrowers {
            self.set_unnumbered(borrower, None)?;
        }
        self.set_unnumbered(index, None)?;
        self.remove_subs(index)?;
        self.leave_l2(index)?;
        self.remove_xconnects_to(index);
        self.acl_interface_set_acl_list(index, &[], &[])?;
        self.macip_forget_interface(index);
        self.npol_release(index);
        self.detach_abf_of(index);
        self.remove_neighbors_on(index);
        self.del_all_addresses(index)?;
        self.forget_paths_on(index);
        self.forget_sr_on(index);
        self.nd_proxies.retain(|(on, _)| *on != index);
        self.cnat_forget_interface(index);
        if let Some(info) = self.interfaces.remove(&index) {
            self.names.remove(&info.name);
        }
        self.tables.interfaces.remove(index.0);
        self.interface_pool.give_back(index.0);
        self.dirty = true;
        self.notify(Notice::InterfaceDeleted { sw_if_index: index });
        Ok(())
    }

    pub(super) fn generate_mac(&mut self) -> MacAddr {
        self.generated_macs += 1;
        let [a, b, c, d] = self.generated_macs.to_be_bytes();
        MacAddr([0x02, 0xfe, a, b, c, d])
    }

    fn notify_flags(&mut self, index: SwIfIndex) {
        if let Some(info) = self.interfaces.get(&index) {
            let (admin_up, link_up) = (info.admin_up, info.link_up);
            self.notify(Notice::InterfaceFlags {
                sw_if_index: index,
                admin_up,
                link_up,
            });
        }
    }

    /// Rebuilds what the data path sees of an interface, and of those that borrow its addresses.
    pub(super) fn refresh(&mut self, index: SwIfIndex) {
        self.refresh_one(index);
        for sub in self.subs_of(index) {
            self.refresh_one(sub);
        }
        for borrower in self.borrowers.get(&index).cloned().unwrap_or_default() {
            self.refresh_one(borrower);
        }
    }

    fn refresh_one(&mut self, index: SwIfIndex) {
        let Some(info) = self.interfaces.get(&index) else {
            return;
        };
        let parent = info.kind.parent().and_then(|p| self.interfaces.get(&p));
        let [mut mtu, mtu4, mtu6, _] = info.mtu;
        if mtu == 0 {
            mtu = parent.and_then(|p| p.mtu.first().copied()).unwrap_or(0);
        }
        let own = |value: u32| if value == 0 { mtu } else { value };
        let has = |family| info.addresses_of(family).next().is_some() || info.unnumbered.is_some();
        let abf4: Arc<[_]> = self.abf_entries(index, Family::V4).into();
        let abf6: Arc<[_]> = self.abf_entries(index, Family::V6).into();
        let urpf = self.urpf_of(index);
        let [checks4, checks6] = urpf.map(|family| family.map(|check| check.is_some()));
        let [whole4, whole6] = info.reassembly;
        let sr_proxy4 = self.sr_proxy_on(index, Family::V4);
        let sr_proxy6 = self.sr_proxy_on(index, Family::V6);
        let input = |family, abf: &[_], whole, checked, sr_proxy: Option<u32>| {
            let inacl = info.classify_in.of(family);
            self.input_features(info)
                .with(InputFeature::Reassembly, whole)
                .with(InputFeature::Urpf, checked)
                .with(InputFeature::Abf, !abf.is_empty())
                .with(InputFeature::Inacl, inacl.is_some())
                .with(InputFeature::SrProxy, sr_proxy.is_some())
        };
        let output = |checked| {
            self.output_features(info)
                .with(OutputFeature::Urpf, checked)
        };
        let interface = Interface {
            kind: info.kind,
            mode: info.mode,
            admin_up: info.admin_up,
            mac: info.mac,
            mtu4: own(mtu4),
            mtu6: own(mtu6),
            mtu_link: u32::from(parent.unwrap_or(info).link_mtu).max(mtu),
            l2: info.l2,
            fib4: self.fib_index(Family::V4, info.table4),
            fib6: self.fib_index(Family::V6, info.table6),
            ip4_enabled: info.ip4_enabled || has(Family::V4),
            ip6_enabled: info.ip6_enabled || has(Family::V6),
            addresses: self.addresses_on(info),
            link_local: info.link_local,
            input4: input(Family::V4, &abf4, whole4, checks4[0], sr_proxy4),
            input6: input(Family::V6, &abf6, whole6, checks6[0], sr_proxy6),
            output4: output(checks4[1]),
            output6: output(checks6[1]),
            urpf,
            acl_in: info.acl_in.as_slice().into(),
            acl_out: info.acl_out.as_slice().into(),
            classify_in: info.classify_in,
            abf4,
            abf6,
            function_in: info.function_in,
            function_out: info.function_out,
            has_subs: self.has_subs(index),
            tags: info.sub.and_then(|sub| sub.tags()),
            tag_rewrite: Self::tag_rewrite_of(&info.tag_rewrite, info.sub.as_ref()),
            proxy_arp: info.proxy_arp,
            cnat: info.cnat,
            sr_proxy4,
            sr_proxy6,
            nd_proxy: self.nd_proxies_on(index),
        };
        self.tables.interfaces.set(index.0, Arc::new(interface));
        self.dirty = true;
    }

    /// Its own addresses, or its lender's.
    fn addresses_on(&self, info: &InterfaceInfo) -> Arc<[Prefix]> {
        let lender = info.unnumbered.and_then(|l| self.interfaces.get(&l));
        lender
            .map_or(&info.addresses, |l| &l.addresses)
            .as_slice()
            .into()
    }

    fn nd_proxies_on(&self, index: SwIfIndex) -> Arc<[Ipv6Addr]> {
        self.nd_proxies
            .range((index, Ipv6Addr::UNSPECIFIED)..)
            .take_while(|(on, _)| *on == index)
            .map(|(_, ip)| *ip)
            .collect()
    }

    /// What both families do on input.
    fn input_features(&self, info: &InterfaceInfo) -> Features<InputFeature> {
        Features::new()
            .with(InputFeature::Acl, !info.acl_in.is_empty())
            .with(InputFeature::Cnat, info.cnat || self.cnat.is_everywhere())
            .with(InputFeature::Npol, self.has_policies(info))
            .with(InputFeature::Function, info.function_in.is_some())
    }

    /// What both families do on output.
    fn output_features(&self, info: &InterfaceInfo) -> Features<OutputFeature> {
        Features::new()
            .with(OutputFeature::Npol, self.has_policies(info))
            .with(OutputFeature::Function, info.function_out.is_some())
            .with(OutputFeature::Cnat, info.cnat)
    }

    fn has_policies(&self, info: &InterfaceInfo) -> bool {
        let applied = &self.tables.npol.applied;
        applied.get(info.sw_if_index.0).is_some()
    }
}

pub(super) fn blank(name: String, dev_type: &'static str, kind: InterfaceKind) -> InterfaceInfo {
    InterfaceInfo {
        sw_if_index: SwIfIndex::NONE,
        name,
        dev_type,
        tag: String::new(),
        kind,
        mode: LinkMode::Ethernet,
        mac: MacAddr::ZERO,
        admin_up: false,
        link_up: false,
        link_mtu: MTU_DEFAULT,
        mtu: [0; 4],
        addresses: Vec::new(),
        unnumbered: None,
        table4: 0,
        table6: 0,
        ip4_enabled: false,
        ip6_enabled: false,
        link_local: Ipv6Addr::UNSPECIFIED,
        l2: L2Config::L3,
        acl_in: Vec::new(),
        acl_out: Vec::new(),
        classify_in: InputTables::default(),
        proxy_arp: false,
        cnat: false,
        reassembly: [false; 2],
        function_in: None,
        function_out: None,
        urpf: Vec::new(),
        sub: None,
        tag_rewrite: RewriteSpec::default(),
    }
}
