//! Which interface leads to which, around hops that fail open.

use crate::node::TUNNELS;
use crate::object::{Device, IfTag, Key, L2, Object, Objects};
use crate::text::{digest, host};
use model::{MacAddr, RenderedHop};

use super::{Side, View};

/// Something that can be joined with something else.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Point {
    /// An interface, already among the objects.
    Interface(IfTag),
    /// The bridge domain of an end segment.
    Bridge(Side),
}

impl std::fmt::Debug for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Entry => "entry",
            Self::Exit => "exit",
        })
    }
}

/// Memif sockets above this are wires between two bridge domains of one chain.
const WIRE_SOCKETS: u32 = 1 << 31;

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
                for end in self.side_ends(side) {
                    if let Some(tunnel) = self.add_tunnel(objects, segment, &end.node) {
                        self.join_bridge(objects, side, tunnel.clone(), false, TUNNELS);
                        self.add_mac(objects, side, end.mac, tunnel);
                    }
                }
            } else if let Some(tunnel) = self.add_tunnel(objects, segment, &hop.node) {
                self.join_hop(objects, side, tunnel, TUNNELS);
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
        if self.may_need_wire() {
            self.add_wire(objects);
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
            (Some(Point::Bridge(_)), Some(Point::Bridge(_))) => {
                self.join_hop(objects, Side::Entry, self.wire_tag(Side::Entry), 0);
                self.join_hop(objects, Side::Exit, self.wire_tag(Side::Exit), 0);
            }
            (None, _) | (_, None) => {}
        }
    }

    /// Makes `port` the way from an end's bridge domain into the chain.
    fn join_hop(&self, objects: &mut Objects, side: Side, port: IfTag, group: u8) {
        let far_side = match side {
            Side::Entry => Side::Exit,
            Side::Exit => Side::Entry,
        };
        for end in self.side_ends(far_side) {
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

    fn add_tunnel(
        &self,
        objects: &mut Objects,
        segment: usize,
        to: &model::NodeName,
    ) -> Option<IfTag> {
        if self.is_here(to) {
            return None;
        }
        let (tag, device) = self.tunnel(segment, to)?;
        objects.insert(Key::Interface(tag.clone()), Object::interface(device));
        Some(tag)
    }

    /// Both end segments meet here if all hops are bypassed: then a wire joins their bridge domains,
    /// which cannot be one because each may have a BVI. It is made before it is needed.
    fn may_need_wire(&self) -> bool {
        let is_open = |h: &RenderedHop| h.on_failure == model::OnFailure::FailOpen;
        let hops = &self.chain.hops;
        hops.iter().all(|h| self.is_here(&h.node) && is_open(h))
    }

    fn wire_tag(&self, side: Side) -> IfTag {
        IfTag::new(&format!("wire/{}/{side:?}", self.vni(0)))
    }

    /// A memif of the dataplane to itself.
    fn add_wire(&self, objects: &mut Objects) {
        let (vni, node) = (self.vni(0), &self.facts.node);
        let path = format!("abstract:weft-{node}-{vni}");
        for (side, number) in [(Side::Entry, 0), (Side::Exit, 1)] {
            let tag = self.wire_tag(side);
            let socket = WIRE_SOCKETS | (vni << 1) | number;
            let path = path.clone();
            let device = Device::Memif {
                socket,
                id: 0,
                is_master: side == Side::Entry,
                mac: MacAddr(digest(0x02, &[node.as_str(), tag.as_str()])),
            };
            objects.insert(Key::MemifSocket(socket), Object::MemifSocket { path });
            objects.insert(Key::Interface(tag), Object::interface(device));
        }
    }
}
