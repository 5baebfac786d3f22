//! Segment routing: what comes from the left for a far network is steered into a policy of one segment, which
//! needs no routing header; what comes from the right to our segment is taken out.

use std::net::{IpAddr, Ipv6Addr};

use vpp_api::interface_types::InterfaceIndex;
use vpp_api::ip_types::Prefix;
use vpp_api::sr::{SrLocalsidAddDel, SrPolicyAdd, SrSetEncapSource, SrSteeringAddDel, Srv6SidList};
use vpp_api::sr_types::{SrBehavior, SrSteer};

use super::{ENDS, SMALL, Scenario};
use crate::dataplane::Dataplane;
use crate::traffic::{FAR_SID, SEGMENTED4, SEGMENTED6, SID, Side, Traffic};

/// Names the policy.
const BINDING: Ipv6Addr = Ipv6Addr::new(0xfcff, 1, 0, 0, 0, 0, 0, 0xb);

pub(super) const SCENARIOS: [Scenario; 2] = [
    Scenario {
        name: "SRv6, IPv4 inside, End.DT4",
        bar: 1.0,
        sizes: ENDS,
        traffic: Traffic::Segment4,
        networks: 0,
        rounds_max: usize::MAX,
        configure: |dataplane, memifs| {
            // The field of the interface names the table.
            let end = (
                SrBehavior::Dt4,
                InterfaceIndex(0),
                Ipv6Addr::UNSPECIFIED.into(),
            );
            configure(dataplane, memifs, (SEGMENTED4.into(), SrSteer::Ipv4), end)
        },
        plain: None,
    },
    Scenario {
        name: "SRv6, IPv6 inside, End.DX6",
        bar: 1.0,
        sizes: SMALL,
        traffic: Traffic::Segment6,
        networks: 0,
        rounds_max: usize::MAX,
        configure: |dataplane, memifs| {
            let end = (SrBehavior::Dx6, memifs[0], Side::LEFT.host6().into());
            configure(dataplane, memifs, (SEGMENTED6.into(), SrSteer::Ipv6), end)
        },
        plain: None,
    },
];

fn configure(
    dataplane: &Dataplane,
    memifs: [InterfaceIndex; 2],
    (inner, traffic_type): (IpAddr, SrSteer),
    (behavior, sw_if_index, nh_addr): (SrBehavior, InterfaceIndex, IpAddr),
) -> anyhow::Result<()> {
    dataplane.route(memifs)?;
    dataplane.add_route(network(FAR_SID.into()), 64, memifs[1], &Side::RIGHT)?;
    dataplane.ask(&SrSetEncapSource {
        encaps_source: Side::RIGHT.gateway6(),
    })?;
    let mut sids = Srv6SidList {
        num_sids: 1,
        weight: 1,
        ..Srv6SidList::default()
    };
    sids.sids[0] = FAR_SID;
    dataplane.ask(&SrPolicyAdd {
        bsid_addr: BINDING,
        is_encap: true,
        sids,
        ..SrPolicyAdd::default()
    })?;
    let len = if inner.is_ipv6() { 64 } else { 24 };
    dataplane.ask(&SrSteeringAddDel {
        bsid_addr: BINDING,
        prefix: Prefix::new(network(inner), len),
        traffic_type,
        ..SrSteeringAddDel::default()
    })?;
    dataplane.ask(&SrLocalsidAddDel {
        localsid: SID,
        behavior,
        sw_if_index,
        nh_addr,
        ..SrLocalsidAddDel::default()
    })?;
    Ok(())
}

/// The network of a host whose last byte alone is its own.
fn network(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(host) => std::net::Ipv4Addr::from_bits(host.to_bits() & !0xff).into(),
        IpAddr::V6(host) => Ipv6Addr::from_bits(host.to_bits() & !0xff).into(),
    }
}
