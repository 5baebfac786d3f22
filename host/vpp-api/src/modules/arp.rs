//! Answering ARP for others.

use std::net::Ipv4Addr;

use super::interface_types::InterfaceIndex;
use crate::dsl::api;

api! {
    module arp("1.0.0" 0xb57796ae) imports [
        "vnet/ethernet/ethernet_types.api",
        "vnet/interface_types.api",
        "vnet/ip/ip_types.api",
    ];

    /// A range of addresses to answer for.
    #[derive(Copy, Eq, Hash)]
    struct ProxyArp("proxy_arp") { table_id: u32, low: Ipv4Addr, hi: Ipv4Addr }

    /// Adds or removes a range of addresses to answer for.
    request ProxyArpAddDel("proxy_arp_add_del" 0x1823c3e7 => ack) { is_add: bool, proxy: ProxyArp }

    /// Lists ranges of addresses to answer for.
    dump ProxyArpDump("proxy_arp_dump" 0x51077d14 => ProxyArpDetails) {}

    /// One entry of [`ProxyArpDump`].
    details ProxyArpDetails("proxy_arp_details" 0x5b948673) { proxy: ProxyArp }

    /// Turns answering for other addresses on or off.
    request ProxyArpIntfcEnableDisable("proxy_arp_intfc_enable_disable" 0xae6cfcfb => ack) {
        sw_if_index: InterfaceIndex,
        enable: bool,
    }

    /// Lists interfaces that answer for other addresses.
    dump ProxyArpIntfcDump("proxy_arp_intfc_dump" 0x51077d14 => ProxyArpIntfcDetails) {}

    /// One entry of [`ProxyArpIntfcDump`].
    details ProxyArpIntfcDetails("proxy_arp_intfc_details" 0xf6458e5f) { sw_if_index: u32 }
}
