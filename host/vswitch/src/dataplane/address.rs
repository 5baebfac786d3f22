//! Interface addresses, unnumbered interfaces, and the tables that interfaces are in.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use super::route::{Choice, Source};
use super::{Dataplane, Result};
use crate::dpo::Dpo;
use crate::error::ApiError;
use crate::id::{Family, SwIfIndex};
use crate::prefix::Prefix;

impl Dataplane {
    /// Puts an address on an interface, or takes it off, with its connected and local routes.
    ///
    /// # Errors
    /// [`ApiError::AddressInUse`] when the interface has it, or another one in the table has an
    /// overlapping prefix; [`ApiError::AddressNotFoundForInterface`] on delete; [`ApiError::InvalidSwIfIndex`].
    pub fn add_del_address(
        &mut self,
        index: SwIfIndex,
        is_add: bool,
        prefix: Prefix,
    ) -> Result<()> {
        if is_add {
            self.add_address(index, prefix)
        } else {
            self.del_address(index, prefix)
        }
    }

    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`].
    pub fn del_all_addresses(&mut self, index: SwIfIndex) -> Result<()> {
        for prefix in self.interface(index)?.addresses.clone() {
            self.del_address(index, prefix)?;
        }
        Ok(())
    }

    /// Marks all addresses of all interfaces; [`Dataplane::address_replace_end`] deletes those not added again.
    pub fn address_replace_begin(&mut self) {
        let all = self
            .interfaces
            .values()
            .flat_map(|i| i.addresses.iter().map(|a| (i.sw_if_index, *a)));
        self.stale_addresses = Some(all.collect());
    }

    /// Deletes the addresses that were not added again since [`Dataplane::address_replace_begin`].
    pub fn address_replace_end(&mut self) {
        for (index, prefix) in self.stale_addresses.take().unwrap_or_default() {
            // An address that went away in between is gone already.
            let _ = self.del_address(index, prefix);
        }
    }

    /// Addresses of one family on an interface.
    pub fn addresses(&self, index: SwIfIndex, family: Family) -> Vec<Prefix> {
        self.interface(index).map_or_else(
            |_| Vec::new(),
            |i| i.addresses_of(family).copied().collect(),
        )
    }

    /// Lets `borrower` use the addresses of `lender`; `None` ends it.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`]; [`ApiError::InvalidValue`] when both are one interface.
    pub fn set_unnumbered(&mut self, borrower: SwIfIndex, lender: Option<SwIfIndex>) -> Result<()> {
        if lender == Some(borrower) {
            return Err(ApiError::InvalidValue);
        }
        if let Some(lender) = lender {
            self.interface(lender)?;
        }
        let old = std::mem::replace(&mut self.info_mut(borrower)?.unnumbered, lender);
        if let Some(old) = old
            && let Some(set) = self.borrowers.get_mut(&old)
        {
            set.remove(&borrower);
        }
        if let Some(lender) = lender {
            self.borrowers.entry(lender).or_default().insert(borrower);
        }
        self.refresh(borrower);
        Ok(())
    }

    /// Pairs of borrower and lender.
    pub fn unnumbered_dump(&self) -> Vec<(SwIfIndex, SwIfIndex)> {
        self.interfaces
            .values()
            .filter_map(|i| Some((i.sw_if_index, i.unnumbered?)))
            .collect()
    }

    /// Binds an interface to a table.
    ///
    /// # Errors
    /// [`ApiError::AddressFoundForInterface`] while it has addresses of the family (borrowed ones count),
    /// [`ApiError::NoSuchFib`], [`ApiError::InvalidSwIfIndex`].
    pub fn set_table(&mut self, index: SwIfIndex, family: Family, table_id: u32) -> Result<()> {
        let info = self.interface(index)?;
        if !self.ip_tables.contains_key(&(family, table_id)) {
            return Err(ApiError::NoSuchFib);
        }
        if info.table(family) == table_id {
            return Ok(());
        }
        if info.unnumbered.is_some() || info.addresses_of(family).next().is_some() {
            return Err(ApiError::AddressFoundForInterface);
        }
        self.remove_neighbors_of_family(index, family);
        let info = self.info_mut(index)?;
        match family {
            Family::V4 => info.table4 = table_id,
            Family::V6 => info.table6 = table_id,
        }
        self.refresh(index);
        Ok(())
    }

    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`].
    pub fn table_of(&self, index: SwIfIndex, family: Family) -> Result<u32> {
        Ok(self.interface(index)?.table(family))
    }

    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`].
    pub fn ip6_enable_disable(&mut self, index: SwIfIndex, enable: bool) -> Result<()> {
        self.info_mut(index)?.ip6_enabled = enable;
        self.refresh(index);
        Ok(())
    }

    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`].
    pub fn ip4_enable_disable(&mut self, index: SwIfIndex, enable: bool) -> Result<()> {
        self.info_mut(index)?.ip4_enabled = enable;
        self.refresh(index);
        Ok(())
    }

    /// Sets the link-local address of an interface, and turns IPv6 on.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`]; [`ApiError::InvalidValue`] for another kind of address.
    pub fn ip6_set_link_local_address(&mut self, index: SwIfIndex, ip: Ipv6Addr) -> Result<()> {
        let info = self.info_mut(index)?;
        if !ip.is_unicast_link_local() {
            return Err(ApiError::InvalidValue);
        }
        (info.link_local, info.ip6_enabled) = (ip, true);
        self.refresh(index);
        Ok(())
    }

    /// The link-local address of an interface, if it speaks IPv6.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`].
    pub fn ip6_link_local_address(&self, index: SwIfIndex) -> Result<Option<Ipv6Addr>> {
        let seen = self.tables.interface(index);
        let seen = seen.ok_or(ApiError::InvalidSwIfIndex)?;
        Ok(seen.ip6_enabled.then_some(seen.link_local))
    }

    fn add_address(&mut self, index: SwIfIndex, prefix: Prefix) -> Result<()> {
        let info = self.interface(index)?;
        let (family, table_id) = (prefix.family(), info.table(prefix.family()));
        let known = info.addresses.iter().any(|p| p.addr == prefix.addr);
        if let Some(stale) = &mut self.stale_addresses
            && stale.remove(&(index, prefix))
        {
            return Ok(());
        }
        if known {
            return Err(ApiError::AddressInUse);
        }
        let fib = self.fib_index(family, table_id);
        let table = self
            .ip_tables
            .get_mut(&(family, table_id))
            .ok_or(ApiError::NoSuchFib)?;
        if overlaps(&table.connected, index, prefix) {
            return Err(ApiError::AddressInUse);
        }
        table
            .connected
            .insert((prefix.masked(), index, prefix.addr));
        self.info_mut(index)?.addresses.push(prefix);
        for (route, dpo) in routes_of(index, prefix) {
            self.add_source(
                fib,
                route,
                Source::Interface,
                vec![Choice::fixed(dpo, index)],
            );
        }
        self.refresh(index);
        self.cnat_addresses_changed(index);
        Ok(())
    }

    fn del_address(&mut self, index: SwIfIndex, prefix: Prefix) -> Result<()> {
        let info = self.info_mut(index)?;
        let at = info
            .addresses
            .iter()
            .position(|p| *p == prefix)
            .ok_or(ApiError::AddressNotFoundForInterface)?;
        info.addresses.remove(at);
        let family = prefix.family();
        let table_id = info.table(family);
        // Another address may keep the connected prefix alive.
        let shared = info.addresses.iter().any(|p| p.masked() == prefix.masked());
        let fib = self.fib_index(family, table_id);
        if let Some(table) = self.ip_tables.get_mut(&(family, table_id)) {
            table
                .connected
                .remove(&(prefix.masked(), index, prefix.addr));
        }
        for (route, _) in routes_of(index, prefix) {
            if !shared || route == Prefix::host(prefix.addr) {
                self.remove_source(fib, route, Source::Interface);
            }
        }
        self.refresh(index);
        self.cnat_addresses_changed(index);
        Ok(())
    }
}

/// Connected prefix, local address, and for IPv4 the addresses that mean "network" and "all hosts".
fn routes_of(index: SwIfIndex, prefix: Prefix) -> Vec<(Prefix, Dpo)> {
    let mut routes = Vec::with_capacity(4);
    let host = Prefix::host(prefix.addr);
    if prefix.len < host.len {
        routes.push((prefix.masked(), Dpo::Glean(index)));
        if let IpAddr::V4(v4) = prefix.masked().addr
            && prefix.len < 31
        {
            let broadcast = v4.to_bits() | !crate::prefix::mask4(prefix.len);
            routes.push((Prefix::host(v4.into()), Dpo::Drop));
            routes.push((
                Prefix::host(std::net::Ipv4Addr::from_bits(broadcast).into()),
                Dpo::Drop,
            ));
        }
    }
    routes.push((host, Dpo::Local));
    routes
}

/// Tells whether another interface of the table has a prefix that contains, or lies in, `prefix`.
fn overlaps(
    connected: &BTreeSet<(Prefix, SwIfIndex, IpAddr)>,
    index: SwIfIndex,
    prefix: Prefix,
) -> bool {
    let masked = prefix.masked();
    let any = |p: Prefix| (p, SwIfIndex(0), Prefix::any(p.family()).addr);
    let covered = (0..=prefix.len).any(|len| {
        let cover = Prefix {
            addr: prefix.addr,
            len,
        }
        .masked();
        connected
            .range(any(cover)..)
            .take_while(|(p, ..)| *p == cover)
            .any(|(_, on, _)| *on != index)
    });
    covered
        || connected
            .range(any(masked)..)
            .take_while(|(p, ..)| masked.contains(p.addr))
            .any(|(p, on, _)| *on != index && p.len >= masked.len)
}
