//! Bridge domains, cross-connects and static MAC entries.

use render::{Key, L2, Object};
use vpp_api::l2::{
    BridgeDomainAddDelV2, L2PortType, L2fibAddDel, SwInterfaceSetL2Bridge, SwInterfaceSetL2Xconnect,
};
use vpp_api_client::Client;

use super::{Done, fixed, index_of, send};
use crate::dataplane::Indices;
use crate::dataplane::convert::mac;

pub(super) async fn set(
    client: &Client,
    indices: &Indices,
    key: &Key,
    object: &Object,
    is_add: bool,
) -> Done {
    match (key, object) {
        (Key::Bridge(id), Object::Bridge { tag }) => {
            let request = BridgeDomainAddDelV2 {
                bd_id: *id,
                forward: true,
                bd_tag: fixed(tag)?,
                is_add,
                ..BridgeDomainAddDelV2::default()
            };
            send(client, request, is_add).await
        }
        (Key::L2(tag), Object::L2(L2::Bridge { id, is_bvi, group })) => {
            let request = SwInterfaceSetL2Bridge {
                rx_sw_if_index: index_of(indices, tag)?,
                bd_id: *id,
                port_type: if *is_bvi {
                    L2PortType::Bvi
                } else {
                    L2PortType::Normal
                },
                shg: *group,
                enable: is_add,
            };
            send(client, request, is_add).await
        }
        (Key::L2(tag), Object::L2(L2::Xconnect { to })) => {
            let request = SwInterfaceSetL2Xconnect {
                rx_sw_if_index: index_of(indices, tag)?,
                tx_sw_if_index: index_of(indices, to)?,
                enable: is_add,
            };
            send(client, request, is_add).await
        }
        (Key::MacEntry(bd_id, address), Object::MacEntry { interface: tag }) => {
            let request = L2fibAddDel {
                mac: mac(*address),
                bd_id: *bd_id,
                sw_if_index: index_of(indices, tag)?,
                is_add,
                static_mac: true,
                ..L2fibAddDel::default()
            };
            send(client, request, is_add).await
        }
        (key, object) => unreachable!("`{key}` is no place for {object}"),
    }
}
