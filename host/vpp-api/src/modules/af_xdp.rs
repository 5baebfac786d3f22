//! Interfaces on express data path sockets of Linux interfaces.

use super::interface_types::InterfaceIndex;
use crate::dsl::api;
use crate::retval::Retval;
use crate::wire::FixedString;

api! {
    module af_xdp("1.1.0" 0x2d18a436) imports ["vnet/interface_types.api"];

    /// Whether frames are copied between kernel and rings.
    enum AfXdpMode("af_xdp_mode" u32) {
        Auto = 0 "AF_XDP_API_MODE_AUTO",
        Copy = 1 "AF_XDP_API_MODE_COPY",
        ZeroCopy = 2 "AF_XDP_API_MODE_ZERO_COPY",
    }

    /// Properties of an af_xdp interface.
    flags AfXdpFlags("af_xdp_flag" u8) {
        NO_SYSCALL_LOCK = 1 "AF_XDP_API_FLAGS_NO_SYSCALL_LOCK",
        MAC_REUSE = 2 "AF_XDP_API_FLAGS_MAC_REUSE",
        MULTI_BUFFER = 4 "AF_XDP_API_FLAGS_MULTI_BUFFER",
    }

    /// Attaches to a Linux interface.
    request AfXdpCreateV3("af_xdp_create_v3" 0xcf4b1827 => AfXdpCreateV3Reply) {
        host_if: FixedString<64>,
        name: FixedString<64>,
        rxq_num: u16 = 1,
        rxq_size: u16 = 0,
        txq_size: u16 = 0,
        mode: AfXdpMode = AfXdpMode::Auto,
        flags: AfXdpFlags = AfXdpFlags::EMPTY,
        prog: FixedString<256>,
        netns: FixedString<64>,
    }

    /// Answers [`AfXdpCreateV3`].
    reply AfXdpCreateV3Reply("af_xdp_create_v3_reply" 0x5383d31f) {
        retval: Retval,
        sw_if_index: InterfaceIndex,
    }

    /// Detaches from a Linux interface.
    request AfXdpDelete("af_xdp_delete" 0xf9e6675e => ack) { sw_if_index: InterfaceIndex }
}
