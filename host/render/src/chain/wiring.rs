//! Which interface leads to which, around hops that fail open.
//!
//! A bypassed hop's two neighbours are joined where they are: in the bridge domain of the end segment
//! if one of them is that, else as a wire. When every hop is bypassed here, both neighbours are
//! bridge domains. Each may have a BVI and a bridge domain has one at most, so they stay two, and
//! the tunnels of both move into one of them, the *hub*.

use model::{MacAddr, NodeName, RenderedHop};

use crate::object::{Device, IfTag, Key, L2, Object, Objects};
use crate::text::host;

use super::{Side, View};

/// Something that can be joined with something else.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Point {
    /// An interface, already among the objects.
    Interface(IfTag),
    /// The bridge domain of an end segment.
    Bridge(Side),
}

/// Split-horizon group of the tunnels to the ends of one side: those do not talk to each other.
const fn group(side: Side) -> u8 {
    match side {
        Side::Entry => 1,
        Side::Exit => 2,
    }
}

impl View<'_> {
    /// Bridge domains, ends, and the tunnels between them and the hop that they lead to.
    pub(super) fn ends(&self, objects: &mut Objects) {
        for side in [Side::Entry, Side::Exit] {
            let Some(hop) = self.side_hop(side) else {
                continue;
            };
            let segment = self.side_segment(side);
            let is_hop_here = self.is_here(&hop.node);
            let end = self.local_end(side);
            if end.is_none() && !is_hop_here {
                continue;
            }
            let tag = self.end_tag(side);
            let bridge = Object::Bridge {
                tag: tag.as_str().to_owned(),
            };
            objects.insert(Key::Bridge(self.vni(segment)), bridge);
            if let Some(end) = end {
                let device = Device::Loopback {
                    instance: self.vni(segment),
                    mac: end.mac,
                };
                objects.insert(Key::Interface(tag.clone()), Object::interface(device));
                objects.insert(
                    Key::Address(tag.clone(), host(end.address)),
                    Object::Address,
                );
                self.join_bridge(objects, side, tag, true, 0);
            }
            if is_hop_here {
                let bridge = self.hub().unwrap_or(side);
                for end in self.side_ends(side) {
                    if let Some(tunnel) = self.add_tunnel(objects, segment, &end.node) {
                        self.join_bridge(objects, bridge, tunnel.clone(), false, group(side));
                        self.add_mac(objects, bridge, end.mac, tunnel);
                    }
                }
            } else if let Some(tunnel) = self.add_tunnel(objects, segment, &hop.node) {
                self.join_hop(objects, side, tunnel, group(side));
            }
        }
    }

    /// Joins the ports of local hops, and what is left and right of bypassed ones.
    pub(super) fn wire(&self, objects: &mut Objects) {
        for (index, hop) in self.chain.hops.iter().enumerate() {
            if !self.is_here(&hop.node) {
                continue;
            }
            let before = self.beyond(objects, index, index);
            let after = self.beyond(objects, index, index + 1);
            if self.hop_state(hop).bypassed {
                self.join(objects, before, after);
                continue;
            }
            for (port, far) in [(&hop.input, before), (&hop.output, after)] {
                let port = self.port(hop, port).map(Point::Interface);
                self.join(objects, port, far);
            }
        }
    }

    /// What local hop `index` meets at the other side of its neighbouring `segment`.
    fn beyond(&self, objects: &mut Objects, index: usize, segment: usize) -> Option<Point> {
        if segment == 0 {
            return Some(Point::Bridge(Side::Entry));
        }
        if segment == self.last_segment() {
            return Some(Point::Bridge(Side::Exit));
        }
        let is_forward = segment > index;
        let other = if is_forward { segment } else { segment - 1 };
        let hop: &RenderedHop = self.chain.hops.get(other)?;
        if !self.is_here(&hop.node) {
            let tunnel = self.add_tunnel(objects, segment, &hop.node)?;
            return Some(Point::Interface(tunnel));
        }
        if self.hop_state(hop).bypassed {
            let next = if is_forward { other + 1 } else { other };
            return self.beyond(objects, other, next);
        }
        let name = if is_forward { &hop.input } else { &hop.output };
        self.port(hop, name).map(Point::Interface)
    }

    fn join(&self, objects: &mut Objects, a: Option<Point>, b: Option<Point>) {
        match (a, b) {
            (Some(Point::Interface(a)), Some(Point::Interface(b))) => {
                let to = |to| Object::L2(L2::Xconnect { to });
                objects.insert(Key::L2(a.clone()), to(b.clone()));
                objects.insert(Key::L2(b), to(a));
            }
            (Some(Point::Interface(port)), Some(Point::Bridge(side)))
            | (Some(Point::Bridge(side)), Some(Point::Interface(port))) => {
                self.join_hop(objects, side, port, 0);
            }
            // Two bridge domains: `ends` has brought their tunnels together in the hub.
            (Some(Point::Bridge(_)), Some(Point::Bridge(_))) | (None, _) | (_, None) => {}
        }
    }

    /// Makes `port` the way from an end's bridge domain into the chain.
    fn join_hop(&self, objects: &mut Objects, side: Side, port: IfTag, group: u8) {
        for end in self.side_ends(side.other()) {
            self.add_mac(objects, side, end.mac, port.clone());
        }
        self.join_bridge(objects, side, port, false, group);
    }

    fn join_bridge(&self, objects: &mut Objects, side: Side, tag: IfTag, is_bvi: bool, group: u8) {
        let id = self.vni(self.side_segment(side));
        let member = L2::Bridge { id, is_bvi, group };
        objects.insert(Key::L2(tag), Object::L2(member));
    }

    fn add_mac(&self, objects: &mut Objects, side: Side, mac: MacAddr, interface: IfTag) {
        let bridge = self.vni(self.side_segment(side));
        objects.insert(Key::MacEntry(bridge, mac), Object::MacEntry { interface });
    }

    fn add_tunnel(&self, objects: &mut Objects, segment: usize, to: &NodeName) -> Option<IfTag> {
        if self.is_here(to) {
            return None;
        }
        let (tag, device) = self.tunnel(segment, to)?;
        objects.insert(Key::Interface(tag.clone()), Object::interface(device));
        Some(tag)
    }

    /// The bridge domain that all tunnels join while every hop is here and bypassed: the one whose
    /// BVI others need. If there are both BVIs, only those beyond a tunnel do: nothing is steered
    /// from one to the other on this node.
    fn hub(&self) -> Option<Side> {
        if !self.is_bypassed_whole() {
            return None;
        }
        let has_far_entries = self
            .chain
            .entries
            .iter()
            .any(|end| !self.is_here(&end.node));
        let ends = [Side::Entry, Side::Exit].map(|side| self.local_end(side).is_some());
        Some(match ends {
            [false, true] => Side::Exit,
            [true, true] if has_far_entries => Side::Exit,
            _ => Side::Entry,
        })
    }
}
