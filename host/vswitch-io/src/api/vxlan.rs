//! Module `vxlan`.

use vpp_api::vxlan::{
    VxlanAddDelTunnelV3, VxlanAddDelTunnelV3Reply, VxlanTunnelV2Details, VxlanTunnelV2Dump,
};
use vswitch::tunnel::VxlanSpec;

use super::Api;
use super::convert::{Coded, filter, index, sw};

/// VPP's number for the graph node behind decapsulation that nobody chose.
const L2_INPUT: u32 = 1;

pub(super) fn register(api: &mut Api) {
    api.on::<VxlanAddDelTunnelV3, _>(|engine, request| {
        let spec = VxlanSpec {
            instance: (request.instance != u32::MAX).then_some(request.instance),
            src: request.src_address,
            dst: request.dst_address,
            src_port: port(request.src_port),
            dst_port: port(request.dst_port),
            mcast_sw_if_index: sw(request.mcast_sw_if_index),
            encap_table: request.encap_vrf_id,
            decap_next: match request.decap_next_index {
                u32::MAX => L2_INPUT,
                next => next,
            },
            vni: request.vni,
            is_l3: request.is_l3,
        };
        let sw_if_index = index(
            engine
                .dataplane
                .vxlan_add_del_tunnel_v3(request.is_add, spec)
                .coded()?,
        );
        Ok(VxlanAddDelTunnelV3Reply {
            sw_if_index,
            ..Default::default()
        })
    })
    .on_dump::<VxlanTunnelV2Dump>(|engine, request| {
        let only = filter(request.sw_if_index);
        let tunnels = engine.dataplane.vxlan_tunnels();
        tunnels
            .filter(|(of, _)| only.is_none_or(|only| only == *of))
            .map(|(of, spec)| VxlanTunnelV2Details {
                sw_if_index: index(of),
                instance: spec.instance.unwrap_or(u32::MAX),
                src_address: spec.src,
                dst_address: spec.dst,
                src_port: spec.src_port,
                dst_port: spec.dst_port,
                mcast_sw_if_index: index(spec.mcast_sw_if_index),
                encap_vrf_id: spec.encap_table,
                decap_next_index: spec.decap_next,
                vni: spec.vni,
            })
            .collect()
    });
}

/// Port 0 stands for the assigned one, and is shown as that.
fn port(port: u16) -> u16 {
    if port == 0 { packet::vxlan::PORT } else { port }
}
