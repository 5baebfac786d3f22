//! Access lists and the policies that steer by them.

use vswitch::Family;
use vswitch::acl::{AclAction, AclRule, PortRange};
use vswitch::route::RoutePath;

use super::Model;
use super::route::covers;
use crate::step::Change;
use crate::wire::{L4, Packet};
use crate::world::If;

impl Model {
    pub(super) fn change_acl(&mut self, change: &Change) -> bool {
        match change {
            Change::AclDelete(place) => {
                let by_port =
                    |p: &super::Port| p.acl_in.contains(place) || p.acl_out.contains(place);
                let is_used =
                    self.ports.iter().any(by_port) || self.policies.iter().any(|p| p.acl == *place);
                !is_used && self.acls[*place].take().is_some()
            }
            Change::AclApply(on, input, output) => {
                let is_good = |places: &[usize]| {
                    let is_twice = |at: usize| places[..at].contains(&places[at]);
                    places.iter().all(|place| self.acls[*place].is_some())
                        && !(0..places.len()).any(is_twice)
                };
                if !is_good(input) || !is_good(output) {
                    return false;
                }
                let port = self.port_mut(*on);
                (port.acl_in, port.acl_out) = (input.clone(), output.clone());
                true
            }
            other => unreachable!("{other:?} is no change of access lists"),
        }
    }

    /// The first rule that matches decides; without one the packet is denied.
    pub(super) fn permits(&self, places: &[usize], packet: &Packet) -> bool {
        let first = places.iter().find_map(|place| self.verdict(*place, packet));
        first.is_some_and(|action| action != AclAction::Deny)
    }

    /// Paths of the first policy that takes the packet.
    pub(super) fn steered(&self, rx: If, packet: &Packet) -> Option<Vec<RoutePath>> {
        let family = Family::of(packet.dst);
        let mut here: Vec<_> = self
            .attachments
            .iter()
            .filter(|a| a.on == rx && a.family == family)
            .collect();
        here.sort_by_key(|a| (a.priority, a.id));
        let policies = here
            .iter()
            .filter_map(|a| self.policies.iter().find(|p| p.id == a.id));
        policies
            .filter(|p| self.permits(&[p.acl], packet))
            .map(|p| p.paths.clone())
            .next()
    }

    fn verdict(&self, place: usize, packet: &Packet) -> Option<AclAction> {
        let rules = self.acls[place].as_ref()?;
        rules.iter().find(|r| matches(r, packet)).map(|r| r.action)
    }
}

fn matches(rule: &AclRule, packet: &Packet) -> bool {
    if !covers(rule.src, packet.src) || !covers(rule.dst, packet.dst) {
        return false;
    }
    if rule.proto == 0 {
        return true;
    }
    let in_range = |range: PortRange, port: u16| range.first <= port && port <= range.last;
    let both = |a, b| in_range(rule.src_ports, a) && in_range(rule.dst_ports, b);
    let upper = match &packet.l4 {
        L4::Udp { ports, .. } => both(ports.0, ports.1),
        L4::Tcp { ports, flags, .. } => {
            both(ports.0, ports.1) && flags & rule.tcp_mask == rule.tcp_value & rule.tcp_mask
        }
        L4::Icmp { kind, code, .. } => both(u16::from(*kind), u16::from(*code)),
        L4::Other { .. } => true,
    };
    rule.proto == packet.protocol() && upper
}
