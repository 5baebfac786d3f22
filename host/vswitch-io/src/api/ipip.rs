//! Module `ipip`.

use vpp_api::ApiError;
use vpp_api::ip_types::IpDscp;
use vpp_api::ipip::{
    IpipAddTunnel, IpipAddTunnelReply, IpipDelTunnel, IpipTunnel, IpipTunnelDetails, IpipTunnelDump,
};
use vpp_api::tunnel_types::{TunnelEncapDecapFlags, TunnelMode};
use vswitch::SwIfIndex;
use vswitch::tunnel::{IpipFlags, IpipSpec};

use super::Api;
use super::convert::{Coded, filter, index, sw};

pub(super) fn register(api: &mut Api) {
    api.on::<IpipAddTunnel, _>(|engine, request| {
        let tunnel = request.tunnel;
        if tunnel.mode != TunnelMode::P2p {
            return Err(ApiError::Unimplemented);
        }
        let spec = IpipSpec {
            instance: (tunnel.instance != u32::MAX).then_some(tunnel.instance),
            src: tunnel.src,
            dst: tunnel.dst,
            table_id: tunnel.table_id,
            flags: flags(tunnel.flags),
            dscp: u8::from(tunnel.dscp),
        };
        let made = engine.dataplane.ipip_add_tunnel(spec).coded()?;
        Ok(IpipAddTunnelReply {
            sw_if_index: index(made),
            ..Default::default()
        })
    })
    .on::<IpipDelTunnel, _>(|engine, request| {
        engine
            .dataplane
            .ipip_del_tunnel(sw(request.sw_if_index))
            .coded()
    })
    .on_dump::<IpipTunnelDump>(|engine, request| {
        let only = filter(request.sw_if_index);
        let tunnels = engine.dataplane.ipip_tunnels();
        tunnels
            .filter(|(of, _)| only.is_none_or(|only| only == *of))
            .map(|(of, spec)| details(of, spec))
            .collect()
    });
}

fn details(of: SwIfIndex, spec: &IpipSpec) -> IpipTunnelDetails {
    IpipTunnelDetails {
        tunnel: IpipTunnel {
            instance: spec.instance.unwrap_or(u32::MAX),
            src: spec.src,
            dst: spec.dst,
            sw_if_index: index(of),
            table_id: spec.table_id,
            flags: flags_to_api(spec.flags),
            mode: TunnelMode::P2p,
            dscp: IpDscp::from(spec.dscp),
        },
    }
}

fn flags(flags: TunnelEncapDecapFlags) -> IpipFlags {
    let has = |flag| flags.contains(flag);
    IpipFlags {
        copy_df: has(TunnelEncapDecapFlags::ENCAP_COPY_DF),
        set_df: has(TunnelEncapDecapFlags::ENCAP_SET_DF),
        copy_dscp: has(TunnelEncapDecapFlags::ENCAP_COPY_DSCP),
        copy_ecn: has(TunnelEncapDecapFlags::ENCAP_COPY_ECN),
        decap_copy_ecn: has(TunnelEncapDecapFlags::DECAP_COPY_ECN),
        copy_hop_limit: has(TunnelEncapDecapFlags::ENCAP_COPY_HOP_LIMIT),
        copy_flow_label: has(TunnelEncapDecapFlags::ENCAP_COPY_FLOW_LABEL),
    }
}

fn flags_to_api(flags: IpipFlags) -> TunnelEncapDecapFlags {
    let all = [
        (flags.copy_df, TunnelEncapDecapFlags::ENCAP_COPY_DF),
        (flags.set_df, TunnelEncapDecapFlags::ENCAP_SET_DF),
        (flags.copy_dscp, TunnelEncapDecapFlags::ENCAP_COPY_DSCP),
        (flags.copy_ecn, TunnelEncapDecapFlags::ENCAP_COPY_ECN),
        (flags.decap_copy_ecn, TunnelEncapDecapFlags::DECAP_COPY_ECN),
        (
            flags.copy_hop_limit,
            TunnelEncapDecapFlags::ENCAP_COPY_HOP_LIMIT,
        ),
        (
            flags.copy_flow_label,
            TunnelEncapDecapFlags::ENCAP_COPY_FLOW_LABEL,
        ),
    ];
    all.into_iter()
        .filter(|(is_set, _)| *is_set)
        .fold(TunnelEncapDecapFlags::EMPTY, |sum, (_, flag)| sum | flag)
}
