//! The nodes of the graph: one file each, plus what several of them share.

pub(crate) mod abf_input;
pub(crate) mod acl_input;
pub(crate) mod acl_output;
pub(crate) mod arp_input;
pub(crate) mod arp_term;
pub(crate) mod cnat_input;
pub(crate) mod cnat_output;
pub(crate) mod cnat_return;
pub(crate) mod ethernet_input;
pub(crate) mod interface_output;
pub(crate) mod interface_tx;
pub(crate) mod ip4_arp;
pub(crate) mod ip4_icmp_error;
pub(crate) mod ip4_icmp_input;
pub(crate) mod ip4_input;
pub(crate) mod ip4_local;
pub(crate) mod ip4_lookup;
pub(crate) mod ip4_rewrite;
pub(crate) mod ip6_discover_neighbor;
pub(crate) mod ip6_icmp_error;
pub(crate) mod ip6_icmp_input;
pub(crate) mod ip6_input;
pub(crate) mod ip6_local;
pub(crate) mod ip6_lookup;
pub(crate) mod ip6_rewrite;
pub(crate) mod ip_frag;
pub(crate) mod ip_reassembly;
pub(crate) mod ipip_encap;
pub(crate) mod ipip_input;
pub(crate) mod l2_flood;
pub(crate) mod l2_fwd;
pub(crate) mod l2_input;
pub(crate) mod l2_learn;
pub(crate) mod npol_input;
pub(crate) mod npol_output;
pub(crate) mod urpf;
pub(crate) mod vxlan_encap;
pub(crate) mod vxlan_input;

mod acl;
mod attached;
mod bridge_output;
mod icmp_request;
mod l2_switch;
mod npol;
mod resolve;
mod rewrite;

#[cfg(test)]
mod tests;
