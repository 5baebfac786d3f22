//! Module `ip`: reassembly. Whole packets serve what asks for the ports of all fragments, too, so that both kinds of
//! reassembly are one here.

use vpp_api::ip::{
    IpLocalReassEnableDisable, IpLocalReassGet, IpLocalReassGetReply, IpReassemblyEnableDisable,
    IpReassemblyGet, IpReassemblyGetReply, IpReassemblySet,
};
use vswitch::reassembly::Limits;

use super::Api;
use super::convert::{Coded, family, sw};

pub(super) fn register(api: &mut Api) {
    api.on::<IpReassemblySet, _>(|engine, request| {
        let limits = Limits {
            timeout_ms: request.timeout_ms,
            packets: request.max_reassemblies,
            fragments: request.max_reassembly_length,
            walk_interval_ms: request.expire_walk_interval_ms,
        };
        engine
            .dataplane
            .reassembly_set(family(request.is_ip6), limits);
        Ok(())
    })
    .on::<IpReassemblyGet, _>(|engine, request| {
        let limits = engine.dataplane.reassembly_get(family(request.is_ip6));
        Ok(IpReassemblyGetReply {
            timeout_ms: limits.timeout_ms,
            max_reassemblies: limits.packets,
            max_reassembly_length: limits.fragments,
            expire_walk_interval_ms: limits.walk_interval_ms,
            is_ip6: request.is_ip6,
            ..Default::default()
        })
    })
    .on::<IpReassemblyEnableDisable, _>(|engine, request| {
        let on = sw(request.sw_if_index);
        engine
            .dataplane
            .reassembly_enable_disable(on, request.enable_ip4, request.enable_ip6)
            .coded()
    })
    .on::<IpLocalReassEnableDisable, _>(|engine, request| {
        engine
            .dataplane
            .local_reassembly_enable_disable(request.enable_ip4, request.enable_ip6);
        Ok(())
    })
    .on::<IpLocalReassGet, _>(|engine, _| {
        let [ip4_is_enabled, ip6_is_enabled] = engine.dataplane.local_reassembly_get();
        Ok(IpLocalReassGetReply {
            ip4_is_enabled,
            ip6_is_enabled,
            ..Default::default()
        })
    });
}
