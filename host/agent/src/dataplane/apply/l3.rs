//! Addresses, neighbours and routes.

use render::{Key, Object};
use vpp_api::interface::{SwInterfaceAddDelAddress, SwInterfaceSetUnnumbered};
use vpp_api::ip::{IpRoute, IpRouteAddDel};
use vpp_api::ip_neighbor::{IpNeighbor, IpNeighborAddDel, IpNeighborFlags};
use vpp_api_client::Client;

use super::{Done, index_of, send};
use crate::dataplane::Indices;
use crate::dataplane::convert::{mac, path, prefix, with_prefix};

pub(super) async fn set(
    client: &Client,
    indices: &Indices,
    key: &Key,
    object: &Object,
    is_add: bool,
) -> Done {
    match (key, object) {
        (Key::Unnumbered(tag), Object::Unnumbered { lender }) => {
            // VPP's names are the wrong way round: `sw_if_index` lends its address.
            let request = SwInterfaceSetUnnumbered {
                sw_if_index: index_of(indices, lender)?,
                unnumbered_sw_if_index: index_of(indices, tag)?,
                is_add,
            };
            send(client, request, is_add).await
        }
        (Key::Address(tag, net), _) => {
            let request = SwInterfaceAddDelAddress {
                sw_if_index: index_of(indices, tag)?,
                is_add,
                del_all: false,
                prefix: with_prefix(*net),
            };
            send(client, request, is_add).await
        }
        (Key::Neighbour(tag, ip_address), Object::Neighbour { mac: address }) => {
            let neighbor = IpNeighbor {
                sw_if_index: index_of(indices, tag)?,
                flags: IpNeighborFlags::STATIC,
                mac_address: mac(*address),
                ip_address: *ip_address,
            };
            send(client, IpNeighborAddDel { is_add, neighbor }, is_add).await
        }
        (
            Key::Route(net),
            Object::Route {
                next_hop,
                interface: tag,
            },
        ) => {
            let route = IpRoute {
                prefix: prefix(*net),
                paths: vec![path(*next_hop, index_of(indices, tag)?.0)],
                ..IpRoute::default()
            };
            send(
                client,
                IpRouteAddDel {
                    is_add,
                    is_multipath: false,
                    route,
                },
                is_add,
            )
            .await
        }
        (key, object) => unreachable!("`{key}` is no place for {object}"),
    }
}
