//! The modules, one per `.api` file of VPP, declared against VPP 26.10, and one of our own, `weft_function`.

pub mod abf;
pub mod acl;
pub mod acl_types;
pub mod af_packet;
pub mod af_xdp;
pub mod arp;
pub mod classify;
pub mod cnat;
pub mod ethernet_types;
pub mod fib_types;
pub mod interface;
pub mod interface_types;
pub mod ip;
pub mod ip6_nd;
pub mod ip_neighbor;
pub mod ip_types;
pub mod ipip;
pub mod l2;
pub mod memclnt;
pub mod memif;
pub mod mfib_types;
pub mod npol;
pub mod sr;
pub mod sr_types;
pub mod tapv2;
pub mod tracedump;
pub mod tunnel_types;
pub mod urpf;
pub mod vlib;
pub mod vpe;
pub mod vpe_types;
pub mod vxlan;
pub mod weft_function;

use crate::describe::Module;

/// All modules; `memclnt` first, as its message ids are fixed.
pub static MODULES: &[&Module] = &[
    &memclnt::MODULE,
    &vpe_types::MODULE,
    &vpe::MODULE,
    &vlib::MODULE,
    &ethernet_types::MODULE,
    &interface_types::MODULE,
    &ip_types::MODULE,
    &fib_types::MODULE,
    &mfib_types::MODULE,
    &interface::MODULE,
    &memif::MODULE,
    &tapv2::MODULE,
    &af_packet::MODULE,
    &af_xdp::MODULE,
    &l2::MODULE,
    &ip::MODULE,
    &ip_neighbor::MODULE,
    &arp::MODULE,
    &ip6_nd::MODULE,
    &vxlan::MODULE,
    &tunnel_types::MODULE,
    &ipip::MODULE,
    &urpf::MODULE,
    &acl_types::MODULE,
    &acl::MODULE,
    &abf::MODULE,
    &classify::MODULE,
    &cnat::MODULE,
    &npol::MODULE,
    &tracedump::MODULE,
    &sr_types::MODULE,
    &sr::MODULE,
    &weft_function::MODULE,
];
