//! Bridge domains and cross-connects.

use vswitch::bridge::PortType;
use vswitch::graph::DropReason;

use super::report::Learned;
use super::walk::{Trip, Walk, is_group};
use super::{Bridge, Kind, L2, MacEntry, Model};
use crate::step::Change;
use crate::wire::{Body, Frame, Mac};
use crate::world::If;

impl Model {
    pub(super) fn change_l2(&mut self, change: &Change) -> bool {
        match change {
            Change::Bridge {
                on,
                bd_id,
                kind,
                group,
            } => return self.join(*on, *bd_id, *kind, *group),
            Change::BridgeFlags(bd_id, is_set, named) => {
                let flags = &mut self.bridge_mut(*bd_id).flags;
                for (flag, is_named) in [
                    (&mut flags.learn, named.learn),
                    (&mut flags.forward, named.forward),
                    (&mut flags.flood, named.flood),
                    (&mut flags.uu_flood, named.uu_flood),
                ] {
                    if is_named {
                        *flag = *is_set;
                    }
                }
            }
            Change::Xconnect(rx, tx) => {
                self.leave(*rx);
                self.port_mut(*rx).l2 = L2::Xconnect(*tx);
            }
            Change::LeaveL2(on) => self.leave(*on),
            Change::L2Fib {
                bd_id,
                mac,
                on,
                is_static,
                is_filter,
                is_add,
            } => {
                let is_member = self.bridge_of(*bd_id).members.contains(on);
                let is_known = self.mac(*bd_id, *mac).is_some();
                if (*is_add && !is_member && !is_filter) || (!is_add && !is_known) {
                    return false;
                }
                self.macs.retain(|m| (m.bd_id, m.mac) != (*bd_id, *mac));
                if *is_add {
                    self.macs.push(MacEntry {
                        bd_id: *bd_id,
                        mac: *mac,
                        on: (!is_filter).then_some(*on),
                        is_static: *is_static || *is_filter,
                    });
                }
            }
            other => unreachable!("{other:?} is no change of layer 2"),
        }
        true
    }

    fn join(&mut self, on: If, bd_id: u32, kind: PortType, group: u8) -> bool {
        let port = self.port(on);
        if kind == PortType::Bvi {
            let members = &self.bridge_of(bd_id).members;
            let is_taken = members.iter().any(|m| *m != on && self.port(*m).is_bvi());
            if port.kind != Kind::Loopback || is_taken {
                return false;
            }
        }
        let mac = port.mac;
        self.leave(on);
        self.port_mut(on).l2 = L2::Bridged { bd_id, group, kind };
        self.bridge_mut(bd_id).members.push(on);
        if kind == PortType::Bvi {
            self.macs.retain(|m| (m.bd_id, m.mac) != (bd_id, mac));
            self.macs.push(MacEntry {
                bd_id,
                mac,
                on: Some(on),
                is_static: true,
            });
        }
        true
    }

    fn leave(&mut self, on: If) {
        if let L2::Bridged { bd_id, .. } = self.port(on).l2 {
            self.bridge_mut(bd_id).members.retain(|m| *m != on);
            self.macs.retain(|m| m.bd_id != bd_id || m.on != Some(on));
        }
        self.port_mut(on).l2 = L2::Routed;
    }

    pub(super) fn learn_mac(&mut self, bd_id: u32, mac: Mac, on: If) {
        self.macs.retain(|m| (m.bd_id, m.mac) != (bd_id, mac));
        self.macs.push(MacEntry {
            bd_id,
            mac,
            on: Some(on),
            is_static: false,
        });
    }

    fn bridge_of(&self, bd_id: u32) -> &Bridge {
        let found = self.bridges.iter().find(|b| b.bd_id == bd_id);
        found.expect("bridge domains of a world exist")
    }

    fn bridge_mut(&mut self, bd_id: u32) -> &mut Bridge {
        let found = self.bridges.iter_mut().find(|b| b.bd_id == bd_id);
        found.expect("bridge domains of a world exist")
    }

    fn mac(&self, bd_id: u32, mac: Mac) -> Option<&MacEntry> {
        self.macs.iter().find(|m| (m.bd_id, m.mac) == (bd_id, mac))
    }

    /// Split-horizon group and kind of a bridge port.
    fn member(&self, on: If) -> (u8, PortType) {
        match self.port(on).l2 {
            L2::Bridged { group, kind, .. } => (group, kind),
            L2::Routed | L2::Xconnect(_) => (0, PortType::Normal),
        }
    }
}

impl Walk<'_> {
    /// A frame that comes in by a port of a bridge domain or cross-connect, or from the router by a BVI.
    pub(super) fn bridge(&mut self, rx: If, frame: &Frame, trip: Trip) {
        let model = self.model;
        let port = model.port(rx);
        if let Body::Ip(packet) = &frame.body
            && !port.acl_in.is_empty()
            && !port.is_bvi()
            && !model.permits(&port.acl_in, packet)
        {
            return self.report.drop(rx, DropReason::AclDeny);
        }
        let bd_id = match port.l2 {
            L2::Xconnect(tx) => return self.output(rx, tx, frame, trip),
            L2::Bridged { bd_id, .. } => bd_id,
            L2::Routed => unreachable!("routed ports do not bridge"),
        };
        let bridge = model.bridge_of(bd_id);
        if bridge.flags.learn {
            if is_group(frame.src) {
                return self.report.drop(rx, DropReason::SourceMulticast);
            }
            match model.mac(bd_id, frame.src) {
                Some(entry) if entry.on.is_none() => {
                    return self.report.drop(rx, DropReason::L2Filter);
                }
                Some(entry) if entry.on == Some(rx) || entry.is_static => {}
                _ => self.report.learned.push(Learned::Mac {
                    bd_id,
                    mac: frame.src,
                    on: rx,
                }),
            }
        }
        if is_group(frame.dst) {
            return if bridge.flags.flood {
                self.flood(bridge, rx, frame, trip);
            } else {
                self.report.drop(rx, DropReason::L2NoForward);
            };
        }
        match model.mac(bd_id, frame.dst).map(|entry| entry.on) {
            Some(None) => self.report.drop(rx, DropReason::L2Filter),
            Some(Some(_)) if !bridge.flags.forward => {
                self.report.drop(rx, DropReason::L2NoForward);
            }
            Some(Some(on)) if on == rx => self.report.drop(rx, DropReason::L2Reflection),
            Some(Some(on)) if self.is_split(rx, on) => {
                self.report.drop(rx, DropReason::L2SplitHorizon);
            }
            Some(Some(on)) => self.leave_by(on, rx, frame, trip),
            None => self.unknown(bridge, rx, frame, trip),
        }
    }

    fn unknown(&mut self, bridge: &Bridge, rx: If, frame: &Frame, trip: Trip) {
        let is_uu_fwd = |on: &&If| self.model.member(**on).1 == PortType::UuFwd;
        match bridge.members.iter().find(is_uu_fwd) {
            Some(on) if *on != rx => self.output(rx, *on, frame, trip),
            None if bridge.flags.uu_flood => self.flood(bridge, rx, frame, trip),
            Some(_) | None => self.report.drop(rx, DropReason::L2NoForward),
        }
    }

    fn flood(&mut self, bridge: &Bridge, rx: If, frame: &Frame, trip: Trip) {
        let is_target = |on: &If| {
            *on != rx
                && self.model.member(*on).1 != PortType::UuFwd
                && !self.is_split(rx, *on)
                && self.model.port(*on).is_up
        };
        let targets: Vec<_> = bridge.members.iter().copied().filter(is_target).collect();
        if targets.is_empty() {
            return self.report.drop(rx, DropReason::L2NoMembers);
        }
        for on in targets {
            self.leave_by(on, rx, frame, trip);
        }
    }

    fn leave_by(&mut self, on: If, rx: If, frame: &Frame, trip: Trip) {
        if self.model.port(on).is_bvi() {
            if let Some(trip) = self.turn(on, trip) {
                self.input(on, frame, trip);
            }
        } else {
            self.output(rx, on, frame, trip);
        }
    }

    fn is_split(&self, a: If, b: If) -> bool {
        let (a, b) = (self.model.member(a).0, self.model.member(b).0);
        a != 0 && a == b
    }
}
