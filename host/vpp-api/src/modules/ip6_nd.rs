//! Router advertisements and answering neighbour discovery for others.

use std::net::Ipv6Addr;

use super::interface_types::InterfaceIndex;
use crate::dsl::api;

api! {
    module ip6_nd("1.1.0" 0x5f19a809) imports ["vnet/interface_types.api", "vnet/ip/ip_types.api"];

    /// Configures router advertisements.
    request SwInterfaceIp6ndRaConfig("sw_interface_ip6nd_ra_config" 0x3eb00b1c => ack) {
        sw_if_index: InterfaceIndex,
        suppress: u8,
        managed: u8,
        other: u8,
        ll_option: u8,
        send_unicast: u8,
        cease: u8,
        is_no: bool,
        default_router: u8,
        max_interval: u32,
        min_interval: u32,
        lifetime: u32,
        initial_count: u32,
        initial_interval: u32,
    }

    /// Answers for every address on an interface, or not.
    request Ip6ndProxyEnableDisable("ip6nd_proxy_enable_disable" 0x7daa1e3a => ack) {
        sw_if_index: InterfaceIndex,
        is_enable: bool,
    }

    /// Adds or removes one address to answer for.
    request Ip6ndProxyAddDel("ip6nd_proxy_add_del" 0xc2e4a686 => ack) {
        sw_if_index: InterfaceIndex,
        is_add: bool,
        ip: Ipv6Addr,
    }

    /// Lists addresses to answer for; real VPP answers with a wrong message id.
    dump Ip6ndProxyDump("ip6nd_proxy_dump" 0x51077d14 => Ip6ndProxyDetails) {}

    /// One entry of [`Ip6ndProxyDump`].
    details Ip6ndProxyDetails("ip6nd_proxy_details" 0x30b9ff4a) {
        sw_if_index: InterfaceIndex,
        ip: Ipv6Addr,
    }
}
