//! Types shared by tunnels of all kinds.

use crate::dsl::api;

api! {
    module tunnel_types("1.0.1" 0x882f6758) imports ["vnet/interface_types.api", "vnet/ip/ip_types.api"];

    /// How a tunnel fills in its headers.
    bits TunnelEncapDecapFlags("tunnel_encap_decap_flags" u8) {
        NONE = 0 "TUNNEL_API_ENCAP_DECAP_FLAG_NONE",
        ENCAP_COPY_DF = 1 "TUNNEL_API_ENCAP_DECAP_FLAG_ENCAP_COPY_DF",
        ENCAP_SET_DF = 2 "TUNNEL_API_ENCAP_DECAP_FLAG_ENCAP_SET_DF",
        ENCAP_COPY_DSCP = 4 "TUNNEL_API_ENCAP_DECAP_FLAG_ENCAP_COPY_DSCP",
        ENCAP_COPY_ECN = 8 "TUNNEL_API_ENCAP_DECAP_FLAG_ENCAP_COPY_ECN",
        DECAP_COPY_ECN = 16 "TUNNEL_API_ENCAP_DECAP_FLAG_DECAP_COPY_ECN",
        ENCAP_INNER_HASH = 32 "TUNNEL_API_ENCAP_DECAP_FLAG_ENCAP_INNER_HASH",
        ENCAP_COPY_HOP_LIMIT = 64 "TUNNEL_API_ENCAP_DECAP_FLAG_ENCAP_COPY_HOP_LIMIT",
        ENCAP_COPY_FLOW_LABEL = 128 "TUNNEL_API_ENCAP_DECAP_FLAG_ENCAP_COPY_FLOW_LABEL",
    }

    /// Whether a tunnel has one peer or many.
    enum TunnelMode("tunnel_mode" u8) {
        P2p = 0 "TUNNEL_API_MODE_P2P",
        Mp = 1 "TUNNEL_API_MODE_MP",
    }
}
