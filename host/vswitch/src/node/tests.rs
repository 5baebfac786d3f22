//! Packets in, packets out.

use crate::lab::*;

mod bridge;
mod chaos;
mod cnat;
mod policy;
mod routing;
mod steering;
mod tunnel;
mod vlan;
