//! IP in IP tunnels.

use std::net::IpAddr;

use super::interface_types::InterfaceIndex;
use super::ip_types::IpDscp;
use super::tunnel_types::{TunnelEncapDecapFlags, TunnelMode};
use crate::dsl::api;
use crate::retval::Retval;

api! {
    module ipip("2.0.2" 0x4609caba) imports [
        "vnet/interface_types.api",
        "vnet/ip/ip_types.api",
        "vnet/tunnel/tunnel_types.api",
    ];

    /// A tunnel.
    #[derive(Copy, Eq, Hash)]
    struct IpipTunnel("ipip_tunnel") {
        instance: u32,
        src: IpAddr,
        dst: IpAddr,
        sw_if_index: InterfaceIndex,
        table_id: u32,
        flags: TunnelEncapDecapFlags,
        mode: TunnelMode,
        dscp: IpDscp,
    }

    /// Creates a tunnel.
    request IpipAddTunnel("ipip_add_tunnel" 0x2ac399f5 => IpipAddTunnelReply) { tunnel: IpipTunnel }

    /// Answers [`IpipAddTunnel`].
    reply IpipAddTunnelReply("ipip_add_tunnel_reply" 0x5383d31f) {
        retval: Retval,
        sw_if_index: InterfaceIndex,
    }

    /// Deletes a tunnel.
    request IpipDelTunnel("ipip_del_tunnel" 0xf9e6675e => ack) { sw_if_index: InterfaceIndex }

    /// Lists tunnels.
    dump IpipTunnelDump("ipip_tunnel_dump" 0xf9e6675e => IpipTunnelDetails) {
        sw_if_index: InterfaceIndex,
    }

    /// One entry of [`IpipTunnelDump`].
    details IpipTunnelDetails("ipip_tunnel_details" 0xd31cb34e) { tunnel: IpipTunnel }
}
