//! Types shared by all that name interfaces.

use std::fmt;

use crate::dsl::api;

api! {
    module interface_types("1.0.0" 0x7f2ba79a) imports [];

    /// State of an interface.
    bits IfStatusFlags("if_status_flags" u32) {
        ADMIN_UP = 1 "IF_STATUS_API_FLAG_ADMIN_UP",
        LINK_UP = 2 "IF_STATUS_API_FLAG_LINK_UP",
    }

    /// Index into the MTUs of an interface.
    enum MtuProto("mtu_proto" u32) {
        L3 = 0 "MTU_PROTO_API_L3",
        Ip4 = 1 "MTU_PROTO_API_IP4",
        Ip6 = 2 "MTU_PROTO_API_IP6",
        Mpls = 3 "MTU_PROTO_API_MPLS",
    }

    /// Duplex of a link.
    enum LinkDuplex("link_duplex" u32) {
        Unknown = 0 "LINK_DUPLEX_API_UNKNOWN",
        Half = 1 "LINK_DUPLEX_API_HALF",
        Full = 2 "LINK_DUPLEX_API_FULL",
    }

    /// What a sub-interface matches.
    bits SubIfFlags("sub_if_flags" u32) {
        NO_TAGS = 1 "SUB_IF_API_FLAG_NO_TAGS",
        ONE_TAG = 2 "SUB_IF_API_FLAG_ONE_TAG",
        TWO_TAGS = 4 "SUB_IF_API_FLAG_TWO_TAGS",
        DOT1AD = 8 "SUB_IF_API_FLAG_DOT1AD",
        EXACT_MATCH = 16 "SUB_IF_API_FLAG_EXACT_MATCH",
        DEFAULT = 32 "SUB_IF_API_FLAG_DEFAULT",
        OUTER_VLAN_ID_ANY = 64 "SUB_IF_API_FLAG_OUTER_VLAN_ID_ANY",
        INNER_VLAN_ID_ANY = 128 "SUB_IF_API_FLAG_INNER_VLAN_ID_ANY",
        MASK_VNET = 254 "SUB_IF_API_FLAG_MASK_VNET",
        DOT1AH = 256 "SUB_IF_API_FLAG_DOT1AH",
    }

    /// How a queue is served.
    enum RxMode("rx_mode" u32) {
        Unknown = 0 "RX_MODE_API_UNKNOWN",
        Polling = 1 "RX_MODE_API_POLLING",
        Interrupt = 2 "RX_MODE_API_INTERRUPT",
        Adaptive = 3 "RX_MODE_API_ADAPTIVE",
        Default = 4 "RX_MODE_API_DEFAULT",
    }

    /// What kind of interface.
    enum IfType("if_type" u32) {
        Hardware = 0 "IF_API_TYPE_HARDWARE",
        Sub = 1 "IF_API_TYPE_SUB",
        P2p = 2 "IF_API_TYPE_P2P",
        Pipe = 3 "IF_API_TYPE_PIPE",
    }

    /// Receive or transmit.
    enum Direction("direction" u8) {
        Rx = 0 "RX",
        Tx = 1 "TX",
    }

    /// Index of an interface, `sw_if_index`.
    #[derive(Eq, Hash, PartialOrd, Ord)]
    alias InterfaceIndex("interface_index" u32) {}
}

impl InterfaceIndex {
    /// No interface; in a dump request, all.
    pub const NONE: Self = Self(u32::MAX);
}

impl fmt::Display for InterfaceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
