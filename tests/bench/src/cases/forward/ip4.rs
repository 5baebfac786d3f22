//! IPv4 forwarding between connected subnets, and by tables of two sizes.

use super::{ALL_SIZES, SMALL, Scenario};
use crate::dataplane::Dataplane;
use crate::traffic::Traffic;

pub(super) const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "IPv4, connected",
        bar: 1.0,
        sizes: ALL_SIZES,
        traffic: Traffic::Ip4,
        networks: 0,
        rounds_max: usize::MAX,
        configure: Dataplane::route,
        plain: None,
    },
    Scenario {
        name: "IPv4, 10 000 routes",
        bar: 1.0,
        sizes: SMALL,
        traffic: Traffic::Ip4,
        networks: 10_000,
        rounds_max: usize::MAX,
        configure: |dataplane, memifs| {
            dataplane.route(memifs)?;
            dataplane.networks(memifs, 10_000)
        },
        plain: None,
    },
    Scenario {
        name: "IPv4, 1 000 000 routes",
        bar: 1.0,
        sizes: SMALL,
        traffic: Traffic::Ip4,
        networks: 1_000_000,
        rounds_max: 3,
        configure: |dataplane, memifs| {
            dataplane.route(memifs)?;
            dataplane.networks(memifs, 1_000_000)
        },
        plain: None,
    },
];
