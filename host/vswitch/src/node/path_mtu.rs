//! The biggest packet that a path takes, be it that of the neighbour or that of the destination.

use std::net::IpAddr;

use packet::{ipv4, ipv6};

use crate::dpo::Adjacency;
use crate::frame::Frame;
use crate::graph::Env;
use crate::id::Family;
use crate::interface::Interface;

/// Gives `mtu`, the interface's, or what is known of the path when that is less.
#[inline]
pub(super) fn limit(
    env: &Env<'_>,
    frame: &Frame,
    (out, adjacency): (&Interface, &Adjacency),
    mtu: u32,
    family: Family,
) -> u32 {
    if env.tables.path_mtus.is_empty() {
        return mtu;
    }
    let fib = match family {
        Family::V4 => out.fib4,
        Family::V6 => out.fib6,
    };
    let of = |fib, ip| env.tables.path_mtus.get(&(fib, ip)).copied();
    let near = of(fib, adjacency.next_hop);
    let far = destination(frame, family).and_then(|dst| of(frame.meta.fib, dst));
    let known = near.into_iter().chain(far).map(u32::from);
    known.fold(mtu, u32::min)
}

fn destination(frame: &Frame, family: Family) -> Option<IpAddr> {
    match family {
        Family::V4 => {
            let header = frame.l3_start::<{ ipv4::HEADER_LEN }>()?;
            header.last_chunk::<4>().map(|ip| IpAddr::from(*ip))
        }
        Family::V6 => {
            let header = frame.l3_start::<{ ipv6::HEADER_LEN }>()?;
            header.last_chunk::<16>().map(|ip| IpAddr::from(*ip))
        }
    }
}
