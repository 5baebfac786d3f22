//! Interfaces: state, addresses, MTU, names, sub-interfaces, loopbacks, captures.

use super::ethernet_types::MacAddress;
use super::interface_types::{
    IfStatusFlags, IfType, InterfaceIndex, LinkDuplex, RxMode, SubIfFlags,
};
use super::ip_types::AddressWithPrefix;
use crate::dsl::api;
use crate::retval::Retval;
use crate::wire::FixedString;

api! {
    module interface("3.2.5" 0x98d849f6) imports [
        "vnet/ethernet/ethernet_types.api",
        "vnet/interface_types.api",
        "vnet/ip/ip_types.api",
    ];

    /// Sets the administrative state.
    request SwInterfaceSetFlags("sw_interface_set_flags" 0xf5aec1b8 => ack) {
        sw_if_index: InterfaceIndex,
        flags: IfStatusFlags,
    }

    /// Sets promiscuous mode.
    request SwInterfaceSetPromisc("sw_interface_set_promisc" 0xd40860d4 => ack) {
        sw_if_index: InterfaceIndex,
        promisc_on: bool,
    }

    /// Sets the largest frame of the device.
    request HwInterfaceSetMtu("hw_interface_set_mtu" 0xe6746899 => ack) {
        sw_if_index: InterfaceIndex,
        mtu: u16,
    }

    /// Sets the MTU per protocol: L3, IPv4, IPv6, MPLS; zero in the last three means "as L3".
    request SwInterfaceSetMtu("sw_interface_set_mtu" 0x5cbe85e5 => ack) {
        sw_if_index: InterfaceIndex,
        mtu: [u32; 4],
    }

    /// Subscribes to link, state and deletion events.
    request WantInterfaceEvents(
        "want_interface_events" 0x476f5a08
        => ack, events SwInterfaceEvent
    ) {
        enable_disable: u32,
        pid: u32,
    }

    /// Tells that an interface changed state or is gone.
    event SwInterfaceEvent("sw_interface_event" 0x2d3d95a7) {
        pid: u32,
        sw_if_index: InterfaceIndex,
        flags: IfStatusFlags,
        deleted: bool,
    }

    /// Lists interfaces; index zero or none lists all, the filter is a substring.
    dump SwInterfaceDump("sw_interface_dump" 0xaa610c27 => SwInterfaceDetails) {
        sw_if_index: InterfaceIndex = InterfaceIndex::NONE,
        name_filter_valid: bool,
        name_filter: String,
    }

    /// One entry of [`SwInterfaceDump`].
    details SwInterfaceDetails("sw_interface_details" 0x6c221fc7) {
        sw_if_index: InterfaceIndex,
        sup_sw_if_index: u32,
        l2_address: MacAddress,
        flags: IfStatusFlags,
        r#type: IfType,
        link_duplex: LinkDuplex,
        link_speed: u32,
        link_mtu: u16,
        mtu: [u32; 4],
        sub_id: u32,
        sub_number_of_tags: u8,
        sub_outer_vlan_id: u16,
        sub_inner_vlan_id: u16,
        sub_if_flags: SubIfFlags,
        vtr_op: u32,
        vtr_push_dot1q: u32,
        vtr_tag1: u32,
        vtr_tag2: u32,
        outer_tag: u16,
        b_dmac: MacAddress,
        b_smac: MacAddress,
        b_vlanid: u16,
        i_sid: u32,
        interface_name: FixedString<64>,
        interface_dev_type: FixedString<64>,
        tag: FixedString<64>,
    }

    /// Adds or removes an address; `del_all` removes every one.
    request SwInterfaceAddDelAddress("sw_interface_add_del_address" 0x5463d73b => ack) {
        sw_if_index: InterfaceIndex,
        is_add: bool,
        del_all: bool,
        prefix: AddressWithPrefix,
    }

    /// Marks all addresses of all interfaces as stale.
    request SwInterfaceAddressReplaceBegin("sw_interface_address_replace_begin" 0x51077d14 => ack) {}

    /// Removes the addresses still stale.
    request SwInterfaceAddressReplaceEnd("sw_interface_address_replace_end" 0x51077d14 => ack) {}

    /// Binds the interface to a routing table; fails while it has addresses.
    request SwInterfaceSetTable("sw_interface_set_table" 0xdf42a577 => ack) {
        sw_if_index: InterfaceIndex,
        is_ipv6: bool,
        vrf_id: u32,
    }

    /// Asks for the routing table.
    request SwInterfaceGetTable("sw_interface_get_table" 0x2d033de4 => SwInterfaceGetTableReply) {
        sw_if_index: InterfaceIndex,
        is_ipv6: bool,
    }

    /// Answers [`SwInterfaceGetTable`].
    reply SwInterfaceGetTableReply("sw_interface_get_table_reply" 0xa6eb0109) {
        retval: Retval,
        vrf_id: u32,
    }

    /// Lets `unnumbered_sw_if_index` borrow the addresses of `sw_if_index`.
    request SwInterfaceSetUnnumbered("sw_interface_set_unnumbered" 0x154a6439 => ack) {
        sw_if_index: InterfaceIndex,
        unnumbered_sw_if_index: InterfaceIndex,
        is_add: bool,
    }

    /// Clears the counters of one interface or all.
    request SwInterfaceClearStats("sw_interface_clear_stats" 0xf9e6675e => ack) {
        sw_if_index: InterfaceIndex,
    }

    /// Sets or clears the interface's tag.
    request SwInterfaceTagAddDel("sw_interface_tag_add_del" 0x426f8bc1 => ack) {
        is_add: bool,
        sw_if_index: InterfaceIndex,
        tag: FixedString<64>,
    }

    /// Adds or removes a secondary MAC address.
    request SwInterfaceAddDelMacAddress("sw_interface_add_del_mac_address" 0x638bb9f4 => ack) {
        sw_if_index: u32,
        addr: MacAddress,
        is_add: u8,
    }

    /// Sets the MAC address.
    request SwInterfaceSetMacAddress("sw_interface_set_mac_address" 0xc536e7eb => ack) {
        sw_if_index: InterfaceIndex,
        mac_address: MacAddress,
    }

    /// Asks for the MAC address.
    request SwInterfaceGetMacAddress(
        "sw_interface_get_mac_address" 0xf9e6675e
        => SwInterfaceGetMacAddressReply
    ) {
        sw_if_index: InterfaceIndex,
    }

    /// Answers [`SwInterfaceGetMacAddress`].
    reply SwInterfaceGetMacAddressReply("sw_interface_get_mac_address_reply" 0x40ef2c08) {
        retval: Retval,
        mac_address: MacAddress,
    }

    /// Chooses polling, interrupt or adaptive reception.
    request SwInterfaceSetRxMode("sw_interface_set_rx_mode" 0xb04d1cfe => ack) {
        sw_if_index: InterfaceIndex,
        queue_id_valid: bool,
        queue_id: u32,
        mode: RxMode,
    }

    /// Pins a receive queue to a worker.
    request SwInterfaceSetRxPlacement("sw_interface_set_rx_placement" 0xdb65f3c9 => ack) {
        sw_if_index: InterfaceIndex,
        queue_id: u32,
        worker_id: u32,
        is_main: bool,
    }

    /// Pins a transmit queue to threads.
    request SwInterfaceSetTxPlacement("sw_interface_set_tx_placement" 0x4e0cd5ff => ack) {
        sw_if_index: InterfaceIndex,
        queue_id: u32,
        array_size: u32 = len(threads),
        threads: [u32; array_size],
    }

    /// Renames the interface.
    request SwInterfaceSetInterfaceName("sw_interface_set_interface_name" 0x45a1d548 => ack) {
        sw_if_index: InterfaceIndex,
        name: FixedString<64>,
    }

    /// Lists which worker serves which receive queue.
    dump SwInterfaceRxPlacementDump(
        "sw_interface_rx_placement_dump" 0xf9e6675e
        => SwInterfaceRxPlacementDetails
    ) {
        sw_if_index: InterfaceIndex,
    }

    /// One entry of [`SwInterfaceRxPlacementDump`].
    details SwInterfaceRxPlacementDetails(
        "sw_interface_rx_placement_details" 0x9e44a7ce [client_index context]
    ) {
        sw_if_index: InterfaceIndex,
        queue_id: u32,
        worker_id: u32,
        mode: RxMode,
    }

    /// Lists which threads use which transmit queue.
    cursor SwInterfaceTxPlacementGet(
        "sw_interface_tx_placement_get" 0x47250981
        => SwInterfaceTxPlacementDetails, SwInterfaceTxPlacementGetReply
    ) {
        cursor: u32,
        sw_if_index: InterfaceIndex,
    }

    /// One entry of [`SwInterfaceTxPlacementGet`].
    details SwInterfaceTxPlacementDetails(
        "sw_interface_tx_placement_details" 0x00381a2e [client_index context]
    ) {
        sw_if_index: InterfaceIndex,
        queue_id: u32,
        shared: u8,
        array_size: u32 = len(threads),
        threads: [u32; array_size],
    }

    /// Answers [`SwInterfaceTxPlacementGet`].
    reply SwInterfaceTxPlacementGetReply("sw_interface_tx_placement_get_reply" 0x53b48f5d) {
        retval: Retval,
        cursor: u32,
    }

    /// Changes the number in the interface's name.
    request InterfaceNameRenumber("interface_name_renumber" 0x2b8858b8 => ack) {
        sw_if_index: InterfaceIndex,
        new_show_dev_instance: u32,
    }

    /// Creates a sub-interface with any VLAN match.
    request CreateSubif("create_subif" 0x790ca755 => CreateSubifReply) {
        sw_if_index: InterfaceIndex,
        sub_id: u32,
        sub_if_flags: SubIfFlags,
        outer_vlan_id: u16,
        inner_vlan_id: u16,
    }

    /// Answers [`CreateSubif`].
    reply CreateSubifReply("create_subif_reply" 0x5383d31f) {
        retval: Retval,
        sw_if_index: InterfaceIndex,
    }

    /// Creates a sub-interface for one VLAN.
    request CreateVlanSubif("create_vlan_subif" 0xaf34ac8b => CreateVlanSubifReply) {
        sw_if_index: InterfaceIndex,
        vlan_id: u32,
    }

    /// Answers [`CreateVlanSubif`].
    reply CreateVlanSubifReply("create_vlan_subif_reply" 0x5383d31f) {
        retval: Retval,
        sw_if_index: InterfaceIndex,
    }

    /// Deletes a sub-interface.
    request DeleteSubif("delete_subif" 0xf9e6675e => ack) { sw_if_index: InterfaceIndex }

    /// Creates a loopback; a zero MAC address asks for a generated one.
    request CreateLoopback("create_loopback" 0x42bb5d22 => CreateLoopbackReply) {
        mac_address: MacAddress,
    }

    /// Answers [`CreateLoopback`].
    reply CreateLoopbackReply("create_loopback_reply" 0x5383d31f) {
        retval: Retval,
        sw_if_index: InterfaceIndex,
    }

    /// Creates a loopback with a chosen number.
    request CreateLoopbackInstance(
        "create_loopback_instance" 0xd36a3ee2
        => CreateLoopbackInstanceReply
    ) {
        mac_address: MacAddress,
        is_specified: bool,
        user_instance: u32,
    }

    /// Answers [`CreateLoopbackInstance`].
    reply CreateLoopbackInstanceReply("create_loopback_instance_reply" 0x5383d31f) {
        retval: Retval,
        sw_if_index: InterfaceIndex,
    }

    /// Deletes a loopback.
    request DeleteLoopback("delete_loopback" 0xf9e6675e => ack) { sw_if_index: InterfaceIndex }

    /// Starts writing packets to a pcap file.
    request PcapTraceOn("pcap_trace_on" 0xcb39e968 => ack) {
        capture_rx: bool,
        capture_tx: bool,
        capture_drop: bool,
        filter: bool,
        preallocate_data: bool,
        free_data: bool,
        max_packets: u32 = 1000,
        max_bytes_per_packet: u32 = 512,
        sw_if_index: InterfaceIndex,
        error: FixedString<128>,
        filename: FixedString<64>,
    }

    /// Stops the capture and closes the file.
    request PcapTraceOff("pcap_trace_off" 0x51077d14 => ack) {}

    /// Sets the reception mode of interfaces to come.
    request SwInterfaceSetDefaultRxMode("sw_interface_set_default_rx_mode" 0x776b4837 => ack) {
        mode: RxMode,
    }

    /// Asks for the reception mode of interfaces to come.
    request SwInterfaceGetDefaultRxMode(
        "sw_interface_get_default_rx_mode" 0x51077d14
        => SwInterfaceGetDefaultRxModeReply
    ) {}

    /// Answers [`SwInterfaceGetDefaultRxMode`].
    reply SwInterfaceGetDefaultRxModeReply("sw_interface_get_default_rx_mode_reply" 0x2339da5a) {
        retval: Retval,
        mode: RxMode,
    }

    /// Sets the link speed in kbit/s.
    request SwInterfaceSetLinkSpeed("sw_interface_set_link_speed" 0x2f0867fa => ack) {
        sw_if_index: InterfaceIndex,
        link_speed: u32,
    }

    /// Asks which link speeds the device can do.
    request SwInterfaceGetSpeedCapa(
        "sw_interface_get_speed_capa" 0xf9e6675e
        => SwInterfaceGetSpeedCapaReply
    ) {
        sw_if_index: InterfaceIndex,
    }

    /// Answers [`SwInterfaceGetSpeedCapa`].
    reply SwInterfaceGetSpeedCapaReply("sw_interface_get_speed_capa_reply" 0x20b21417) {
        retval: Retval,
        count: u32 = len(speeds),
        speeds: [u32; count],
    }
}
