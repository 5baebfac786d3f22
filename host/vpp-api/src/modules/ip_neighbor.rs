//! Neighbours of both families.

use std::net::IpAddr;

use super::ethernet_types::MacAddress;
use super::interface_types::InterfaceIndex;
use super::ip_types::AddressFamily;
use crate::dsl::api;
use crate::retval::Retval;

api! {
    module ip_neighbor("1.0.1" 0x36db39bd) imports [
        "vnet/ethernet/ethernet_types.api",
        "vnet/interface_types.api",
        "vnet/ip/ip_types.api",
    ];

    /// Properties of a neighbour.
    bits IpNeighborFlags("ip_neighbor_flags" u8) {
        NONE = 0 "IP_API_NEIGHBOR_FLAG_NONE",
        STATIC = 1 "IP_API_NEIGHBOR_FLAG_STATIC",
        NO_FIB_ENTRY = 2 "IP_API_NEIGHBOR_FLAG_NO_FIB_ENTRY",
    }

    /// What happened to a neighbour.
    bits IpNeighborEventFlags("ip_neighbor_event_flags" u32) {
        ADDED = 1 "IP_NEIGHBOR_API_EVENT_FLAG_ADDED",
        REMOVED = 2 "IP_NEIGHBOR_API_EVENT_FLAG_REMOVED",
    }

    /// A neighbour.
    #[derive(Copy, Eq, Hash)]
    struct IpNeighbor("ip_neighbor") {
        sw_if_index: InterfaceIndex,
        flags: IpNeighborFlags,
        mac_address: MacAddress,
        ip_address: IpAddr,
    }

    /// Adds or removes a neighbour.
    request IpNeighborAddDel("ip_neighbor_add_del" 0x0607c257 => IpNeighborAddDelReply) {
        is_add: bool,
        neighbor: IpNeighbor,
    }

    /// Answers [`IpNeighborAddDel`].
    reply IpNeighborAddDelReply("ip_neighbor_add_del_reply" 0x1992deab) {
        retval: Retval,
        stats_index: u32,
    }

    /// Lists neighbours.
    dump IpNeighborDump("ip_neighbor_dump" 0xd817a484 => IpNeighborDetails) {
        sw_if_index: InterfaceIndex = InterfaceIndex::NONE,
        af: AddressFamily,
    }

    /// One entry of [`IpNeighborDump`].
    details IpNeighborDetails("ip_neighbor_details" 0xe29d79f0) { age: f64, neighbor: IpNeighbor }

    /// Sets limits and ageing of neighbours.
    request IpNeighborConfig("ip_neighbor_config" 0xf4a5cf44 => ack) {
        af: AddressFamily,
        max_number: u32,
        max_age: u32,
        recycle: bool,
    }

    /// Asks for limits and ageing of neighbours.
    request IpNeighborConfigGet("ip_neighbor_config_get" 0xa5db7bf7 => IpNeighborConfigGetReply) {
        af: AddressFamily,
    }

    /// Answers [`IpNeighborConfigGet`].
    reply IpNeighborConfigGetReply("ip_neighbor_config_get_reply" 0x798e6fdd) {
        retval: Retval,
        af: AddressFamily,
        max_number: u32,
        max_age: u32,
        recycle: bool,
    }

    /// Marks all neighbours as stale.
    request IpNeighborReplaceBegin("ip_neighbor_replace_begin" 0x51077d14 => ack) {}

    /// Removes the neighbours still stale.
    request IpNeighborReplaceEnd("ip_neighbor_replace_end" 0x51077d14 => ack) {}

    /// Removes the neighbours of an interface.
    request IpNeighborFlush("ip_neighbor_flush" 0x16aa35d2 => ack) {
        af: AddressFamily,
        sw_if_index: InterfaceIndex = InterfaceIndex::NONE,
    }

    /// Subscribes to neighbours that come or go.
    request WantIpNeighborEventsV2(
        "want_ip_neighbor_events_v2" 0x73e70a86
        => ack, events IpNeighborEventV2
    ) {
        enable: bool,
        pid: u32,
        ip: IpAddr,
        sw_if_index: InterfaceIndex = InterfaceIndex::NONE,
    }

    /// Tells that a neighbour came or went.
    event IpNeighborEventV2("ip_neighbor_event_v2" 0xc1d53dc0) {
        pid: u32,
        flags: IpNeighborEventFlags,
        neighbor: IpNeighbor,
    }
}
