//! Module `ip`: tables, routes, address dumps.

use vpp_api::ip::{
    IpAddressDetails, IpAddressDump, IpRoute, IpRouteAddDel, IpRouteAddDelReply, IpRouteAddDelV2,
    IpRouteAddDelV2Reply, IpRouteDetails, IpRouteDump, IpRouteLookup, IpRouteLookupReply,
    IpRouteLookupV2, IpRouteLookupV2Reply, IpRouteV2, IpRouteV2Details, IpRouteV2Dump, IpTable,
    IpTableAddDel, IpTableAddDelV2, IpTableAllocate, IpTableAllocateReply, IpTableDetails,
    IpTableDump, IpTableFlush, IpTableReplaceBegin, IpTableReplaceEnd, IpUnnumberedDetails,
    IpUnnumberedDump, SetIpFlowHash, SetIpFlowHashRouterId, SetIpFlowHashV2, SetIpFlowHashV3,
    SwInterfaceIp4EnableDisable, SwInterfaceIp6EnableDisable, SwInterfaceIp6GetLinkLocalAddress,
    SwInterfaceIp6GetLinkLocalAddressReply, SwInterfaceIp6SetLinkLocalAddress,
};
use vpp_api::ip_types::AddressWithPrefix;
use vpp_api::{ApiError, FixedString};
use vswitch::Family;
use vswitch::route::{RouteInfo, TableInfo};

use super::Api;
use super::convert::{
    Coded, family, family_of, filter, index, paths, paths_to_api, prefix, prefix_to_api, sw,
};
use crate::engine::Engine;

pub(super) fn register(api: &mut Api) {
    register_tables(api);
    register_flow_hashes(api);
    register_routes(api);
    api.on::<SwInterfaceIp4EnableDisable, _>(|engine, request| {
        engine
            .dataplane
            .ip4_enable_disable(sw(request.sw_if_index), request.enable)
            .coded()
    })
    .on::<SwInterfaceIp6SetLinkLocalAddress, _>(|engine, request| {
        engine
            .dataplane
            .ip6_set_link_local_address(sw(request.sw_if_index), request.ip)
            .coded()
    })
    .on::<SwInterfaceIp6GetLinkLocalAddress, _>(|engine, request| {
        let of = sw(request.sw_if_index);
        let found = engine.dataplane.ip6_link_local_address(of).coded()?;
        Ok(SwInterfaceIp6GetLinkLocalAddressReply {
            ip: found.ok_or(ApiError::Ip6NotEnabled)?,
            ..Default::default()
        })
    })
    .on::<SwInterfaceIp6EnableDisable, _>(|engine, request| {
        engine
            .dataplane
            .ip6_enable_disable(sw(request.sw_if_index), request.enable)
            .coded()
    })
    .on_dump::<IpAddressDump>(|engine, request| {
        let addresses = engine
            .dataplane
            .addresses(sw(request.sw_if_index), family(request.is_ipv6));
        let details = |address| IpAddressDetails {
            sw_if_index: request.sw_if_index,
            prefix: AddressWithPrefix(prefix_to_api(address)),
        };
        addresses.into_iter().map(details).collect()
    })
    .on_dump::<IpUnnumberedDump>(|engine, request| {
        let only = filter(request.sw_if_index);
        let pairs = engine.dataplane.unnumbered_dump().into_iter();
        pairs
            .filter(|(borrower, _)| only.is_none_or(|only| only == *borrower))
            .map(|(borrower, lender)| IpUnnumberedDetails {
                sw_if_index: index(borrower),
                ip_sw_if_index: index(lender),
            })
            .collect()
    });
}

fn register_tables(api: &mut Api) {
    api.on::<IpTableAddDel, _>(|engine, request| {
        add_del_table(engine, &request.table, request.is_add)
    })
    .on::<IpTableAddDelV2, _>(|engine, request| {
        add_del_table(engine, &request.table, request.is_add)
    })
    .on::<IpTableAllocate, _>(|engine, request| {
        let id = (request.table.table_id != u32::MAX).then_some(request.table.table_id);
        let of = family(request.table.is_ip6);
        let table_id = engine
            .dataplane
            .ip_table_allocate(of, id, request.table.name.as_str())
            .coded()?;
        Ok(IpTableAllocateReply {
            table: IpTable {
                table_id,
                ..request.table
            },
            ..Default::default()
        })
    })
    .on::<IpTableReplaceBegin, _>(|engine, request| {
        engine
            .dataplane
            .ip_table_replace_begin(family(request.table.is_ip6), request.table.table_id)
            .coded()
    })
    .on::<IpTableReplaceEnd, _>(|engine, request| {
        engine
            .dataplane
            .ip_table_replace_end(family(request.table.is_ip6), request.table.table_id)
            .coded()
    })
    .on::<IpTableFlush, _>(|engine, request| {
        engine
            .dataplane
            .ip_table_flush(family(request.table.is_ip6), request.table.table_id)
            .coded()
    })
    .on_dump::<IpTableDump>(|engine, _| {
        let details = |table: TableInfo| IpTableDetails {
            table: IpTable {
                table_id: table.table_id,
                is_ip6: table.family == Family::V6,
                name: FixedString::truncated(&table.name),
            },
        };
        engine
            .dataplane
            .ip_tables()
            .into_iter()
            .map(details)
            .collect()
    });
}

fn register_flow_hashes(api: &mut Api) {
    api.on::<SetIpFlowHash, _>(|engine, request| {
        let bits = [
            request.src,
            request.dst,
            request.sport,
            request.dport,
            request.proto,
            request.reverse,
            request.symmetric,
        ];
        let named = (0..)
            .zip(bits)
            .map(|(bit, is_set)| u32::from(is_set) << bit);
        let of = family(request.is_ipv6);
        engine
            .dataplane
            .set_ip_flow_hash(of, request.vrf_id, named.sum())
            .coded()
    })
    .on::<SetIpFlowHashRouterId, _>(|engine, request| {
        engine
            .dataplane
            .set_ip_flow_hash_router_id(request.router_id);
        Ok(())
    })
    .on::<SetIpFlowHashV2, _>(|engine, request| {
        let (of, fields) = (family_of(request.af)?, request.flow_hash_config.0);
        engine
            .dataplane
            .set_ip_flow_hash(of, request.table_id, fields)
            .coded()
    })
    .on::<SetIpFlowHashV3, _>(|engine, request| {
        let (of, fields) = (family_of(request.af)?, request.flow_hash_config.0);
        engine
            .dataplane
            .set_ip_flow_hash(of, request.table_id, fields)
            .coded()
    });
}

fn add_del_table(engine: &mut Engine, table: &IpTable, is_add: bool) -> Result<(), ApiError> {
    engine
        .dataplane
        .ip_table_add_del(
            family(table.is_ip6),
            table.table_id,
            table.name.as_str(),
            is_add,
        )
        .coded()
}

fn register_routes(api: &mut Api) {
    api.on::<IpRouteAddDel, _>(|engine, request| {
        let IpRouteAddDel {
            is_add,
            is_multipath,
            route,
        } = request;
        let stats_index = engine
            .dataplane
            .ip_route_add_del(
                route.table_id,
                prefix(route.prefix)?,
                &paths(&route.paths)?,
                is_add,
                is_multipath,
            )
            .coded()?;
        Ok(IpRouteAddDelReply {
            stats_index,
            ..Default::default()
        })
    })
    .on::<IpRouteAddDelV2, _>(|engine, request| {
        let IpRouteAddDelV2 {
            is_add,
            is_multipath,
            route,
        } = request;
        let stats_index = engine
            .dataplane
            .ip_route_add_del(
                route.table_id,
                prefix(route.prefix)?,
                &paths(&route.paths)?,
                is_add,
                is_multipath,
            )
            .coded()?;
        Ok(IpRouteAddDelV2Reply {
            stats_index,
            ..Default::default()
        })
    });
    register_route_queries(api);
}

fn register_route_queries(api: &mut Api) {
    api.on_dump::<IpRouteDump>(|engine, request| {
        let routes = engine
            .dataplane
            .ip_routes(family(request.table.is_ip6), request.table.table_id);
        routes
            .iter()
            .map(|info| IpRouteDetails { route: route(info) })
            .collect()
    })
    .on_dump::<IpRouteV2Dump>(|engine, request| {
        let routes = engine
            .dataplane
            .ip_routes(family(request.table.is_ip6), request.table.table_id);
        routes
            .iter()
            .map(|info| IpRouteV2Details {
                route: route_v2(info),
            })
            .collect()
    })
    .on::<IpRouteLookup, _>(|engine, request| {
        let of = prefix(request.prefix)?;
        let info = engine
            .dataplane
            .ip_route_lookup(request.table_id, of, request.exact != 0)
            .coded()?;
        Ok(IpRouteLookupReply {
            route: route(&info),
            ..Default::default()
        })
    })
    .on::<IpRouteLookupV2, _>(|engine, request| {
        let of = prefix(request.prefix)?;
        let info = engine
            .dataplane
            .ip_route_lookup(request.table_id, of, request.exact != 0)
            .coded()?;
        Ok(IpRouteLookupV2Reply {
            route: route_v2(&info),
            ..Default::default()
        })
    });
}

fn route(info: &RouteInfo) -> IpRoute {
    IpRoute {
        table_id: info.table_id,
        stats_index: info.stats_index,
        prefix: prefix_to_api(info.prefix),
        paths: paths_to_api(&info.paths),
    }
}

fn route_v2(info: &RouteInfo) -> IpRouteV2 {
    let IpRoute {
        table_id,
        stats_index,
        prefix,
        paths,
    } = route(info);
    IpRouteV2 {
        table_id,
        stats_index,
        prefix,
        paths,
        ..IpRouteV2::default()
    }
}
