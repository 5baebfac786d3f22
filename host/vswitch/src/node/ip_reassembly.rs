//! Picks the fragments out of a flow of packets, for interfaces whose features must see whole packets, and for
//! packets to the switch itself. The thread that runs the graph puts them together and receives the result again.

use packet::ipv4::Ipv4;
use packet::ipv6;

use crate::feature::InputFeature;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};
use crate::id::{Family, SwIfIndex};

pub(crate) fn process4(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let is_fragment = Ipv4::new_checked(frame.l3()).is_ok_and(|ip| ip.is_fragment());
    divert(env, frame, is_fragment, Family::V4)
}

pub(crate) fn process6(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let is_fragment = ipv6::fragment_header(frame.l3()).is_some();
    divert(env, frame, is_fragment, Family::V6)
}

fn divert(env: &Env<'_>, frame: &Frame, is_fragment: bool, family: Family) -> Next {
    if is_fragment {
        return Next::Transmit(SwIfIndex::LOCAL0);
    }
    match env.tables.interface(frame.rx) {
        Some(interface) => {
            let rest = interface.input(family);
            Next::To(rest.after(InputFeature::Reassembly, family))
        }
        None => Next::Drop(DropReason::NoInterface),
    }
}

/// What becomes of a fragment for the switch itself.
pub(super) fn local(env: &Env<'_>, family: Family) -> Next {
    if env.tables.reassembly.is_local(family) {
        Next::Transmit(SwIfIndex::LOCAL0)
    } else {
        Next::Drop(DropReason::Fragment)
    }
}
