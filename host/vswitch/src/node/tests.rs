//! Packets in, packets out.

use crate::lab::*;

mod arp_term;
mod bridge;
mod chaos;
mod classify;
mod cnat;
mod counted;
mod express;
mod fragments;
mod function;
mod icmp;
mod ipip;
mod neighbors;
mod path_mtu;
mod policy;
mod resolution;
mod routing;
mod srv6;
mod steering;
mod tunnel;
mod urpf;
mod vlan;
