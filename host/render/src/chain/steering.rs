//! Which packets enter the chain: access lists and forwarding policies on the pods' interfaces.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use model::{ChainEnd, FlowAction, FlowMatch, FlowRule, PortRange, ReturnPath};

use crate::facts::LocalPod;
use crate::node::{mesh, uplink};
use crate::object::{AclRule, AclTag, IfTag, Key, Object, Objects};
use crate::pod;
use crate::text::{fnv, host};

use super::{Side, View};

/// Policies of the forward direction are asked first.
const FORWARD_PRIORITY: u32 = 10;
const RETURN_PRIORITY: u32 = 20;

impl View<'_> {
    pub(super) fn steer(&self, objects: &mut Objects) {
        let (entry, exit) = (self.local_end(Side::Entry), self.local_end(Side::Exit));
        let nothing_between = entry.is_some() && exit.is_some() && self.is_bypassed_whole();
        if self.chain.bypassed || nothing_between {
            return;
        }
        if entry.is_some() {
            let sources = self.member_interfaces(Side::Entry);
            self.steer_to(objects, Side::Exit, &sources, FORWARD_PRIORITY);
        }
        if exit.is_some() && self.chain.return_path == ReturnPath::Symmetric {
            let sources = if self.chain.open_destination {
                self.everything_else()
            } else {
                self.member_interfaces(Side::Exit)
            };
            self.steer_to(objects, Side::Entry, &sources, RETURN_PRIORITY);
        }
    }

    /// Sends what `on` receive and the rules choose to the ends of side `to`.
    fn steer_to(&self, objects: &mut Objects, to: Side, on: &[IfTag], priority: u32) {
        let from = to.other();
        let Some(here) = self.local_end(from) else {
            return;
        };
        let out = self.end_tag(from);
        for end in self.side_ends(to) {
            if end.address.is_ipv4() != here.address.is_ipv4() {
                continue;
            }
            objects.insert(
                Key::Neighbour(out.clone(), end.address),
                Object::Neighbour { mac: end.mac },
            );
            let rules = self.rules(to, end, |action| action == FlowAction::EnterChain);
            let rules = up_to_last(rules, true);
            if rules.is_empty() || on.is_empty() {
                continue;
            }
            let policy = policy_id(self.vni(0), to, end);
            let acl = AclTag::new(&format!("chain/{}/{policy:08x}", self.vni(0)));
            objects.insert(Key::Acl(acl.clone()), Object::Acl { rules });
            let forward = Object::Policy {
                acl,
                next_hop: end.address,
                interface: out.clone(),
            };
            objects.insert(Key::Policy(policy), forward);
            let is_ipv6 = end.address.is_ipv6();
            for interface in on {
                objects.insert(
                    Key::PolicyBinding(policy, interface.clone()),
                    Object::PolicyBinding { priority, is_ipv6 },
                );
            }
        }
    }

    /// The rules that drop, with those that come before and so exempt from them.
    fn drop_rules(&self, entry: &ChainEnd) -> Vec<AclRule> {
        let exits = self.side_ends(Side::Exit).iter();
        let rules = exits
            .filter(|e| e.address.is_ipv4() == entry.address.is_ipv4())
            .flat_map(|exit| self.rules(Side::Exit, exit, |action| action != FlowAction::Drop))
            .collect();
        up_to_last(rules, false)
    }

    /// The chain's rules for packets to one end, each for each address behind it.
    fn rules(
        &self,
        to: Side,
        end: &ChainEnd,
        permits: impl Fn(FlowAction) -> bool,
    ) -> Vec<AclRule> {
        let is_open = to == Side::Exit && self.chain.open_destination;
        let addresses = self.addresses(to, end);
        let is_ipv4 = end.address.is_ipv4();
        let mut sorted: Vec<&FlowRule> = self.chain.rules.iter().collect();
        sorted.sort_by_key(|r| r.priority);
        let mut rules = Vec::new();
        for rule in sorted {
            let flow = match to {
                Side::Exit => rule.matches.clone(),
                Side::Entry => rule.matches.reversed(),
            };
            let permit = permits(rule.action);
            if is_open {
                let dst = flow.dst.unwrap_or(any(is_ipv4));
                rules.extend(acl_rule(&flow, dst, permit));
                continue;
            }
            let wanted = |a: &&IpAddr| flow.dst.is_none_or(|net| net.contains(*a));
            for address in addresses.iter().filter(wanted) {
                rules.extend(acl_rule(&flow, host(*address), permit));
            }
        }
        rules
    }

    /// Interfaces on which the pods behind the local end of a side send.
    fn member_interfaces(&self, side: Side) -> Vec<IfTag> {
        let members = self.members(side).into_iter();
        members.flat_map(routed_interfaces).collect()
    }

    /// Interfaces on which answers of an open destination arrive: all but the sources' own.
    fn everything_else(&self) -> Vec<IfTag> {
        let sources = self.member_interfaces(Side::Entry);
        let others = self.facts.pods.values().flat_map(routed_interfaces);
        let mut all: Vec<IfTag> = others.filter(|t| !sources.contains(t)).collect();
        if self.facts.uplink.is_some() {
            all.extend([uplink(), mesh()]);
        }
        all
    }
}

/// The access lists that drop, one for each local source pod of any chain with such rules.
pub(super) fn drops<'a>(chains: impl Iterator<Item = View<'a>>) -> Objects {
    let mut lists: BTreeMap<&str, (Vec<AclRule>, &LocalPod)> = BTreeMap::new();
    for view in chains {
        let Some(entry) = view.local_end(Side::Entry) else {
            continue;
        };
        let rules = view.drop_rules(entry);
        if rules.is_empty() {
            continue;
        }
        for local in view.members(Side::Entry) {
            let id = local.container_id.as_str();
            let list = lists.entry(id).or_insert_with(|| (Vec::new(), local));
            list.0.extend_from_slice(&rules);
        }
    }
    let mut objects = Objects::new();
    for (id, (mut rules, local)) in lists {
        rules.extend([true, false].map(permit_all));
        let acl = AclTag::new(&format!("drop/{:016x}", fnv(&[id])));
        for interface in routed_interfaces(local) {
            objects.insert(Key::AclBinding(interface, acl.clone()), Object::AclBinding);
        }
        objects.insert(Key::Acl(acl), Object::Acl { rules });
    }
    objects
}

/// Cuts off what comes after the last rule of this verdict: it would only decide for others.
fn up_to_last(mut rules: Vec<AclRule>, permit: bool) -> Vec<AclRule> {
    let last = rules.iter().rposition(|r| r.permit == permit);
    rules.truncate(last.map_or(0, |last| last + 1));
    rules
}

fn routed_interfaces(local: &LocalPod) -> Vec<IfTag> {
    let routed = local.interfaces.iter().filter(|i| !i.addresses.is_empty());
    routed
        .map(|i| pod::tag(&local.container_id, &i.name))
        .collect()
}

/// A number that only depends on the chain, the direction and the far node.
fn policy_id(vni: u32, to: Side, end: &ChainEnd) -> u32 {
    let hash = fnv(&[&vni.to_string(), &format!("{to:?}"), end.node.as_str()]);
    let [_, _, _, _, a, b, c, d] = hash.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// `None` when source and destination are of different families: such a packet does not exist.
fn acl_rule(flow: &FlowMatch, dst: IpNet, permit: bool) -> Option<AclRule> {
    let is_ipv4 = dst.addr().is_ipv4();
    let src = flow.src.unwrap_or(any(is_ipv4)).trunc();
    if src.addr().is_ipv4() != is_ipv4 {
        return None;
    }
    let ports = |ports| {
        if flow.protocol.has_ports() {
            ports
        } else {
            PortRange::ANY
        }
    };
    Some(AclRule {
        permit,
        src,
        dst: dst.trunc(),
        protocol: flow.protocol.number().unwrap_or(0),
        src_ports: ports(flow.src_ports),
        dst_ports: ports(flow.dst_ports),
    })
}

fn any(is_ipv4: bool) -> IpNet {
    let address: IpAddr = if is_ipv4 {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    IpNet::new_assert(address, 0)
}

fn permit_all(is_ipv4: bool) -> AclRule {
    AclRule {
        permit: true,
        src: any(is_ipv4),
        dst: any(is_ipv4),
        protocol: 0,
        src_ports: PortRange::ANY,
        dst_ports: PortRange::ANY,
    }
}
