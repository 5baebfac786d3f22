//! IPv6 forwarding between connected subnets.

use super::{ENDS, Scenario};
use crate::dataplane::Dataplane;
use crate::traffic::Traffic;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "IPv6, connected",
    bar: 1.0,
    sizes: ENDS,
    traffic: Traffic::Ip6,
    networks: 0,
    rounds_max: usize::MAX,
    configure: Dataplane::route,
    plain: None,
};
