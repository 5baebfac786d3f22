//! Finds the port of a destination address in the L2 FIB; unknown ones are flooded or given to the UU-forward port.

use packet::ethernet::Ethernet;

use super::bridge_output;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Ok(header) = Ethernet::new_checked(frame.head()) else {
        return Next::Drop(DropReason::Truncated);
    };
    let dst = header.dst();
    let Some(bridge) = env.tables.bridge(frame.meta.object) else {
        return Next::Drop(DropReason::NoInterface);
    };
    if dst.is_multicast() {
        return if bridge.spec.arp_term {
            Next::To(NodeId::ArpTerm)
        } else if bridge.spec.flood {
            Next::To(NodeId::L2Flood)
        } else {
            Next::Drop(DropReason::L2NoForward)
        };
    }
    if let Some(entry) = env.tables.macs.get(&(frame.meta.object, dst)) {
        if entry.flags.filter_mac {
            return Next::Drop(DropReason::L2Filter);
        }
        if !bridge.spec.forward {
            return Next::Drop(DropReason::L2NoForward);
        }
        if entry.sw_if_index == frame.rx {
            return Next::Drop(DropReason::L2Reflection);
        }
        let Some(member) = bridge
            .members
            .iter()
            .find(|m| m.sw_if_index == entry.sw_if_index)
        else {
            return Next::Drop(DropReason::NoInterface);
        };
        if member.shg != 0 && member.shg == frame.meta.shg {
            return Next::Drop(DropReason::L2SplitHorizon);
        }
        return bridge_output::send(env, frame, member);
    }
    match bridge.uu_fwd {
        Some(port) if port != frame.rx => {
            (frame.meta.tx, frame.meta.switched) = (port, true);
            Next::To(NodeId::InterfaceOutput)
        }
        None if bridge.spec.uu_flood => Next::To(NodeId::L2Flood),
        Some(_) | None => Next::Drop(DropReason::L2NoForward),
    }
}
