//! Interfaces on host devices.

use super::ethernet_types::MacAddress;
use super::interface_types::InterfaceIndex;
use crate::dsl::api;
use crate::retval::Retval;
use crate::wire::FixedString;

api! {
    module af_packet("2.0.0" 0x5b12de21) imports [
        "vnet/ethernet/ethernet_types.api",
        "vnet/interface_types.api",
    ];

    /// What an af_packet interface carries.
    enum AfPacketMode("af_packet_mode" u32) {
        Ethernet = 1 "AF_PACKET_API_MODE_ETHERNET",
        Ip = 2 "AF_PACKET_API_MODE_IP",
    }

    /// Properties of an af_packet interface.
    bits AfPacketFlags("af_packet_flags" u32) {
        QDISC_BYPASS = 1 "AF_PACKET_API_FLAG_QDISC_BYPASS",
        CKSUM_GSO = 2 "AF_PACKET_API_FLAG_CKSUM_GSO",
        VERSION_2 = 8 "AF_PACKET_API_FLAG_VERSION_2",
    }

    /// Attaches to a host device.
    request AfPacketCreateV3("af_packet_create_v3" 0xb3a809d4 => AfPacketCreateV3Reply) {
        mode: AfPacketMode,
        hw_addr: MacAddress,
        use_random_hw_addr: bool,
        host_if_name: FixedString<64>,
        rx_frame_size: u32,
        tx_frame_size: u32,
        rx_frames_per_block: u32,
        tx_frames_per_block: u32,
        flags: AfPacketFlags,
        num_rx_queues: u16 = 1,
        num_tx_queues: u16 = 1,
    }

    /// Answers [`AfPacketCreateV3`].
    reply AfPacketCreateV3Reply("af_packet_create_v3_reply" 0x5383d31f) {
        retval: Retval,
        sw_if_index: InterfaceIndex,
    }

    /// Detaches from a host device.
    request AfPacketDelete("af_packet_delete" 0x863fa648 => ack) { host_if_name: FixedString<64> }

    /// Chooses who completes transport checksums.
    request AfPacketSetL4CksumOffload("af_packet_set_l4_cksum_offload" 0x319cd5c8 => ack) {
        sw_if_index: InterfaceIndex,
        set: bool,
    }

    /// Lists attached host devices.
    dump AfPacketDump("af_packet_dump" 0x51077d14 => AfPacketDetails) {}

    /// One entry of [`AfPacketDump`].
    details AfPacketDetails("af_packet_details" 0x58c7c042) {
        sw_if_index: InterfaceIndex,
        host_if_name: FixedString<64>,
    }
}
