//! Takes the outer headers off and gives the inner packet to the tunnel's interface.

use packet::udp::{self, Udp};
use packet::vxlan;

use super::ethernet_input::by_version;
use crate::counters::IfCounter;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::offload::Gso;
use crate::tunnel::{VxlanKey, outer};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some((local, remote, l4)) = outer(frame.l3()) else {
        return Next::Drop(DropReason::BadVersion);
    };
    let bytes = frame.l3().get(l4..).unwrap_or(&[]);
    let Ok(datagram) = Udp::new_checked(bytes) else {
        return Next::Drop(DropReason::VxlanBad);
    };
    let Ok(vni) = vxlan::parse(datagram.payload()) else {
        return Next::Drop(DropReason::VxlanBad);
    };
    let key = VxlanKey {
        local,
        remote,
        vni,
        fib: frame.meta.fib,
        port: datagram.dst_port(),
    };
    let Some(on) = env.tables.vxlan_of.get(&key).copied() else {
        return Next::Drop(DropReason::VxlanNoTunnel);
    };
    let Some(interface) = env.tables.interface(on) else {
        return Next::Drop(DropReason::NoInterface);
    };
    if frame.offload.gso == Gso::Udp {
        return Next::Drop(DropReason::OffloadConflict);
    }
    let whole = usize::from(frame.meta.l3) + l4 + usize::from(datagram.len());
    if !frame.offload.gso.is_some() {
        frame.truncate(whole.min(frame.len()));
    }
    if !frame.strip_l2() || !frame.pull(l4 + udp::HEADER_LEN + vxlan::HEADER_LEN) {
        return Next::Drop(DropReason::VxlanBad);
    }
    frame.rx = on;
    // How the outer packet came says nothing about the inner one.
    (frame.meta.whole, frame.meta.fragment_size) = (false, 0);
    env.counters.add(on, IfCounter::RxPackets, 1);
    env.counters.add(on, IfCounter::RxBytes, frame.len() as u64);
    if interface.is_ethernet() {
        return env.turn(frame, NodeId::EthernetInput);
    }
    if !interface.admin_up {
        return Next::Drop(DropReason::InterfaceDown);
    }
    match by_version(interface, frame) {
        Next::To(node) => env.turn(frame, node),
        other @ (Next::Drop(_) | Next::Transmit(_)) => other,
    }
}
