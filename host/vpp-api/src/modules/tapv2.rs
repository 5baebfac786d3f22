//! Tap interfaces.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::ethernet_types::MacAddress;
use super::interface_types::InterfaceIndex;
use super::ip_types::{Ip4AddressWithPrefix, Ip6AddressWithPrefix};
use crate::dsl::api;
use crate::retval::Retval;
use crate::wire::FixedString;

api! {
    module tapv2("4.0.0" 0xc2f80dc7) imports [
        "vnet/ethernet/ethernet_types.api",
        "vnet/interface_types.api",
        "vnet/ip/ip_types.api",
    ];

    /// Properties of a tap.
    bits TapFlags("tap_flags" u32) {
        GSO = 1 "TAP_API_FLAG_GSO",
        CSUM_OFFLOAD = 2 "TAP_API_FLAG_CSUM_OFFLOAD",
        PERSIST = 4 "TAP_API_FLAG_PERSIST",
        ATTACH = 8 "TAP_API_FLAG_ATTACH",
        TUN = 16 "TAP_API_FLAG_TUN",
        GRO_COALESCE = 32 "TAP_API_FLAG_GRO_COALESCE",
        PACKED = 64 "TAP_API_FLAG_PACKED",
        IN_ORDER = 128 "TAP_API_FLAG_IN_ORDER",
        CONSISTENT_QP = 256 "TAP_API_FLAG_CONSISTENT_QP",
    }

    /// Creates a tap and configures its host side.
    request TapCreateV3("tap_create_v3" 0x3f3fd1df => TapCreateV3Reply) {
        id: u32 = u32::MAX,
        use_random_mac: bool = true,
        mac_address: MacAddress,
        num_rx_queues: u16 = 1,
        num_tx_queues: u16 = 1,
        tx_ring_sz: u16 = 256,
        rx_ring_sz: u16 = 256,
        host_mtu_set: bool,
        host_mtu_size: u32,
        host_mac_addr_set: bool,
        host_mac_addr: MacAddress,
        host_ip4_prefix_set: bool,
        host_ip4_prefix: Ip4AddressWithPrefix,
        host_ip6_prefix_set: bool,
        host_ip6_prefix: Ip6AddressWithPrefix,
        host_ip4_gw_set: bool,
        host_ip4_gw: Ipv4Addr,
        host_ip6_gw_set: bool,
        host_ip6_gw: Ipv6Addr,
        tap_flags: TapFlags,
        host_namespace_set: bool,
        host_namespace: FixedString<64>,
        host_if_name_set: bool,
        host_if_name: FixedString<64>,
        host_bridge_set: bool,
        host_bridge: FixedString<64>,
        tag: String,
    }

    /// Answers [`TapCreateV3`].
    reply TapCreateV3Reply("tap_create_v3_reply" 0x5383d31f) {
        retval: Retval,
        sw_if_index: InterfaceIndex,
    }

    /// Deletes a tap.
    request TapDeleteV2("tap_delete_v2" 0xf9e6675e => ack) { sw_if_index: InterfaceIndex }

    /// Lists taps.
    dump SwInterfaceTapV2Dump("sw_interface_tap_v2_dump" 0xf9e6675e => SwInterfaceTapV2Details) {
        sw_if_index: InterfaceIndex = InterfaceIndex::NONE,
    }

    /// One entry of [`SwInterfaceTapV2Dump`].
    details SwInterfaceTapV2Details("sw_interface_tap_v2_details" 0x1e2b2a47) {
        sw_if_index: u32,
        id: u32,
        tx_ring_sz: u16,
        rx_ring_sz: u16,
        host_mtu_size: u32,
        host_mac_addr: MacAddress,
        host_ip4_prefix: Ip4AddressWithPrefix,
        host_ip6_prefix: Ip6AddressWithPrefix,
        tap_flags: TapFlags,
        dev_name: FixedString<64>,
        host_if_name: FixedString<64>,
        host_namespace: FixedString<64>,
        host_bridge: FixedString<64>,
    }

    /// Creates a tap and configures its host side (superseded by v3).
    request TapCreateV2("tap_create_v2" 0x2d0d6570 => TapCreateV2Reply) {
        id: u32 = u32::MAX,
        use_random_mac: bool = true,
        mac_address: MacAddress,
        num_rx_queues: u8 = 1,
        tx_ring_sz: u16 = 256,
        rx_ring_sz: u16 = 256,
        host_mtu_set: bool,
        host_mtu_size: u32,
        host_mac_addr_set: bool,
        host_mac_addr: MacAddress,
        host_ip4_prefix_set: bool,
        host_ip4_prefix: Ip4AddressWithPrefix,
        host_ip6_prefix_set: bool,
        host_ip6_prefix: Ip6AddressWithPrefix,
        host_ip4_gw_set: bool,
        host_ip4_gw: Ipv4Addr,
        host_ip6_gw_set: bool,
        host_ip6_gw: Ipv6Addr,
        tap_flags: TapFlags,
        host_namespace_set: bool,
        host_namespace: FixedString<64>,
        host_if_name_set: bool,
        host_if_name: FixedString<64>,
        host_bridge_set: bool,
        host_bridge: FixedString<64>,
        tag: String,
    }

    /// Answers [`TapCreateV2`].
    reply TapCreateV2Reply("tap_create_v2_reply" 0x5383d31f) {
        retval: Retval,
        sw_if_index: InterfaceIndex,
    }
}
