//! Modules `ip_neighbor`, `arp` and `ip6_nd`.

use vpp_api::ApiError;
use vpp_api::arp::{
    ProxyArp, ProxyArpAddDel, ProxyArpDetails, ProxyArpDump, ProxyArpIntfcDetails,
    ProxyArpIntfcDump, ProxyArpIntfcEnableDisable,
};
use vpp_api::ip_neighbor::{
    IpNeighbor, IpNeighborAddDel, IpNeighborAddDelReply, IpNeighborConfig, IpNeighborConfigGet,
    IpNeighborConfigGetReply, IpNeighborDetails, IpNeighborDump, IpNeighborEventV2,
    IpNeighborFlags, IpNeighborFlush, IpNeighborReplaceBegin, IpNeighborReplaceEnd,
    WantIpNeighborEventsV2,
};
use vpp_api::ip6_nd::{
    Ip6ndProxyAddDel, Ip6ndProxyDetails, Ip6ndProxyDump, SwInterfaceIp6ndRaConfig,
};
use vswitch::Nanos;
use vswitch::interface::InterfaceInfo;
use vswitch::neighbor::{NeighborFlags, NeighborInfo, NeighborLimits};

use super::Api;
use super::convert::{Coded, family_of, filter, index, mac, mac_to_api, sw};
use crate::engine::Engine;

pub(super) fn register(api: &mut Api) {
    api.on::<IpNeighborAddDel, _>(|engine, request| {
        let IpNeighbor {
            sw_if_index,
            flags,
            mac_address,
            ip_address,
        } = request.neighbor;
        let flags = NeighborFlags {
            is_static: flags.contains(IpNeighborFlags::STATIC),
            no_fib_entry: flags.contains(IpNeighborFlags::NO_FIB_ENTRY),
        };
        let now = engine.now();
        let (on, mac) = (sw(sw_if_index), mac(mac_address));
        let stats_index = engine
            .dataplane
            .ip_neighbor_add_del(on, ip_address, mac, flags, request.is_add, now)
            .coded()?;
        Ok(IpNeighborAddDelReply {
            stats_index,
            ..Default::default()
        })
    })
    .on::<IpNeighborConfig, _>(|engine, request| {
        let limits = NeighborLimits {
            max_number: request.max_number,
            max_age: request.max_age,
            recycle: request.recycle,
        };
        engine
            .dataplane
            .ip_neighbor_config(family_of(request.af)?, limits);
        Ok(())
    })
    .on::<IpNeighborConfigGet, _>(|engine, request| {
        let limits = engine.dataplane.ip_neighbor_limits(family_of(request.af)?);
        Ok(IpNeighborConfigGetReply {
            af: request.af,
            max_number: limits.max_number,
            max_age: limits.max_age,
            recycle: limits.recycle,
            ..Default::default()
        })
    })
    .on::<IpNeighborFlush, _>(|engine, request| {
        engine
            .dataplane
            .ip_neighbor_flush(family_of(request.af)?, filter(request.sw_if_index));
        Ok(())
    })
    .on::<IpNeighborReplaceBegin, _>(|engine, _| {
        engine.dataplane.ip_neighbor_replace_begin();
        Ok(())
    })
    .on::<IpNeighborReplaceEnd, _>(|engine, _| {
        engine.dataplane.ip_neighbor_replace_end();
        Ok(())
    })
    .on_dump::<IpNeighborDump>(|engine, request| dump(engine, &request));
    api.router
        .on::<WantIpNeighborEventsV2, _>(|_, request, caller| {
            caller.want::<IpNeighborEventV2>(request.enable, request.pid)
        });
    register_proxies(api);
}

fn register_proxies(api: &mut Api) {
    api.on::<ProxyArpAddDel, _>(|engine, request| {
        let proxy = request.proxy;
        engine
            .dataplane
            .proxy_arp_add_del(proxy.table_id, proxy.low, proxy.hi, request.is_add)
            .coded()
    })
    .on::<ProxyArpIntfcEnableDisable, _>(|engine, request| {
        engine
            .dataplane
            .proxy_arp_enable_disable(sw(request.sw_if_index), request.enable)
            .coded()
    })
    .on::<Ip6ndProxyAddDel, _>(|engine, request| {
        engine
            .dataplane
            .ip6nd_proxy_add_del(sw(request.sw_if_index), request.ip, request.is_add)
            .coded()
    })
    .on_dump::<ProxyArpDump>(|engine, _| {
        let all = engine.dataplane.proxy_arps().into_iter();
        let details = |(table_id, low, hi)| ProxyArpDetails {
            proxy: ProxyArp { table_id, low, hi },
        };
        all.map(details).collect()
    })
    .on_dump::<ProxyArpIntfcDump>(|engine, _| {
        let all = engine.dataplane.interfaces().filter(|i| i.proxy_arp);
        let details = |info: &InterfaceInfo| ProxyArpIntfcDetails {
            sw_if_index: info.sw_if_index.0,
        };
        all.map(details).collect()
    })
    .on_dump::<Ip6ndProxyDump>(|engine, _| {
        let details = |(on, ip)| Ip6ndProxyDetails {
            sw_if_index: index(on),
            ip,
        };
        engine.dataplane.nd_proxies().map(details).collect()
    })
    // This dataplane never sends router advertisements: only asking it not to can be granted.
    .on::<SwInterfaceIp6ndRaConfig, _>(|engine, request| {
        engine
            .dataplane
            .interface(sw(request.sw_if_index))
            .map(drop)
            .coded()?;
        let is_suppressed = request.suppress != 0 && !request.is_no;
        if is_suppressed {
            Ok(())
        } else {
            Err(ApiError::Unsupported)
        }
    });
}

fn dump(engine: &Engine, request: &IpNeighborDump) -> Vec<IpNeighborDetails> {
    let Ok(family) = family_of(request.af) else {
        return Vec::new();
    };
    let now = engine.now();
    let found = engine
        .dataplane
        .ip_neighbors(family, filter(request.sw_if_index));
    found.iter().map(|info| details(info, now)).collect()
}

fn details(info: &NeighborInfo, now: Nanos) -> IpNeighborDetails {
    let is_static = if info.flags.is_static {
        IpNeighborFlags::STATIC
    } else {
        IpNeighborFlags::EMPTY
    };
    let no_entry = if info.flags.no_fib_entry {
        IpNeighborFlags::NO_FIB_ENTRY
    } else {
        IpNeighborFlags::EMPTY
    };
    let age = std::time::Duration::from_nanos(now.0.saturating_sub(info.updated.0)).as_secs_f64();
    IpNeighborDetails {
        age,
        neighbor: IpNeighbor {
            sw_if_index: index(info.sw_if_index),
            flags: is_static | no_entry,
            mac_address: mac_to_api(info.mac),
            ip_address: info.ip,
        },
    }
}
