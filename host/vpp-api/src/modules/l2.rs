//! Bridge domains, cross-connects and MAC tables.

use std::net::IpAddr;

use super::ethernet_types::MacAddress;
use super::interface_types::InterfaceIndex;
use crate::dsl::api;
use crate::retval::Retval;
use crate::wire::FixedString;

api! {
    module l2("3.3.0" 0x1a53d6cc) imports [
        "vnet/ethernet/ethernet_types.api",
        "vnet/interface_types.api",
        "vnet/ip/ip_types.api",
    ];

    /// Behaviour of a bridge domain.
    bits BdFlags("bd_flags" u32) {
        NONE = 0 "BRIDGE_API_FLAG_NONE",
        LEARN = 1 "BRIDGE_API_FLAG_LEARN",
        FWD = 2 "BRIDGE_API_FLAG_FWD",
        FLOOD = 4 "BRIDGE_API_FLAG_FLOOD",
        UU_FLOOD = 8 "BRIDGE_API_FLAG_UU_FLOOD",
        ARP_TERM = 16 "BRIDGE_API_FLAG_ARP_TERM",
        ARP_UFWD = 32 "BRIDGE_API_FLAG_ARP_UFWD",
    }

    /// Role of an interface in its bridge domain.
    enum L2PortType("l2_port_type" u32) {
        Normal = 0 "L2_API_PORT_TYPE_NORMAL",
        Bvi = 1 "L2_API_PORT_TYPE_BVI",
        UuFwd = 2 "L2_API_PORT_TYPE_UU_FWD",
    }

    /// A member of a bridge domain.
    #[derive(Copy, Eq, Hash)]
    struct BridgeDomainSwIf("bridge_domain_sw_if") {
        context: u32,
        sw_if_index: InterfaceIndex,
        shg: u8,
    }

    /// An entry for ARP termination.
    #[derive(Copy, Eq, Hash)]
    struct BdIpMac("bd_ip_mac") { bd_id: u32, ip: IpAddr, mac: MacAddress }

    /// Lists cross-connects, one entry per direction.
    dump L2XconnectDump("l2_xconnect_dump" 0x51077d14 => L2XconnectDetails) {}

    /// One entry of [`L2XconnectDump`].
    details L2XconnectDetails("l2_xconnect_details" 0x472b6b67) {
        rx_sw_if_index: InterfaceIndex,
        tx_sw_if_index: InterfaceIndex,
    }

    /// Lists the MAC table of a bridge domain.
    dump L2FibTableDump("l2_fib_table_dump" 0xc25fdce6 => L2FibTableDetails) { bd_id: u32 }

    /// One entry of [`L2FibTableDump`].
    details L2FibTableDetails("l2_fib_table_details" 0xa44ef6b8) {
        bd_id: u32,
        mac: MacAddress,
        sw_if_index: InterfaceIndex,
        static_mac: bool,
        filter_mac: bool,
        bvi_mac: bool,
    }

    /// Removes all MAC entries, static ones too.
    request L2FibClearTable("l2_fib_clear_table" 0x51077d14 => ack) {}

    /// Removes all learned MAC entries.
    request L2fibFlushAll("l2fib_flush_all" 0x51077d14 => ack) {}

    /// Removes the learned MAC entries of a bridge domain.
    request L2fibFlushBd("l2fib_flush_bd" 0xc25fdce6 => ack) { bd_id: u32 }

    /// Removes the learned MAC entries of an interface.
    request L2fibFlushInt("l2fib_flush_int" 0xf9e6675e => ack) { sw_if_index: InterfaceIndex }

    /// Adds or removes a MAC entry.
    request L2fibAddDel("l2fib_add_del" 0xeddda487 => ack) {
        mac: MacAddress,
        bd_id: u32,
        sw_if_index: InterfaceIndex,
        is_add: bool = true,
        static_mac: bool,
        filter_mac: bool,
        bvi_mac: bool,
    }

    /// Sets L2 features of an interface by bit.
    request L2Flags("l2_flags" 0xfc41cfe8 => L2FlagsReply) {
        sw_if_index: InterfaceIndex,
        is_set: bool,
        feature_bitmap: u32,
    }

    /// Answers [`L2Flags`].
    reply L2FlagsReply("l2_flags_reply" 0x29b2a2b3) {
        retval: Retval,
        resulting_feature_bitmap: u32,
    }

    /// Sets the ageing time in minutes; zero never ages.
    request BridgeDomainSetMacAge("bridge_domain_set_mac_age" 0xb537ad7b => ack) {
        bd_id: u32,
        mac_age: u8,
    }

    /// Sets the learn limit of bridge domains to come.
    request BridgeDomainSetDefaultLearnLimit(
        "bridge_domain_set_default_learn_limit" 0xf097ffce
        => ack
    ) {
        learn_limit: u32,
    }

    /// Sets how often learned addresses are scanned, in units of 10 ms, and removes them all.
    request L2fibSetScanDelay("l2fib_set_scan_delay" 0xa3b968a4 => ack) { scan_delay: u16 = 10 }

    /// Sets how many MAC addresses may be learned.
    request BridgeDomainSetLearnLimit("bridge_domain_set_learn_limit" 0x89c52b5f => ack) {
        bd_id: u32,
        learn_limit: u32,
    }

    /// Creates or deletes a bridge domain; id `!0` asks for a free one.
    request BridgeDomainAddDelV2(
        "bridge_domain_add_del_v2" 0x600b7170
        => BridgeDomainAddDelV2Reply
    ) {
        bd_id: u32,
        flood: bool,
        uu_flood: bool,
        forward: bool,
        learn: bool,
        arp_term: bool,
        arp_ufwd: bool,
        mac_age: u8,
        bd_tag: FixedString<64>,
        is_add: bool = true,
    }

    /// Answers [`BridgeDomainAddDelV2`].
    reply BridgeDomainAddDelV2Reply("bridge_domain_add_del_v2_reply" 0xfcb1e980) {
        retval: Retval,
        bd_id: u32,
    }

    /// Lists bridge domains with their members.
    dump BridgeDomainDump("bridge_domain_dump" 0x74396a43 => BridgeDomainDetails) {
        bd_id: u32 = u32::MAX,
        sw_if_index: InterfaceIndex = InterfaceIndex::NONE,
    }

    /// One entry of [`BridgeDomainDump`].
    details BridgeDomainDetails("bridge_domain_details" 0x0fa506fd) {
        bd_id: u32,
        flood: bool,
        uu_flood: bool,
        forward: bool,
        learn: bool,
        arp_term: bool,
        arp_ufwd: bool,
        mac_age: u8,
        bd_tag: FixedString<64>,
        bvi_sw_if_index: InterfaceIndex,
        uu_fwd_sw_if_index: InterfaceIndex,
        n_sw_ifs: u32 = len(sw_if_details),
        sw_if_details: [BridgeDomainSwIf; n_sw_ifs],
    }

    /// Sets or clears flags of a bridge domain.
    request BridgeFlags("bridge_flags" 0x1b0c5fbd => BridgeFlagsReply) {
        bd_id: u32,
        is_set: bool,
        flags: BdFlags,
    }

    /// Answers [`BridgeFlags`].
    reply BridgeFlagsReply("bridge_flags_reply" 0x29b2a2b3) {
        retval: Retval,
        resulting_feature_bitmap: u32,
    }

    /// Rewrites VLAN tags on an interface.
    request L2InterfaceVlanTagRewrite("l2_interface_vlan_tag_rewrite" 0x62cc0bbc => ack) {
        sw_if_index: InterfaceIndex,
        vtr_op: u32,
        push_dot1q: u32,
        tag1: u32,
        tag2: u32,
    }

    /// Sends all that `rx_sw_if_index` receives out of `tx_sw_if_index`; one direction.
    request SwInterfaceSetL2Xconnect("sw_interface_set_l2_xconnect" 0x4fa28a85 => ack) {
        rx_sw_if_index: InterfaceIndex,
        tx_sw_if_index: InterfaceIndex,
        enable: bool = true,
    }

    /// Puts an interface into a bridge domain, or back to L3.
    request SwInterfaceSetL2Bridge("sw_interface_set_l2_bridge" 0xd0678b13 => ack) {
        rx_sw_if_index: InterfaceIndex,
        bd_id: u32,
        port_type: L2PortType,
        shg: u8,
        enable: bool = true,
    }

    /// Adds or removes an entry for ARP termination.
    request BdIpMacAddDel("bd_ip_mac_add_del" 0x0257c869 => ack) {
        is_add: bool = true,
        entry: BdIpMac,
    }

    /// Removes the entries for ARP termination.
    request BdIpMacFlush("bd_ip_mac_flush" 0xc25fdce6 => ack) { bd_id: u32 }

    /// Lists the entries for ARP termination.
    dump BdIpMacDump("bd_ip_mac_dump" 0xc25fdce6 => BdIpMacDetails) { bd_id: u32 }

    /// One entry of [`BdIpMacDump`].
    details BdIpMacDetails("bd_ip_mac_details" 0x545af86a) { entry: BdIpMac }

    /// Creates a bridge's virtual interface.
    request BviCreate("bvi_create" 0xf5398559 => BviCreateReply) {
        mac: MacAddress,
        user_instance: u32 = u32::MAX,
    }

    /// Answers [`BviCreate`].
    reply BviCreateReply("bvi_create_reply" 0x5383d31f) {
        retval: Retval,
        sw_if_index: InterfaceIndex,
    }

    /// Deletes a bridge's virtual interface.
    request BviDelete("bvi_delete" 0xf9e6675e => ack) { sw_if_index: InterfaceIndex }
}
