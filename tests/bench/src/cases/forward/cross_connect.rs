//! L2 cross-connect.

use super::{ALL_SIZES, Scenario};
use crate::dataplane::Dataplane;
use crate::traffic::Traffic;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "L2 cross-connect",
    bar: 1.0,
    sizes: ALL_SIZES,
    traffic: Traffic::Ip4,
    networks: 0,
    rounds_max: usize::MAX,
    configure: Dataplane::cross_connect,
    plain: None,
};
