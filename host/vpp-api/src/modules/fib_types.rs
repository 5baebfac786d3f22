//! Paths: what a route, a policy or a label does with a packet.

use super::ip_types::AddressUnion;
use crate::dsl::api;

api! {
    module fib_types("2.0.1" 0x21fd785b) imports ["vnet/ip/ip_types.api"];

    /// Protocol of a next hop.
    enum FibPathNhProto("fib_path_nh_proto" u32) {
        Ip4 = 0 "FIB_API_PATH_NH_PROTO_IP4",
        Ip6 = 1 "FIB_API_PATH_NH_PROTO_IP6",
        Mpls = 2 "FIB_API_PATH_NH_PROTO_MPLS",
        Ethernet = 3 "FIB_API_PATH_NH_PROTO_ETHERNET",
        Bier = 4 "FIB_API_PATH_NH_PROTO_BIER",
    }

    /// Properties of a path.
    bits FibPathFlags("fib_path_flags" u32) {
        NONE = 0 "FIB_API_PATH_FLAG_NONE",
        RESOLVE_VIA_ATTACHED = 1 "FIB_API_PATH_FLAG_RESOLVE_VIA_ATTACHED",
        RESOLVE_VIA_HOST = 2 "FIB_API_PATH_FLAG_RESOLVE_VIA_HOST",
        POP_PW_CW = 4 "FIB_API_PATH_FLAG_POP_PW_CW",
    }

    /// What a path does.
    enum FibPathType("fib_path_type" u32) {
        Normal = 0 "FIB_API_PATH_TYPE_NORMAL",
        Local = 1 "FIB_API_PATH_TYPE_LOCAL",
        Drop = 2 "FIB_API_PATH_TYPE_DROP",
        UdpEncap = 3 "FIB_API_PATH_TYPE_UDP_ENCAP",
        BierImp = 4 "FIB_API_PATH_TYPE_BIER_IMP",
        IcmpUnreach = 5 "FIB_API_PATH_TYPE_ICMP_UNREACH",
        IcmpProhibit = 6 "FIB_API_PATH_TYPE_ICMP_PROHIBIT",
        SourceLookup = 7 "FIB_API_PATH_TYPE_SOURCE_LOOKUP",
        Dvr = 8 "FIB_API_PATH_TYPE_DVR",
        InterfaceRx = 9 "FIB_API_PATH_TYPE_INTERFACE_RX",
        Classify = 10 "FIB_API_PATH_TYPE_CLASSIFY",
    }

    /// An MPLS label.
    #[derive(Copy, Eq, Hash)]
    struct FibMplsLabel("fib_mpls_label") {
        is_uniform: u8,
        label: u32,
        ttl: u8,
        exp: u8,
    }

    /// A next hop; which member counts depends on the path.
    #[derive(Copy, Eq, Hash)]
    struct FibPathNh("fib_path_nh") {
        address: AddressUnion,
        via_label: u32,
        obj_id: u32,
        classify_table_index: u32,
    }

    /// One way to forward.
    #[derive(Eq, Hash)]
    struct FibPath("fib_path") {
        sw_if_index: u32,
        table_id: u32,
        rpf_id: u32,
        weight: u8,
        preference: u8,
        r#type: FibPathType,
        flags: FibPathFlags,
        proto: FibPathNhProto,
        nh: FibPathNh,
        n_labels: u8,
        label_stack: [FibMplsLabel; 16],
    }
}
