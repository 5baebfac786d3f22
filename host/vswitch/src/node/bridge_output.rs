//! Leaves a bridge domain through a member: out of an interface, or up to the router through the BVI.

use crate::bridge::{Member, PortType};
use crate::frame::Frame;
use crate::graph::{Env, Next, NodeId};

pub(super) fn send(env: &Env<'_>, frame: &mut Frame, member: &Member) -> Next {
    match member.port_type {
        PortType::Bvi => {
            frame.rx = member.sw_if_index;
            env.turn(frame, NodeId::EthernetInput)
        }
        PortType::Normal | PortType::UuFwd => {
            (frame.meta.tx, frame.meta.switched) = (member.sw_if_index, true);
            Next::To(NodeId::InterfaceOutput)
        }
    }
}
