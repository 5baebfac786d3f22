//! Tables, addresses, routes, neighbours.

use vpp_api::arp::{
    ProxyArp, ProxyArpAddDel, ProxyArpDump, ProxyArpIntfcDump, ProxyArpIntfcEnableDisable,
};
use vpp_api::interface::{
    DeleteLoopback, SwInterfaceAddDelAddress, SwInterfaceSetFlags, SwInterfaceSetTable,
    SwInterfaceSetUnnumbered,
};
use vpp_api::interface_types::{IfStatusFlags, InterfaceIndex};
use vpp_api::ip::{
    IpAddressDump, IpFlowHashConfig, IpFlowHashConfigV2, IpRoute, IpRouteAddDel, IpRouteLookup,
    IpTable, IpTableAddDel, IpTableDump, IpUnnumberedDump, SetIpFlowHash, SetIpFlowHashRouterId,
    SetIpFlowHashV2, SetIpFlowHashV3, SwInterfaceIp6GetLinkLocalAddress,
    SwInterfaceIp6SetLinkLocalAddress,
};
use vpp_api::ip_neighbor::{IpNeighbor, IpNeighborAddDel, IpNeighborDump, IpNeighborFlags};
use vpp_api::ip_types::AddressWithPrefix;
use vpp_api::ip6_nd::{Ip6ndProxyAddDel, Ip6ndProxyDetails, Ip6ndProxyDump};
use vpp_api::{ApiError, FixedString};

use crate::target::{TABLE, Target, path, prefix};

#[tokio::test]
async fn addresses_belong_to_a_table_and_hold_the_interface_there() {
    for target in Target::all().await {
        let sw_if_index = target.loopback().await;
        target.ok(&table(true)).await;
        let bind = SwInterfaceSetTable {
            sw_if_index,
            is_ipv6: false,
            vrf_id: TABLE,
        };
        target.ok(&bind).await;
        target
            .ok(&SwInterfaceSetFlags {
                sw_if_index,
                flags: IfStatusFlags::ADMIN_UP,
            })
            .await;
        target.ok(&address(sw_if_index, "10.77.1.1/24", true)).await;
        let dump = IpAddressDump {
            sw_if_index,
            is_ipv6: false,
        };
        let addresses = target.api.dump(&dump).await.unwrap();
        assert_eq!(addresses.len(), 1);
        assert_eq!(
            addresses[0].prefix,
            AddressWithPrefix(prefix("10.77.1.1/24"))
        );
        let elsewhere = SwInterfaceSetTable {
            vrf_id: 0,
            ..bind.clone()
        };
        target
            .refuses(&elsewhere, &[ApiError::AddressFoundForInterface])
            .await;
        let lookup = IpRouteLookup {
            table_id: TABLE,
            exact: 0,
            prefix: prefix("10.77.1.9/32"),
        };
        let found = target.api.request(&lookup).await.unwrap().route;
        // VPP shows the prefix of a connected route as the address has it, with its host bits.
        let connected = if target.is_vpp() {
            "10.77.1.1/24"
        } else {
            "10.77.1.0/24"
        };
        assert_eq!(found.prefix, prefix(connected), "the connected prefix");
        target
            .ok(&address(sw_if_index, "10.77.1.1/24", false))
            .await;
        target.ok(&elsewhere).await;
        target.ok(&DeleteLoopback { sw_if_index }).await;
        target.ok(&table(false)).await;
    }
}

#[tokio::test]
async fn an_unnumbered_interface_borrows_from_the_one_named_first() {
    for target in Target::all().await {
        let (lender, borrower) = (target.loopback().await, target.loopback().await);
        target.ok(&address(lender, "10.77.2.1/32", true)).await;
        let request = SwInterfaceSetUnnumbered {
            sw_if_index: lender,
            unnumbered_sw_if_index: borrower,
            is_add: true,
        };
        target.ok(&request).await;
        let pairs = target.api.dump(&IpUnnumberedDump::default()).await.unwrap();
        let pair = pairs
            .iter()
            .find(|pair| pair.sw_if_index == borrower)
            .unwrap();
        assert_eq!(pair.ip_sw_if_index, lender);
        target
            .ok(&SwInterfaceSetUnnumbered {
                is_add: false,
                ..request
            })
            .await;
        for sw_if_index in [borrower, lender] {
            target.ok(&DeleteLoopback { sw_if_index }).await;
        }
    }
}

/// A loopback 10.77.3.1/24 in the test's table.
async fn routed_loopback(target: &Target) -> InterfaceIndex {
    target.ok(&table(true)).await;
    let sw_if_index = target.loopback().await;
    let bind = SwInterfaceSetTable {
        sw_if_index,
        is_ipv6: false,
        vrf_id: TABLE,
    };
    target.ok(&bind).await;
    let flags = IfStatusFlags::ADMIN_UP;
    target.ok(&SwInterfaceSetFlags { sw_if_index, flags }).await;
    target.ok(&address(sw_if_index, "10.77.3.1/24", true)).await;
    sw_if_index
}

async fn remove(target: &Target, sw_if_index: InterfaceIndex) {
    target
        .ok(&address(sw_if_index, "10.77.3.1/24", false))
        .await;
    target.ok(&DeleteLoopback { sw_if_index }).await;
    target.ok(&table(false)).await;
}

#[tokio::test]
async fn a_route_is_replaced_extended_and_deleted() {
    for target in Target::all().await {
        let sw_if_index = routed_loopback(&target).await;
        let tables = target.api.dump(&IpTableDump::default()).await.unwrap();
        assert!(
            tables.iter().any(|details| details.table.table_id == TABLE),
            "{tables:?}"
        );
        let to = "10.99.0.0/16";
        let first = route(to, &["10.77.3.2"], sw_if_index);
        target.ok(&first).await;
        target.ok(&route(to, &["10.77.3.3"], sw_if_index)).await;
        assert_eq!(target.next_hops(to).await, ["10.77.3.3"], "add replaces");
        let extend = IpRouteAddDel {
            is_multipath: true,
            ..first.clone()
        };
        target.ok(&extend).await;
        assert_eq!(
            target.next_hops(to).await,
            ["10.77.3.2", "10.77.3.3"],
            "multipath adds"
        );
        target
            .ok(&IpRouteAddDel {
                is_add: false,
                ..extend
            })
            .await;
        assert_eq!(target.next_hops(to).await, ["10.77.3.3"]);
        target
            .ok(&IpRouteAddDel {
                is_add: false,
                ..first
            })
            .await;
        let none: [&str; 0] = [];
        assert_eq!(target.next_hops(to).await, none);
        remove(&target, sw_if_index).await;
    }
}

#[tokio::test]
async fn a_route_needs_paths_and_a_table() {
    for target in Target::all().await {
        let sw_if_index = routed_loopback(&target).await;
        let mut pathless = route("10.99.0.0/16", &["10.77.3.2"], sw_if_index);
        let mut nowhere = pathless.clone();
        pathless.route.paths.clear();
        target.refuses(&pathless, &[ApiError::NoPathsInRoute]).await;
        nowhere.route.table_id = TABLE + 1;
        target.refuses(&nowhere, &[ApiError::NoSuchFib]).await;
        let lookup = IpRouteLookup {
            table_id: TABLE,
            exact: 1,
            prefix: prefix("10.99.0.0/16"),
        };
        target.refuses(&lookup, &[ApiError::NoSuchEntry]).await;
        remove(&target, sw_if_index).await;
    }
}

#[tokio::test]
async fn a_static_neighbour_is_dumped_with_its_flag() {
    for target in Target::all().await {
        let sw_if_index = target.loopback().await;
        target
            .ok(&SwInterfaceSetFlags {
                sw_if_index,
                flags: IfStatusFlags::ADMIN_UP,
            })
            .await;
        target.ok(&address(sw_if_index, "10.77.4.1/24", true)).await;
        let neighbor = IpNeighbor {
            sw_if_index,
            flags: IpNeighborFlags::STATIC,
            mac_address: vpp_api::ethernet_types::MacAddress([2, 0, 0, 0, 4, 2]),
            ip_address: "10.77.4.2".parse().unwrap(),
        };
        target
            .ok(&IpNeighborAddDel {
                is_add: true,
                neighbor,
            })
            .await;
        let dump = IpNeighborDump {
            sw_if_index,
            ..Default::default()
        };
        let found = target.api.dump(&dump).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].neighbor, neighbor);
        target
            .ok(&IpNeighborAddDel {
                is_add: false,
                neighbor,
            })
            .await;
        assert!(target.api.dump(&dump).await.unwrap().is_empty());
        target.ok(&DeleteLoopback { sw_if_index }).await;
    }
}

fn table(is_add: bool) -> IpTableAddDel {
    let name = FixedString::new("contract").unwrap();
    IpTableAddDel {
        is_add,
        table: IpTable {
            table_id: TABLE,
            is_ip6: false,
            name,
        },
    }
}

fn address(sw_if_index: InterfaceIndex, text: &str, is_add: bool) -> SwInterfaceAddDelAddress {
    let prefix = AddressWithPrefix(prefix(text));
    SwInterfaceAddDelAddress {
        sw_if_index,
        is_add,
        del_all: false,
        prefix,
    }
}

fn route(to: &str, next_hops: &[&str], sw_if_index: InterfaceIndex) -> IpRouteAddDel {
    let paths = next_hops
        .iter()
        .map(|next_hop| path(next_hop, sw_if_index))
        .collect();
    let route = IpRoute {
        table_id: TABLE,
        prefix: prefix(to),
        paths,
        ..IpRoute::default()
    };
    IpRouteAddDel {
        is_add: true,
        is_multipath: false,
        route,
    }
}

#[tokio::test]
async fn the_flow_hash_of_a_table_that_is_there_can_be_chosen() {
    for target in Target::all().await {
        target.ok(&SetIpFlowHashRouterId { router_id: 7 }).await;
        let oldest = SetIpFlowHash {
            vrf_id: TABLE,
            src: true,
            dst: true,
            ..SetIpFlowHash::default()
        };
        let old = SetIpFlowHashV2 {
            table_id: TABLE,
            flow_hash_config: IpFlowHashConfig::SRC_IP | IpFlowHashConfig::SYMETRIC,
            ..SetIpFlowHashV2::default()
        };
        let new = SetIpFlowHashV3 {
            table_id: TABLE,
            flow_hash_config: IpFlowHashConfigV2::SRC_IP | IpFlowHashConfigV2::PROTO,
            ..SetIpFlowHashV3::default()
        };
        let none = [ApiError::NoSuchFib];
        target.refuses(&oldest, &none).await;
        target.refuses(&old, &none).await;
        target.refuses(&new, &none).await;
        target.ok(&table(true)).await;
        target.ok(&oldest).await;
        target.ok(&old).await;
        target.ok(&new).await;
        target.ok(&table(false)).await;
        target.refuses(&new, &none).await;
    }
}

#[tokio::test]
async fn what_is_answered_for_others_is_listed() {
    for target in Target::all().await {
        let sw_if_index = target.loopback().await;
        target.ok(&table(true)).await;
        let proxy = ProxyArp {
            table_id: TABLE,
            low: "10.77.9.1".parse().unwrap(),
            hi: "10.77.9.9".parse().unwrap(),
        };
        let on_interface = |enable| ProxyArpIntfcEnableDisable {
            sw_if_index,
            enable,
        };
        for is_there in [true, false] {
            let request = ProxyArpAddDel {
                is_add: is_there,
                proxy,
            };
            target.ok(&request).await;
            let ranges = target.api.dump(&ProxyArpDump {}).await.unwrap();
            let is_listed = ranges.iter().any(|range| range.proxy == proxy);
            assert_eq!(is_listed, is_there, "{}", target.name);
            target.ok(&on_interface(is_there)).await;
            let interfaces = target.api.dump(&ProxyArpIntfcDump {}).await.unwrap();
            let is_listed = interfaces.iter().any(|i| i.sw_if_index == sw_if_index.0);
            assert_eq!(is_listed, is_there, "{}", target.name);
        }
        target.ok(&table(false)).await;
        if target.is_vpp() {
            // It answers with another module's message number, which no client can read.
            continue;
        }
        let proxy = Ip6ndProxyAddDel {
            sw_if_index,
            is_add: true,
            ip: "2001:db8:77::7".parse().unwrap(),
        };
        target.ok(&proxy).await;
        let all = target.api.dump(&Ip6ndProxyDump {}).await.unwrap();
        let is_it = |d: &&Ip6ndProxyDetails| (d.sw_if_index, d.ip) == (sw_if_index, proxy.ip);
        assert_eq!(all.iter().filter(is_it).count(), 1);
    }
}

#[tokio::test]
async fn a_link_local_address_can_be_set_and_asked_for() {
    for target in Target::all().await {
        let sw_if_index = target.loopback().await;
        let ask = SwInterfaceIp6GetLinkLocalAddress { sw_if_index };
        target.refuses(&ask, &[ApiError::Ip6NotEnabled]).await;
        for ip in ["fe80::77", "fe80::78"] {
            let ip = ip.parse().unwrap();
            target
                .ok(&SwInterfaceIp6SetLinkLocalAddress { sw_if_index, ip })
                .await;
            let said = target.api.request(&ask).await.unwrap();
            assert_eq!(said.ip, ip, "{}", target.name);
        }
        target.ok(&DeleteLoopback { sw_if_index }).await;
    }
}
