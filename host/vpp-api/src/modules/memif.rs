//! Shared-memory interfaces and their control sockets.

use super::ethernet_types::MacAddress;
use super::interface_types::{IfStatusFlags, InterfaceIndex};
use crate::dsl::api;
use crate::retval::Retval;
use crate::wire::FixedString;

api! {
    module memif("3.1.0" 0xd48ac702) imports [
        "vnet/ethernet/ethernet_types.api",
        "vnet/interface_types.api",
    ];

    /// Which side listens.
    enum MemifRole("memif_role" u32) {
        Master = 0 "MEMIF_ROLE_API_MASTER",
        Slave = 1 "MEMIF_ROLE_API_SLAVE",
    }

    /// What a memif carries.
    enum MemifMode("memif_mode" u32) {
        Ethernet = 0 "MEMIF_MODE_API_ETHERNET",
        Ip = 1 "MEMIF_MODE_API_IP",
        PuntInject = 2 "MEMIF_MODE_API_PUNT_INJECT",
    }

    /// Adds or removes a control socket; id `!0` asks for a free one.
    request MemifSocketFilenameAddDelV2(
        "memif_socket_filename_add_del_v2" 0x34223bdf
        => MemifSocketFilenameAddDelV2Reply
    ) {
        is_add: bool,
        socket_id: u32 = u32::MAX,
        socket_filename: String,
    }

    /// Answers [`MemifSocketFilenameAddDelV2`].
    reply MemifSocketFilenameAddDelV2Reply("memif_socket_filename_add_del_v2_reply" 0x9f29bdb9) {
        retval: Retval,
        socket_id: u32,
    }

    /// Creates an interface on a control socket.
    request MemifCreateV2("memif_create_v2" 0x8c7de5f7 => MemifCreateV2Reply) {
        role: MemifRole,
        mode: MemifMode,
        rx_queues: u8,
        tx_queues: u8,
        id: u32,
        socket_id: u32,
        ring_size: u32,
        buffer_size: u16,
        no_zero_copy: bool,
        use_dma: bool,
        hw_addr: MacAddress,
        secret: FixedString<24>,
    }

    /// Answers [`MemifCreateV2`].
    reply MemifCreateV2Reply("memif_create_v2_reply" 0x5383d31f) {
        retval: Retval,
        sw_if_index: InterfaceIndex,
    }

    /// Deletes an interface.
    request MemifDelete("memif_delete" 0xf9e6675e => ack) { sw_if_index: InterfaceIndex }

    /// Lists control sockets.
    dump MemifSocketFilenameDump(
        "memif_socket_filename_dump" 0x51077d14
        => MemifSocketFilenameDetails
    ) {}

    /// One entry of [`MemifSocketFilenameDump`].
    details MemifSocketFilenameDetails("memif_socket_filename_details" 0x7ff326f7) {
        socket_id: u32,
        socket_filename: FixedString<108>,
    }

    /// Lists interfaces with what was negotiated.
    dump MemifDump("memif_dump" 0x51077d14 => MemifDetails) {}

    /// One entry of [`MemifDump`].
    details MemifDetails("memif_details" 0xda34feb9) {
        sw_if_index: InterfaceIndex,
        hw_addr: MacAddress,
        id: u32,
        role: MemifRole,
        mode: MemifMode,
        zero_copy: bool,
        socket_id: u32,
        ring_size: u32,
        buffer_size: u16,
        flags: IfStatusFlags,
        if_name: FixedString<64>,
    }

    /// Adds or removes a control socket under a chosen id (superseded by v2).
    request MemifSocketFilenameAddDel("memif_socket_filename_add_del" 0xa2ce1a10 => ack) {
        is_add: bool,
        socket_id: u32,
        socket_filename: FixedString<108>,
    }

    /// Creates an interface (superseded by v2).
    request MemifCreate("memif_create" 0xb1b25061 => MemifCreateReply) {
        role: MemifRole,
        mode: MemifMode,
        rx_queues: u8,
        tx_queues: u8,
        id: u32,
        socket_id: u32,
        ring_size: u32,
        buffer_size: u16,
        no_zero_copy: bool,
        hw_addr: MacAddress,
        secret: FixedString<24>,
    }

    /// Answers [`MemifCreate`].
    reply MemifCreateReply("memif_create_reply" 0x5383d31f) {
        retval: Retval,
        sw_if_index: InterfaceIndex,
    }
}
