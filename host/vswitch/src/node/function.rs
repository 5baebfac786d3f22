//! What `weft-function-input` and `weft-function-output` share: packets of one function are ruled on in one call.
//!
//! VPP has no such nodes; `feature` says where they stand on the arcs.

use packet::ipv4::Ipv4;
use packet::ipv6::Ipv6;
use packet::{checksum, proto, tcp, udp};

use super::{ip4_input, ip6_input};
use crate::batch::FrameId;
use crate::counters::FunctionCounter;
use crate::feature::{InputFeature, OutputFeature};
use crate::frame::{BATCH_MAX, Frame};
use crate::function::{HookFault, Job, Ruling, Side};
use crate::graph::{DropReason, Env, Graph, Next, NodeId};
use crate::id::Family;
use crate::offload::{Gso, Offload, Tunnel};

pub(super) fn process(graph: &mut Graph<'_>, ids: &[FrameId], node: NodeId, side: Side) {
    let mut rest = ids;
    while let Some((first, others)) = rest.split_first() {
        let function = function_of(graph, *first, side);
        let more = others
            .iter()
            .take(BATCH_MAX - 1)
            .take_while(|id| function_of(graph, **id, side) == function)
            .count();
        let (job, after) = rest.split_at(1 + more);
        rest = after;
        match function {
            Some(function) => ask(graph, job, node, side, function),
            // It was detached while the packets were under way.
            None => {
                for id in job {
                    let next = onward(graph, *id, side);
                    graph.follow(node, *id, next);
                }
            }
        }
    }
}

/// The function of the interface that a packet came in or leaves by.
fn function_of(graph: &mut Graph<'_>, id: FrameId, side: Side) -> Option<u32> {
    let frame = graph.batch.frame(id);
    match side {
        Side::Input => graph.env.interface(frame.rx)?.function_in,
        Side::Output => graph.env.interface(frame.meta.tx)?.function_out,
    }
}

/// Lets a function rule on some packets.
fn ask(graph: &mut Graph<'_>, ids: &[FrameId], node: NodeId, side: Side, function: u32) {
    let counters = graph.env.counters;
    let count = |what, by| counters.add_function(function, what, by);
    count(FunctionCounter::Packets, ids.len() as u64);
    let mut rulings = std::mem::take(&mut graph.env.state.rulings);
    rulings.clear();
    rulings.resize(ids.len(), Ruling::default());
    let was = |graph: &Graph<'_>, id: &FrameId| graph.batch.frame(*id).offload;
    let mut job = Job::new(side, graph.batch, ids, &mut rulings);
    let done = graph.hook.process(function, &mut job, graph.env.now);
    if done == Err(HookFault::Failed) {
        count(FunctionCounter::Faults, 1);
    }
    let fail_open = graph
        .env
        .tables
        .functions
        .get(function)
        .is_some_and(|f| f.fail_open);
    for (id, ruling) in ids.iter().zip(&rulings) {
        let on = |graph: &mut Graph<'_>| onward(graph, *id, side);
        let next = match (done, *ruling) {
            (Err(_), _) | (Ok(()), Ruling::TooLong) => {
                count(FunctionCounter::Undecided, 1);
                match (fail_open, done) {
                    (true, _) => on(graph),
                    (false, Ok(())) => Next::Drop(DropReason::FunctionTooLong),
                    (false, Err(_)) => Next::Drop(DropReason::FunctionFault),
                }
            }
            (Ok(()), Ruling::Pass) => on(graph),
            (Ok(()), Ruling::Changed) => {
                count(FunctionCounter::Changed, 1);
                let offload = was(graph, id);
                match check(graph, *id, side, &offload) {
                    Ok(()) => on(graph),
                    Err(reason) => Next::Drop(reason),
                }
            }
            (Ok(()), Ruling::Drop) => {
                count(FunctionCounter::Drops, 1);
                Next::Drop(DropReason::FunctionDrop)
            }
            (Ok(()), Ruling::Nonsense) => Next::Drop(DropReason::FunctionNonsense),
            (Ok(()), Ruling::NoRoom) => Next::Drop(DropReason::NoBuffers),
        };
        graph.follow(node, *id, next);
    }
    graph.env.state.rulings = rulings;
}

/// Where a packet goes that may pass.
fn onward(graph: &mut Graph<'_>, id: FrameId, side: Side) -> Next {
    let frame = graph.batch.frame(id);
    let family = Family::of_packet(frame.l3());
    let on = match side {
        Side::Input => frame.rx,
        Side::Output => frame.meta.tx,
    };
    let Some(interface) = graph.env.interface(on) else {
        return Next::Drop(DropReason::NoInterface);
    };
    Next::To(match side {
        Side::Input => interface
            .input(family)
            .after(InputFeature::Function, family),
        Side::Output => interface
            .output(family)
            .after(OutputFeature::Function, family),
    })
}

/// Checks a changed packet like a received one.
fn check(graph: &mut Graph<'_>, id: FrameId, side: Side, was: &Offload) -> Result<(), DropReason> {
    let Graph { env, batch, .. } = graph;
    let Some(frame) = batch.frame_mut(id) else {
        return Err(DropReason::NoBuffers);
    };
    match frame.l3().first().map(|b| b >> 4) {
        Some(4) => ip4_input::check(frame)?,
        Some(6) => {
            ip6_input::check(frame)?;
            let dst = Ipv6::new_checked(frame.l3()).map(|ip| ip.dst());
            let dst = dst.map_err(|_| DropReason::BadVersion)?;
            if side == Side::Input && dst.is_multicast() {
                return Err(DropReason::Multicast);
            }
            if side == Side::Input && dst.is_unicast_link_local() {
                return Err(DropReason::LinkLocal);
            }
        }
        _ => return Err(DropReason::BadVersion),
    }
    if *was != Offload::default() {
        frame.offload = again(frame, was).ok_or(DropReason::OffloadConflict)?;
    }
    fits(env, frame, side)
}

/// A packet that grew on its way out is too late to be cut.
fn fits(env: &mut Env<'_>, frame: &Frame, side: Side) -> Result<(), DropReason> {
    if side == Side::Input {
        return Ok(());
    }
    let interface = env
        .interface(frame.meta.tx)
        .ok_or(DropReason::NoInterface)?;
    let mtu = match Family::of_packet(frame.l3()) {
        Family::V4 => interface.mtu4,
        Family::V6 => interface.mtu6,
    };
    if frame.l3_wire_len() > mtu as usize {
        return Err(DropReason::MtuExceeded);
    }
    Ok(())
}

/// The work that is left to the device, for the changed packet: whatever the function did to an unfinished checksum,
/// the device starts from a right one. `None` when the packet is no longer one that the device can finish.
fn again(frame: &mut Frame, was: &Offload) -> Option<Offload> {
    if was.tunnel != Tunnel::None || was.fragment != 0 {
        return None;
    }
    let (l3_len, packet) = (frame.l3_len(), frame.l3());
    let (l4, protocol, sum) = match Family::of_packet(packet) {
        Family::V4 => {
            let ip = Ipv4::new_checked(packet)
                .ok()
                .filter(|ip| !ip.is_fragment())?;
            let len = u16::try_from(l3_len.checked_sub(ip.header_len())?).ok()?;
            let sum = checksum::pseudo4(ip.src(), ip.dst(), ip.protocol(), len);
            (ip.header_len(), ip.protocol(), sum)
        }
        Family::V6 => {
            let ip = Ipv6::new_checked(packet).ok()?;
            let upper = ip
                .upper_layer()
                .ok()
                .filter(|upper| upper.fragment.is_none())?;
            let len = u32::try_from(l3_len.checked_sub(upper.offset)?).ok()?;
            let sum = checksum::pseudo6(ip.src(), ip.dst(), upper.protocol, len);
            (upper.offset, upper.protocol, sum)
        }
    };
    let field = match (protocol, was.gso) {
        (proto::TCP, Gso::None | Gso::Tcp4 | Gso::Tcp6) => tcp::CHECKSUM_OFFSET,
        (proto::UDP, Gso::None | Gso::Udp) => udp::CHECKSUM_OFFSET,
        _ => return None,
    };
    let headers = match protocol {
        proto::TCP => l4 + tcp::Tcp::new_checked(packet.get(l4..)?).ok()?.header_len(),
        _ => l4 + udp::HEADER_LEN,
    };
    let place = frame.l3_mut().get_mut(l4 + field..l4 + field + 2)?;
    place.copy_from_slice(&checksum::fold(sum).to_be_bytes());
    let from_start = |at: usize| u16::try_from(usize::from(frame.meta.l3) + at).ok();
    Some(Offload {
        needs_csum: was.needs_csum || was.gso.is_some(),
        csum_start: from_start(l4)?,
        csum_offset: u16::try_from(field).ok()?,
        hdr_len: if was.gso.is_some() {
            from_start(headers)?
        } else {
            was.hdr_len
        },
        ..*was
    })
}
