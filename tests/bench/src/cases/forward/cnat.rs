//! Services: a virtual address whose back-end is the right host, for a million flows from behind the left one.

use std::net::IpAddr;

use vpp_api::cnat::{
    CnatEndpoint, CnatEndpointTuple, CnatTranslation, CnatTranslationUpdate,
    FeatureCnatEnableDisable,
};
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::ip_types::IpProto;

use super::{SMALL, Scenario};
use crate::dataplane::Dataplane;
use crate::traffic::{CLIENTS, CLIENTS_LEN, SERVICE, SERVICE_PORT, Side, Traffic};

/// One address each.
const FLOWS: u32 = 1_000_000;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "IPv4 with cnat, 1 000 000 flows",
    bar: 1.0,
    sizes: SMALL,
    traffic: Traffic::Service,
    networks: FLOWS,
    rounds_max: 3,
    configure,
    plain: None,
};

fn configure(dataplane: &Dataplane, memifs: [InterfaceIndex; 2]) -> anyhow::Result<()> {
    dataplane.route(memifs)?;
    dataplane.add_route(CLIENTS.into(), CLIENTS_LEN, memifs[0], &Side::LEFT)?;
    let endpoint = |addr: IpAddr| CnatEndpoint {
        addr,
        sw_if_index: InterfaceIndex(u32::MAX),
        port: SERVICE_PORT,
        ..CnatEndpoint::default()
    };
    let path = CnatEndpointTuple {
        dst_ep: endpoint(Side::RIGHT.host4().into()),
        src_ep: CnatEndpoint {
            port: 0,
            ..endpoint(std::net::Ipv4Addr::UNSPECIFIED.into())
        },
        ..CnatEndpointTuple::default()
    };
    dataplane.ask(&CnatTranslationUpdate {
        translation: CnatTranslation {
            vip: endpoint(SERVICE.into()),
            ip_proto: IpProto::Udp,
            paths: vec![path],
            ..CnatTranslation::default()
        },
    })?;
    for sw_if_index in memifs {
        dataplane.ask(&FeatureCnatEnableDisable {
            sw_if_index,
            enable_disable: true,
        })?;
    }
    Ok(())
}
