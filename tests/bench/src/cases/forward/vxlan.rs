//! VXLAN: what comes from the left is encapsulated, what comes from the right is taken out.

use super::{ENDS, Scenario};
use crate::dataplane::Dataplane;
use crate::traffic::Traffic;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "VXLAN",
    bar: 1.0,
    sizes: ENDS,
    traffic: Traffic::Tunnel,
    networks: 0,
    rounds_max: usize::MAX,
    configure: Dataplane::tunnel,
    plain: None,
};
