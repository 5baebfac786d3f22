//! The express lane: what most frames need, done in one go in front of `ethernet-input`.
//!
//! A frame that is not quite ordinary, or that meets anything but a cross-connect, or a route to one neighbour with at
//! most policies before and behind it, goes the long way, untouched. So do traced frames, which makes the long way the
//! measure of this one: tests send the same frames by both.

use packet::ethernet::{self, HEADER_LEN as LINK};
use packet::{ipv4, ipv6};

use super::npol;
use crate::dpo::Dpo;
use crate::fib::Fib;
use crate::frame::{ETHERNET_LEN, Frame};
use crate::graph::express::{Routed, Table, Way, mac_bits};
use crate::graph::{Counted, Env, Next, NodeId};
use crate::id::Family;
use crate::vlan;

mod vxlan;

/// Takes a frame to its device; `None`, and no change, when it has to go the long way.
#[inline]
pub(super) fn pass(env: &mut Env<'_>, frame: &mut Frame) -> Option<Next> {
    if !frame.is_ordinary() {
        return None;
    }
    match env.way(frame.rx) {
        Way::Long => None,
        &Way::Cross { to, max, is_tunnel } => {
            let [.., t0, t1] = *frame.start::<LINK>()?;
            let bytes = frame.len();
            if vlan::is_tag(u16::from_be_bytes([t0, t1])) || bytes > max as usize {
                return None;
            }
            frame.meta.l3 = ETHERNET_LEN;
            frame.meta.tx = to;
            env.express.frames.crossed += 1;
            env.count(to, Counted::Tx, bytes);
            if is_tunnel {
                return Some(env.turn(frame, NodeId::VxlanEncap));
            }
            Some(Next::Transmit(to))
        }
        Way::Routed { mac, v4, v6 } => {
            let [d0, d1, d2, d3, d4, d5, _, _, _, _, _, _, t0, t1] = *frame.start::<LINK>()?;
            if mac_bits([d0, d1, d2, d3, d4, d5]) != *mac {
                return None;
            }
            match u16::from_be_bytes([t0, t1]) {
                ethernet::IPV4 => {
                    let table = (*v4)?;
                    route::<V4, { LINK + ipv4::HEADER_LEN }>(env, frame, table)
                }
                ethernet::IPV6 => {
                    let table = (*v6)?;
                    route::<V6, { LINK + ipv6::HEADER_LEN }>(env, frame, table)
                }
                _ => None,
            }
        }
    }
}

/// Sends a packet where its lookup led, when that is one neighbour with nothing in the way: what most packets need that
/// came out of a tunnel, go into one, or were looked at by features. `None`, and no change, for the others.
#[inline]
pub(super) fn send4(env: &mut Env<'_>, frame: &mut Frame, choices: u32) -> Option<Next> {
    send::<V4, _>(env, frame, choices)
}

/// The same for IPv6.
#[inline]
pub(super) fn send6(env: &mut Env<'_>, frame: &mut Frame, choices: u32) -> Option<Next> {
    send::<V6, _>(env, frame, choices)
}

#[inline]
fn send<I: Ip<HEADERS>, const HEADERS: usize>(
    env: &mut Env<'_>,
    frame: &mut Frame,
    choices: u32,
) -> Option<Next> {
    let bytes = LINK + frame.l3_len();
    if !frame.is_plain() || usize::from(frame.meta.l3) + frame.headroom() < LINK {
        return None;
    }
    let route = env.hop(choices, I::FAMILY)?;
    let (object, way) = (route.object, route.way);
    if way.is_guarded || bytes > LINK + way.max as usize {
        return None;
    }
    if !frame.meta.local && !I::lower_l3(frame)? {
        return None;
    }
    // Checked above: there is room for both.
    if frame.meta.l3 != ETHERNET_LEN {
        frame.strip_l2();
        frame.push(LINK)?;
    }
    *frame.head_start_mut()? = way.link;
    (frame.meta.l3, frame.meta.tx, frame.meta.object) = (ETHERNET_LEN, way.to, object);
    (frame.meta.switched, frame.offload.ip_only) = (false, false);
    I::counts(env).sent += 1;
    env.express.count(bytes);
    Some(Next::Transmit(way.to))
}

/// What differs between the families.
trait Ip<const HEADERS: usize> {
    const FAMILY: Family;
    /// Length of the packet, if its header is good and asks for nothing.
    fn check(headers: &[u8; HEADERS]) -> Option<usize>;
    fn look_up(fib: &Fib, headers: &[u8; HEADERS]) -> Option<u32>;
    /// One hop less to go; `false` when there is none.
    fn lower(headers: &mut [u8; HEADERS]) -> bool;
    /// The same for a packet without its link header; `None` when it is cut short.
    fn lower_l3(frame: &mut Frame) -> Option<bool>;
    fn counts<'e>(env: &'e mut Env<'_>) -> &'e mut Routed;
    /// What becomes of a packet of `total` bytes that no single neighbour gets.
    fn arrive(_: &mut Env<'_>, _: &mut Frame, _: (Table<'_>, u32), _total: usize) -> Option<Next> {
        None
    }
}

#[inline]
fn route<I: Ip<HEADERS>, const HEADERS: usize>(
    env: &mut Env<'_>,
    frame: &mut Frame,
    table: Table<'_>,
) -> Option<Next> {
    let headers = frame.start::<HEADERS>()?;
    let total = I::check(headers)?;
    let choices = I::look_up(table.fib, headers)?;
    let held = frame.len();
    let bytes = LINK + total;
    if bytes > held {
        return None;
    }
    let Some(route) = env.hop(choices, I::FAMILY) else {
        return I::arrive(env, frame, (table, choices), total);
    };
    let (object, to, link) = (route.object, route.way.to, route.way.link);
    let (max, is_guarded) = (route.way.max, route.way.is_guarded);
    if total > max as usize {
        return None;
    }
    (frame.meta.l3, frame.meta.tx, frame.meta.object) = (ETHERNET_LEN, to, object);
    if table.is_guarded {
        frame.forget_onward();
        if !npol::enters(env, frame, I::FAMILY) {
            return None;
        }
        I::counts(env).let_in += 1;
    }
    if bytes < held {
        frame.truncate(bytes);
    }
    let headers = frame.head_start_mut::<HEADERS>()?;
    if !I::lower(headers) {
        return None;
    }
    *headers.first_chunk_mut()? = link;
    let counts = I::counts(env);
    counts.taken += 1;
    if is_guarded {
        if !npol::leaves(env, frame, I::FAMILY) {
            I::counts(env).held += 1;
            env.hold(bytes);
            return Some(Next::To(NodeId::NpolOutput));
        }
        I::counts(env).let_out += 1;
    }
    env.express.count(bytes);
    Some(Next::Transmit(to))
}

struct V4;

impl Ip<{ LINK + ipv4::HEADER_LEN }> for V4 {
    const FAMILY: Family = Family::V4;

    #[inline]
    fn check(headers: &[u8; LINK + ipv4::HEADER_LEN]) -> Option<usize> {
        let ip: &[u8; ipv4::HEADER_LEN] = headers.last_chunk()?;
        let [
            version,
            _,
            t0,
            t1,
            _,
            _,
            _,
            _,
            ttl,
            _,
            _,
            _,
            src,
            _,
            _,
            _,
            dst,
            ..,
        ] = *ip;
        let total = u16::from_be_bytes([t0, t1]);
        // From 224 on there are groups and what is reserved.
        let is_ordinary = version == 0x45 && total >= 20 && ttl > 1 && src < 224 && dst < 224;
        (is_ordinary && ipv4::plain_checksum_ok(ip)).then_some(usize::from(total))
    }

    #[inline]
    fn look_up(fib: &Fib, headers: &[u8; LINK + ipv4::HEADER_LEN]) -> Option<u32> {
        fib.lookup4(*headers.last_chunk()?)
    }

    #[inline]
    fn lower(headers: &mut [u8; LINK + ipv4::HEADER_LEN]) -> bool {
        headers.last_chunk_mut().is_some_and(ipv4::lower_ttl)
    }

    #[inline]
    fn lower_l3(frame: &mut Frame) -> Option<bool> {
        frame.l3_start_mut().map(ipv4::lower_ttl)
    }

    #[inline]
    fn counts<'e>(env: &'e mut Env<'_>) -> &'e mut Routed {
        &mut env.express.frames.routed4
    }

    #[inline]
    fn arrive(
        env: &mut Env<'_>,
        frame: &mut Frame,
        (table, choices): (Table<'_>, u32),
        total: usize,
    ) -> Option<Next> {
        if table.is_guarded || env.tables.vxlan_ports.is_empty() {
            return None;
        }
        let choices = env.load_balance(choices)?;
        (choices.only() == Some(Dpo::Local)).then_some(())?;
        vxlan::open(env, frame, (table.index, choices.counter()), total)
    }
}

struct V6;

impl Ip<{ LINK + ipv6::HEADER_LEN }> for V6 {
    const FAMILY: Family = Family::V6;

    #[inline]
    fn check(headers: &[u8; LINK + ipv6::HEADER_LEN]) -> Option<usize> {
        let ip: &[u8; ipv6::HEADER_LEN] = headers.last_chunk()?;
        let [version, _, _, _, l0, l1, _, hop_limit, src, ..] = *ip;
        let dst = ip.last_chunk::<16>()?;
        let is_local = matches!(dst, [0xff, ..] | [0xfe, 0x80..=0xbf, ..]);
        let is_ordinary = version >> 4 == 6 && hop_limit > 1 && src != 0xff && !is_local;
        let len = u16::from_be_bytes([l0, l1]);
        is_ordinary.then_some(usize::from(len) + ipv6::HEADER_LEN)
    }

    #[inline]
    fn look_up(fib: &Fib, headers: &[u8; LINK + ipv6::HEADER_LEN]) -> Option<u32> {
        fib.lookup6(headers.last_chunk()?)
    }

    #[inline]
    fn lower(headers: &mut [u8; LINK + ipv6::HEADER_LEN]) -> bool {
        headers.last_chunk_mut().is_some_and(ipv6::lower_hop_limit)
    }

    #[inline]
    fn lower_l3(frame: &mut Frame) -> Option<bool> {
        frame.l3_start_mut().map(ipv6::lower_hop_limit)
    }

    #[inline]
    fn counts<'e>(env: &'e mut Env<'_>) -> &'e mut Routed {
        &mut env.express.frames.routed6
    }
}
