//! VXLAN tunnels.

use std::net::IpAddr;

use super::interface_types::InterfaceIndex;
use crate::dsl::api;
use crate::retval::Retval;

api! {
    module vxlan("2.1.0" 0x95381587) imports ["vnet/interface_types.api", "vnet/ip/ip_types.api"];

    /// Creates or deletes a tunnel; deletion repeats the whole key.
    request VxlanAddDelTunnelV3("vxlan_add_del_tunnel_v3" 0x0072b037 => VxlanAddDelTunnelV3Reply) {
        is_add: bool = true,
        instance: u32 = u32::MAX,
        src_address: IpAddr,
        dst_address: IpAddr,
        src_port: u16,
        dst_port: u16,
        mcast_sw_if_index: InterfaceIndex,
        encap_vrf_id: u32,
        decap_next_index: u32,
        vni: u32,
        is_l3: bool = false,
    }

    /// Answers [`VxlanAddDelTunnelV3`].
    reply VxlanAddDelTunnelV3Reply("vxlan_add_del_tunnel_v3_reply" 0x5383d31f) {
        retval: Retval,
        sw_if_index: InterfaceIndex,
    }

    /// Lists tunnels.
    dump VxlanTunnelV2Dump("vxlan_tunnel_v2_dump" 0xf9e6675e => VxlanTunnelV2Details) {
        sw_if_index: InterfaceIndex,
    }

    /// One entry of [`VxlanTunnelV2Dump`].
    details VxlanTunnelV2Details("vxlan_tunnel_v2_details" 0xd3bdd4d9) {
        sw_if_index: InterfaceIndex,
        instance: u32,
        src_address: IpAddr,
        dst_address: IpAddr,
        src_port: u16,
        dst_port: u16,
        mcast_sw_if_index: InterfaceIndex,
        encap_vrf_id: u32,
        decap_next_index: u32,
        vni: u32,
    }

    /// Turns early VXLAN termination on or off.
    request SwInterfaceSetVxlanBypass("sw_interface_set_vxlan_bypass" 0x65247409 => ack) {
        sw_if_index: InterfaceIndex,
        is_ipv6: bool,
        enable: bool = true,
    }
}
