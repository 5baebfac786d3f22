//! Unicast reverse path forwarding (RFC 3704): drops packets whose source address has no route (loose), or has none
//! through the interface they came in by (strict). On output, strict means the opposite: a packet must not go back
//! to where its source is.

use std::net::IpAddr;

use packet::FlowKey;

use crate::dpo::{Dpo, LoadBalance};
use crate::feature::{InputFeature, OutputFeature};
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};
use crate::id::{Family, SwIfIndex};
use crate::interface::Urpf;
use crate::tables::Tables;

/// Lookups that one address may take.
const DEPTH_MAX: u8 = 5;

pub(crate) fn process_input(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.tables.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let Some((family, src, dst)) = addresses(frame) else {
        return Next::Drop(DropReason::BadVersion);
    };
    let passes = interface.urpf_in(family).is_none_or(|urpf| {
        dst.is_multicast() || {
            let found = reverse(env.tables, &urpf, src);
            if urpf.strict {
                found.leads_to(env.tables, frame.rx)
                    || (found.is_local && interface.has_address(src))
            } else {
                found.is_any()
            }
        }
    });
    if passes {
        Next::To(interface.input(family).after(InputFeature::Urpf, family))
    } else {
        Next::Drop(DropReason::UrpfFailed)
    }
}

pub(crate) fn process_output(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let on = frame.meta.tx;
    let Some(interface) = env.tables.interface(on) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let Some((family, src, dst)) = addresses(frame) else {
        return Next::Drop(DropReason::BadVersion);
    };
    let passes = interface.urpf_out(family).is_none_or(|urpf| {
        let found = reverse(env.tables, &urpf, src);
        dst.is_multicast()
            || if urpf.strict {
                frame.meta.local || (found.is_any() && !found.leads_to(env.tables, on))
            } else {
                found.is_any()
            }
    });
    if passes {
        Next::To(interface.output(family).after(OutputFeature::Urpf, family))
    } else {
        Next::Drop(DropReason::UrpfFailed)
    }
}

fn addresses(frame: &Frame) -> Option<(Family, IpAddr, IpAddr)> {
    let flow = FlowKey::of_ip(frame.l3())?;
    Some((Family::of(flow.src), flow.src, flow.dst))
}

/// Where the way back to an address leads.
struct Reverse<'a> {
    choices: Option<&'a LoadBalance>,
    is_local: bool,
}

fn reverse<'a>(tables: &'a Tables, urpf: &Urpf, src: IpAddr) -> Reverse<'a> {
    let (mut fib, mut address) = (urpf.fib, src);
    for _ in 0..DEPTH_MAX {
        let Some(choices) = tables.route(fib, address) else {
            break;
        };
        match choices.buckets() {
            [Dpo::Lookup(next)] => fib = *next,
            [
                Dpo::Recursive {
                    fib: next,
                    next_hop,
                },
            ] => (fib, address) = (*next, *next_hop),
            buckets => {
                return Reverse {
                    choices: Some(choices),
                    is_local: buckets.contains(&Dpo::Local),
                };
            }
        }
    }
    Reverse {
        choices: None,
        is_local: false,
    }
}

impl Reverse<'_> {
    fn is_any(&self) -> bool {
        let has_way = |dpo: &Dpo| !matches!(dpo, Dpo::Drop | Dpo::Unreachable | Dpo::Prohibit);
        self.choices
            .is_some_and(|lb| lb.buckets().iter().any(has_way))
    }

    fn leads_to(&self, tables: &Tables, on: SwIfIndex) -> bool {
        let through = |dpo: &Dpo| {
            let Dpo::Recursive { fib, next_hop } = dpo else {
                return is_on(tables, dpo, on);
            };
            // One of several recursive paths: its resolving route decides.
            let resolving = tables.route(*fib, *next_hop);
            resolving.is_some_and(|lb| lb.buckets().iter().any(|dpo| is_on(tables, dpo, on)))
        };
        self.choices
            .is_some_and(|lb| lb.buckets().iter().any(through))
    }
}

/// Tells whether a packet that follows `dpo` leaves by the interface `on`.
fn is_on(tables: &Tables, dpo: &Dpo, on: SwIfIndex) -> bool {
    match dpo {
        Dpo::Glean(sw_if_index) => *sw_if_index == on,
        Dpo::Adjacency(index) => tables
            .adjacencies
            .get(*index)
            .is_some_and(|a| a.sw_if_index == on),
        Dpo::Drop
        | Dpo::Unreachable
        | Dpo::Prohibit
        | Dpo::Local
        | Dpo::CnatReturn
        | Dpo::SrLocalsid(_)
        | Dpo::SrPolicy { .. }
        | Dpo::Lookup(_)
        | Dpo::Recursive { .. } => false,
    }
}
