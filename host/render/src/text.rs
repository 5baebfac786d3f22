//! Small conversions: digests, host networks, and the text of objects as tests and people see it.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::diff::Op;
use crate::object::{AclRule, AclTag, Device, IfTag, Key, L2, Object};

/// The network of exactly one address.
pub(crate) fn host(address: IpAddr) -> IpNet {
    IpNet::from(address)
}

/// FNV-1a of all parts, with a separator so that moving a border changes it.
pub(crate) fn fnv(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|p| p.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A locally administered MAC address that only depends on the names.
pub(crate) fn digest(first: u8, parts: &[&str]) -> [u8; 6] {
    let [_, _, _, a, b, c, d, e] = fnv(parts).to_be_bytes();
    [first, a, b, c, d, e]
}

macro_rules! display_tag {
    ($Name:ident) => {
        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
display_tag!(IfTag);
display_tag!(AclTag);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemifSocket(id) => write!(f, "memif socket {id}"),
            Self::Acl(tag) => write!(f, "acl {tag}"),
            Self::Interface(tag) => write!(f, "interface {tag}"),
            Self::Bridge(id) => write!(f, "bridge {id}"),
            Self::L2(tag) => write!(f, "l2 {tag}"),
            Self::Unnumbered(tag) => write!(f, "unnumbered {tag}"),
            Self::Address(tag, net) => write!(f, "address {net} on {tag}"),
            Self::Neighbour(tag, ip) => write!(f, "neighbour {ip} on {tag}"),
            Self::MacEntry(bridge, mac) => write!(f, "mac {mac} in bridge {bridge}"),
            Self::Route(net) => write!(f, "route {net}"),
            Self::AclBinding(tag, acl) => write!(f, "acl {acl} on {tag}"),
            Self::Policy(id) => write!(f, "policy {id:#x}"),
            Self::PolicyBinding(id, tag) => write!(f, "policy {id:#x} on {tag}"),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemifSocket { path } => write!(f, "{path}"),
            Self::Acl { rules } => {
                for (i, rule) in rules.iter().enumerate() {
                    write!(f, "{}{rule}", if i == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::Interface { device, up, tagged } => {
                let down = if *up { "" } else { " down" };
                let bare = if *tagged { "" } else { " untagged" };
                write!(f, "{device}{down}{bare}")
            }
            Self::Bridge { tag } => write!(f, "{tag}"),
            Self::L2(L2::Xconnect { to }) => write!(f, "to {to}"),
            Self::L2(L2::Bridge { id, is_bvi, group }) => {
                let bvi = if *is_bvi { " bvi" } else { "" };
                write!(f, "bridge {id}{bvi} group {group}")
            }
            Self::Unnumbered { lender } => write!(f, "of {lender}"),
            Self::Address | Self::AclBinding => f.write_str("set"),
            Self::Neighbour { mac } => write!(f, "at {mac}"),
            Self::MacEntry { interface } => write!(f, "to {interface}"),
            Self::Route {
                next_hop,
                interface,
            } => write!(f, "via {next_hop} {interface}"),
            Self::Policy {
                acl,
                next_hop,
                interface,
            } => write!(f, "{acl} via {next_hop} {interface}"),
            Self::PolicyBinding { priority, is_ipv6 } => {
                write!(f, "v{} priority {priority}", if *is_ipv6 { 6 } else { 4 })
            }
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback { instance, mac } => write!(f, "loopback {instance} {mac}"),
            Self::Tap {
                netns,
                host_name,
                host_mac,
                mac,
                mtu,
            } => write!(f, "tap {netns} {host_name} {host_mac} {mac} mtu {mtu}"),
            Self::Memif {
                socket,
                id,
                is_master,
                mac,
            } => {
                let role = if *is_master { "master" } else { "slave" };
                write!(f, "memif {socket}/{id} {role} {mac}")
            }
            Self::AfPacket { host_name, mac } => write!(f, "host {host_name} {mac}"),
            Self::Vxlan { src, dst, vni } => write!(f, "vxlan {src} {dst} vni {vni}"),
        }
    }
}

impl fmt::Display for AclRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.permit { "permit" } else { "deny" };
        write!(f, "{verb} {} {}", self.src, self.dst)?;
        if self.protocol != 0 {
            write!(f, " proto {}", self.protocol)?;
        }
        for (name, ports) in [("from", self.src_ports), ("to", self.dst_ports)] {
            if ports != model::PortRange::ANY {
                write!(f, " {name} {}-{}", ports.first, ports.last)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { key, object } => write!(f, "+ {key}: {object}"),
            Self::Update { key, from, to } => write!(f, "~ {key}: {from} -> {to}"),
            Self::Delete { key, object } => write!(f, "- {key}: {object}"),
        }
    }
}

#[cfg(test)]
pub(crate) fn listing(objects: &crate::object::Objects) -> String {
    let mut text = String::new();
    for (key, object) in objects {
        text.push_str(&format!("{key}: {object}\n"));
    }
    text
}
