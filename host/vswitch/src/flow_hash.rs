//! Which fields of a flow decide between equal paths.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use packet::FlowKey;

// Bits of VPP's `ip_flow_hash_config_v2`. The flow label and GTP tunnels are accepted and not hashed.
pub(crate) const SRC_IP: u32 = 1;
pub(crate) const DST_IP: u32 = 2;
pub(crate) const SRC_PORT: u32 = 4;
pub(crate) const DST_PORT: u32 = 8;
pub(crate) const PROTO: u32 = 16;
pub(crate) const REVERSE: u32 = 32;
pub(crate) const SYMMETRIC: u32 = 64;
/// VPP's `IP_FLOW_HASH_DEFAULT`: addresses, ports, protocol (and the flow label).
pub const FLOW_HASH_DEFAULT: u32 = 0x9f;

/// Names of the bits, as VPP shows them.
const NAMES: [&str; 9] = [
    "src",
    "dst",
    "sport",
    "dport",
    "proto",
    "reverse",
    "symmetric",
    "flowlabel",
    "gtpv1teid",
];

/// Hashes what `fields` name of a flow.
pub(crate) fn flow_hash(flow: FlowKey, fields: u32) -> u32 {
    if fields == FLOW_HASH_DEFAULT {
        return flow.hash();
    }
    let has = |bit| fields & bit != 0;
    let unspecified = match flow.src {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let mut key = FlowKey {
        src: if has(SRC_IP) { flow.src } else { unspecified },
        dst: if has(DST_IP) { flow.dst } else { unspecified },
        protocol: if has(PROTO) { flow.protocol } else { 0 },
        src_port: if has(SRC_PORT) { flow.src_port } else { 0 },
        dst_port: if has(DST_PORT) { flow.dst_port } else { 0 },
    };
    let swap = has(SYMMETRIC) && (key.dst, key.dst_port) < (key.src, key.src_port);
    if swap != (has(REVERSE) && !has(SYMMETRIC)) {
        key = key.reversed();
    }
    key.hash()
}

/// The hash of a flow at one router: routers in a row that hash alike would leave paths unused.
pub(crate) const fn routed_by(hash: u32, router_id: u32) -> u32 {
    if router_id == 0 {
        return hash;
    }
    let mixed = (hash ^ router_id).wrapping_mul(0x85eb_ca6b);
    (mixed ^ (mixed >> 15)).wrapping_mul(0x9e37_79b1) ^ (mixed >> 13)
}

/// Names of the fields, a space behind each.
pub fn flow_hash_names(fields: u32) -> String {
    let named = (0..).zip(NAMES).filter(|(bit, _)| fields & (1 << bit) != 0);
    named.flat_map(|(_, name)| [name, " "]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routers_with_other_numbers_choose_otherwise() {
        let choices = |id| (0..256).map(move |hash| routed_by(hash * 977, id) % 2);
        assert!(choices(0).eq((0..256).map(|hash| hash * 977 % 2)));
        let same = choices(1).zip(choices(2)).filter(|(a, b)| a == b).count();
        assert!((64..192).contains(&same), "{same}");
        let ones = choices(1).filter(|choice| *choice == 1).count();
        assert!((64..192).contains(&ones), "{ones}");
    }
}
