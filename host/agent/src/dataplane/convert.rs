//! Between `render`'s types and VPP's.

use std::net::IpAddr;

use ipnet::IpNet;
use model::{MacAddr, PortRange};
use render::AclRule;
use vpp_api::acl_types::{self, AclAction};
use vpp_api::ethernet_types::MacAddress;
use vpp_api::fib_types::{FibPath, FibPathNh, FibPathNhProto, FibPathType};
use vpp_api::ip_types::{AddressWithPrefix, IpProto, Prefix};

pub(super) const fn mac(mac: MacAddr) -> MacAddress {
    MacAddress(mac.0)
}

pub(super) const fn mac_of(mac: MacAddress) -> MacAddr {
    MacAddr(mac.0)
}

pub(super) fn prefix(net: IpNet) -> Prefix {
    Prefix::new(net.addr(), net.prefix_len())
}

pub(super) fn with_prefix(net: IpNet) -> AddressWithPrefix {
    AddressWithPrefix(prefix(net))
}

pub(super) fn net_of(prefix: Prefix) -> Option<IpNet> {
    IpNet::new(prefix.address, prefix.len).ok()
}

pub(super) fn path(next_hop: IpAddr, sw_if_index: u32) -> FibPath {
    FibPath {
        sw_if_index,
        weight: 1,
        proto: match next_hop {
            IpAddr::V4(_) => FibPathNhProto::Ip4,
            IpAddr::V6(_) => FibPathNhProto::Ip6,
        },
        nh: FibPathNh {
            address: next_hop.into(),
            ..FibPathNh::default()
        },
        ..FibPath::default()
    }
}

/// Next hop and interface of a path that leads to a neighbour; none for any other kind.
pub(super) fn next_hop(path: &FibPath) -> Option<(IpAddr, u32)> {
    if path.r#type != FibPathType::Normal || path.sw_if_index == u32::MAX {
        return None;
    }
    let address = match path.proto {
        FibPathNhProto::Ip4 => IpAddr::V4(path.nh.address.ip4().ok()?),
        FibPathNhProto::Ip6 => IpAddr::V6(path.nh.address.ip6().ok()?),
        FibPathNhProto::Mpls
        | FibPathNhProto::Ethernet
        | FibPathNhProto::Bier
        | FibPathNhProto::Other(_) => return None,
    };
    (!address.is_unspecified()).then_some((address, path.sw_if_index))
}

pub(super) fn rule(rule: &AclRule) -> acl_types::AclRule {
    acl_types::AclRule {
        is_permit: if rule.permit {
            AclAction::Permit
        } else {
            AclAction::Deny
        },
        src_prefix: prefix(rule.src),
        dst_prefix: prefix(rule.dst),
        proto: IpProto::from(rule.protocol),
        srcport_or_icmptype_first: rule.src_ports.first,
        srcport_or_icmptype_last: rule.src_ports.last,
        dstport_or_icmpcode_first: rule.dst_ports.first,
        dstport_or_icmpcode_last: rule.dst_ports.last,
        tcp_flags_mask: 0,
        tcp_flags_value: 0,
    }
}

pub(super) fn rule_of(rule: &acl_types::AclRule) -> Option<AclRule> {
    Some(AclRule {
        permit: rule.is_permit == AclAction::Permit,
        src: net_of(rule.src_prefix)?,
        dst: net_of(rule.dst_prefix)?,
        protocol: u8::from(rule.proto),
        src_ports: PortRange {
            first: rule.srcport_or_icmptype_first,
            last: rule.srcport_or_icmptype_last,
        },
        dst_ports: PortRange {
            first: rule.dstport_or_icmpcode_first,
            last: rule.dstport_or_icmpcode_last,
        },
    })
}
