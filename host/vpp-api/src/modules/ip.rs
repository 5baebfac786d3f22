//! Routing tables, routes and addresses.

use std::net::{IpAddr, Ipv6Addr};

use super::fib_types::FibPath;
use super::interface_types::InterfaceIndex;
use super::ip_types::{AddressFamily, AddressWithPrefix, Prefix};
use crate::dsl::api;
use crate::retval::Retval;
use crate::wire::FixedString;

api! {
    module ip("3.2.0" 0xc55aec44) imports [
        "vnet/ethernet/ethernet_types.api",
        "vnet/fib/fib_types.api",
        "vnet/interface_types.api",
        "vnet/ip/ip_types.api",
        "vnet/mfib/mfib_types.api",
    ];

    /// Fields of the flow hash.
    flags IpFlowHashConfig("ip_flow_hash_config" u32) {
        SRC_IP = 1 "IP_API_FLOW_HASH_SRC_IP",
        DST_IP = 2 "IP_API_FLOW_HASH_DST_IP",
        SRC_PORT = 4 "IP_API_FLOW_HASH_SRC_PORT",
        DST_PORT = 8 "IP_API_FLOW_HASH_DST_PORT",
        PROTO = 16 "IP_API_FLOW_HASH_PROTO",
        REVERSE = 32 "IP_API_FLOW_HASH_REVERSE",
        SYMETRIC = 64 "IP_API_FLOW_HASH_SYMETRIC",
        FLOW_LABEL = 128 "IP_API_FLOW_HASH_FLOW_LABEL",
    }

    /// Fields of the flow hash.
    flags IpFlowHashConfigV2("ip_flow_hash_config_v2" u32) {
        SRC_IP = 1 "IP_API_V2_FLOW_HASH_SRC_IP",
        DST_IP = 2 "IP_API_V2_FLOW_HASH_DST_IP",
        SRC_PORT = 4 "IP_API_V2_FLOW_HASH_SRC_PORT",
        DST_PORT = 8 "IP_API_V2_FLOW_HASH_DST_PORT",
        PROTO = 16 "IP_API_V2_FLOW_HASH_PROTO",
        REVERSE = 32 "IP_API_V2_FLOW_HASH_REVERSE",
        SYMETRIC = 64 "IP_API_V2_FLOW_HASH_SYMETRIC",
        FLOW_LABEL = 128 "IP_API_V2_FLOW_HASH_FLOW_LABEL",
        GTPV1_TEID = 256 "IP_API_V2_FLOW_HASH_GTPV1_TEID",
    }

    /// How fragments are handled for the features behind.
    enum IpReassType("ip_reass_type" u32) {
        Full = 0 "IP_REASS_TYPE_FULL",
        ShallowVirtual = 1 "IP_REASS_TYPE_SHALLOW_VIRTUAL",
    }

    /// A routing table.
    #[derive(Eq, Hash)]
    struct IpTable("ip_table") { table_id: u32, is_ip6: bool, name: FixedString<64> }

    /// A route.
    #[derive(Eq, Hash)]
    struct IpRoute("ip_route") {
        table_id: u32,
        stats_index: u32,
        prefix: Prefix,
        n_paths: u8 = len(paths),
        paths: [FibPath; n_paths],
    }

    /// A route with its source.
    #[derive(Eq, Hash)]
    struct IpRouteV2("ip_route_v2") {
        table_id: u32,
        stats_index: u32,
        prefix: Prefix,
        n_paths: u8 = len(paths),
        src: u8,
        paths: [FibPath; n_paths],
    }

    /// Creates or deletes a routing table.
    request IpTableAddDel("ip_table_add_del" 0x0ffdaec0 => ack) {
        is_add: bool = true,
        table: IpTable,
    }

    /// Creates or deletes a routing table, chosen parts of it.
    request IpTableAddDelV2("ip_table_add_del_v2" 0x14e5081f => ack) {
        table: IpTable,
        create_mfib: bool = true,
        is_add: bool = true,
    }

    /// Finds or reserves an unused table id.
    request IpTableAllocate("ip_table_allocate" 0xb9d2e09e => IpTableAllocateReply) {
        table: IpTable,
    }

    /// Answers [`IpTableAllocate`].
    reply IpTableAllocateReply("ip_table_allocate_reply" 0x1728303a) {
        retval: Retval,
        table: IpTable,
    }

    /// Lists routing tables.
    dump IpTableDump("ip_table_dump" 0x51077d14 => IpTableDetails) {}

    /// One entry of [`IpTableDump`].
    details IpTableDetails("ip_table_details" 0xc79fca0f) { table: IpTable }

    /// Marks all routes of a table as stale.
    request IpTableReplaceBegin("ip_table_replace_begin" 0xb9d2e09e => ack) { table: IpTable }

    /// Removes the routes still stale.
    request IpTableReplaceEnd("ip_table_replace_end" 0xb9d2e09e => ack) { table: IpTable }

    /// Removes all API routes of a table.
    request IpTableFlush("ip_table_flush" 0xb9d2e09e => ack) { table: IpTable }

    /// Adds or removes a route, or paths of it with `is_multipath`.
    request IpRouteAddDel("ip_route_add_del" 0xb8ecfe0d => IpRouteAddDelReply) {
        is_add: bool = true,
        is_multipath: bool,
        route: IpRoute,
    }

    /// Answers [`IpRouteAddDel`].
    reply IpRouteAddDelReply("ip_route_add_del_reply" 0x1992deab) {
        retval: Retval,
        stats_index: u32,
    }

    /// Adds or removes a route of a chosen source.
    request IpRouteAddDelV2("ip_route_add_del_v2" 0x521ef330 => IpRouteAddDelV2Reply) {
        is_add: bool = true,
        is_multipath: bool,
        route: IpRouteV2,
    }

    /// Answers [`IpRouteAddDelV2`].
    reply IpRouteAddDelV2Reply("ip_route_add_del_v2_reply" 0x1992deab) {
        retval: Retval,
        stats_index: u32,
    }

    /// Lists the routes of a table.
    dump IpRouteDump("ip_route_dump" 0xb9d2e09e => IpRouteDetails) { table: IpTable }

    /// One entry of [`IpRouteDump`].
    details IpRouteDetails("ip_route_details" 0xbda8f315) { route: IpRoute }

    /// Lists the routes of a table by source.
    dump IpRouteV2Dump("ip_route_v2_dump" 0xd16f72e6 => IpRouteV2Details) {
        src: u8,
        table: IpTable,
    }

    /// One entry of [`IpRouteV2Dump`].
    details IpRouteV2Details("ip_route_v2_details" 0xb09aa6c0) { route: IpRouteV2 }

    /// Finds the route to a prefix.
    request IpRouteLookup("ip_route_lookup" 0x710d6471 => IpRouteLookupReply) {
        table_id: u32,
        exact: u8,
        prefix: Prefix,
    }

    /// Answers [`IpRouteLookup`].
    reply IpRouteLookupReply("ip_route_lookup_reply" 0x5d8febcb) { retval: Retval, route: IpRoute }

    /// Finds the route to a prefix, with its source.
    request IpRouteLookupV2("ip_route_lookup_v2" 0x710d6471 => IpRouteLookupV2Reply) {
        table_id: u32,
        exact: u8,
        prefix: Prefix,
    }

    /// Answers [`IpRouteLookupV2`].
    reply IpRouteLookupV2Reply("ip_route_lookup_v2_reply" 0x84cc9e03) {
        retval: Retval,
        route: IpRouteV2,
    }

    /// Chooses the fields of a table's flow hash.
    request SetIpFlowHash("set_ip_flow_hash" 0x084ee09e => ack) {
        vrf_id: u32,
        is_ipv6: bool,
        src: bool,
        dst: bool,
        sport: bool,
        dport: bool,
        proto: bool,
        reverse: bool,
        symmetric: bool,
    }

    /// Chooses the fields of a table's flow hash.
    request SetIpFlowHashV2("set_ip_flow_hash_v2" 0x6d132100 => ack) {
        table_id: u32,
        af: AddressFamily,
        flow_hash_config: IpFlowHashConfig,
    }

    /// Chooses the fields of a table's flow hash.
    request SetIpFlowHashV3("set_ip_flow_hash_v3" 0xb7876e07 => ack) {
        table_id: u32,
        af: AddressFamily,
        flow_hash_config: IpFlowHashConfigV2,
    }

    /// Turns IPv6 on or off on an interface.
    request SwInterfaceIp6EnableDisable("sw_interface_ip6_enable_disable" 0xae6cfcfb => ack) {
        sw_if_index: InterfaceIndex,
        enable: bool,
    }

    /// Sets the link-local address of an interface, and turns IPv6 on.
    request SwInterfaceIp6SetLinkLocalAddress(
        "sw_interface_ip6_set_link_local_address" 0x1c10f15f => ack
    ) { sw_if_index: InterfaceIndex, ip: Ipv6Addr }

    /// Asks for the link-local address of an interface.
    request SwInterfaceIp6GetLinkLocalAddress(
        "sw_interface_ip6_get_link_local_address" 0xf9e6675e
        => SwInterfaceIp6GetLinkLocalAddressReply
    ) { sw_if_index: InterfaceIndex }

    /// Answers [`SwInterfaceIp6GetLinkLocalAddress`].
    reply SwInterfaceIp6GetLinkLocalAddressReply(
        "sw_interface_ip6_get_link_local_address_reply" 0xd16b7130
    ) { retval: Retval, ip: Ipv6Addr }

    /// Turns IPv4 on or off on an interface.
    request SwInterfaceIp4EnableDisable("sw_interface_ip4_enable_disable" 0xae6cfcfb => ack) {
        sw_if_index: InterfaceIndex,
        enable: bool,
    }

    /// Lists the addresses of an interface, one family.
    dump IpAddressDump("ip_address_dump" 0x2d033de4 => IpAddressDetails) {
        sw_if_index: InterfaceIndex,
        is_ipv6: bool,
    }

    /// One entry of [`IpAddressDump`].
    details IpAddressDetails("ip_address_details" 0xee29b797) {
        sw_if_index: InterfaceIndex,
        prefix: AddressWithPrefix,
    }

    /// Lists interfaces that borrow their address.
    dump IpUnnumberedDump("ip_unnumbered_dump" 0xf9e6675e => IpUnnumberedDetails) {
        sw_if_index: InterfaceIndex = InterfaceIndex::NONE,
    }

    /// One entry of [`IpUnnumberedDump`].
    details IpUnnumberedDetails("ip_unnumbered_details" 0xcc59bd42) {
        sw_if_index: InterfaceIndex,
        ip_sw_if_index: InterfaceIndex,
    }

    /// Lists interfaces with IP enabled, one family.
    dump IpDump("ip_dump" 0x98d231ca => IpDetails) { is_ipv6: bool }

    /// One entry of [`IpDump`].
    details IpDetails("ip_details" 0xeb152d07) { sw_if_index: InterfaceIndex, is_ipv6: bool }

    /// Sets the limits of reassembly.
    request IpReassemblySet("ip_reassembly_set" 0x16467d25 => ack) {
        timeout_ms: u32,
        max_reassemblies: u32,
        max_reassembly_length: u32,
        expire_walk_interval_ms: u32,
        is_ip6: bool,
        r#type: IpReassType,
    }

    /// Asks for the limits of reassembly.
    request IpReassemblyGet("ip_reassembly_get" 0xea13ff63 => IpReassemblyGetReply) {
        is_ip6: bool,
        r#type: IpReassType,
    }

    /// Answers [`IpReassemblyGet`].
    reply IpReassemblyGetReply("ip_reassembly_get_reply" 0xd5eb8d34) {
        retval: Retval,
        timeout_ms: u32,
        max_reassemblies: u32,
        max_reassembly_length: u32,
        expire_walk_interval_ms: u32,
        is_ip6: bool,
    }

    /// Turns reassembly of what an interface receives on or off.
    request IpReassemblyEnableDisable("ip_reassembly_enable_disable" 0xeb77968d => ack) {
        sw_if_index: InterfaceIndex,
        enable_ip4: bool,
        enable_ip6: bool,
        r#type: IpReassType,
    }

    /// How big packets to an address may be.
    struct IpPathMtu("ip_path_mtu") {
        client_index: u32,
        context: u32,
        table_id: u32,
        nh: IpAddr,
        path_mtu: u16,
    }

    /// Sets how big packets to an address may be; 0 = as its interface says.
    request IpPathMtuUpdate("ip_path_mtu_update" 0x10bbe5cb => ack) { pmtu: IpPathMtu }

    /// Lists path MTUs.
    cursor IpPathMtuGet(
        "ip_path_mtu_get" 0xf75ba505 => IpPathMtuDetails, IpPathMtuGetReply
    ) { cursor: u32 }

    /// One entry of [`IpPathMtuGet`].
    details IpPathMtuDetails("ip_path_mtu_details" 0xac9539a7) { pmtu: IpPathMtu }

    /// Answers [`IpPathMtuGet`].
    reply IpPathMtuGetReply("ip_path_mtu_get_reply" 0x53b48f5d) { retval: Retval, cursor: u32 }

    /// Marks all path MTUs as stale.
    request IpPathMtuReplaceBegin("ip_path_mtu_replace_begin" 0x51077d14 => ack) {}

    /// Removes the path MTUs still stale.
    request IpPathMtuReplaceEnd("ip_path_mtu_replace_end" 0x51077d14 => ack) {}

    /// Sets what makes this router's choice between equal paths different from others'.
    request SetIpFlowHashRouterId("set_ip_flow_hash_router_id" 0x03e4f48e => ack) {
        router_id: u32,
    }

    /// Turns reassembly of packets to own addresses on or off.
    request IpLocalReassEnableDisable("ip_local_reass_enable_disable" 0x34e2ccc4 => ack) {
        enable_ip4: bool,
        enable_ip6: bool,
    }

    /// Asks whether packets to own addresses are reassembled.
    request IpLocalReassGet("ip_local_reass_get" 0x51077d14 => IpLocalReassGetReply) {}

    /// Answers [`IpLocalReassGet`].
    reply IpLocalReassGetReply("ip_local_reass_get_reply" 0x3e93a702) {
        retval: Retval,
        ip4_is_enabled: bool,
        ip6_is_enabled: bool,
    }
}
