//! Inserts a segment routing header into an IPv6 packet (H.Insert), behind its hop-by-hop options. A steered
//! packet keeps its destination as last segment; one that came to the binding SID ends at the list's last.
//! Next: `ip6-lookup`.

use packet::ipv6::{self, Ipv6};
use packet::{proto, srh};

use super::sr_outer;
use super::sr_policy::{Target, Way};
use super::srh_splice;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Target { index, way } = Target::of(frame);
    let Some(list) = env.tables.sr.list(index) else {
        return Next::Drop(DropReason::SrGone);
    };
    if Ipv6::new_checked(frame.l3()).is_err() {
        return Next::Drop(DropReason::BadVersion);
    }
    if let Err(next) = sr_outer::enter(frame) {
        return next;
    }
    let header = match way {
        Way::Bsid => &list.rewrite_bsid,
        Way::Steered | Way::L2 => &list.rewrite,
    };
    match insert(frame, header, way == Way::Steered) {
        Ok(()) => env.turn(frame, NodeId::Ip6Lookup),
        Err(reason) => Next::Drop(reason),
    }
}

fn insert(frame: &mut Frame, header: &[u8], keep_dst: bool) -> Result<(), DropReason> {
    let ip = Ipv6::new_checked(frame.l3()).map_err(|_| DropReason::BadVersion)?;
    let (dst, payload_len) = (ip.dst(), usize::from(ip.payload_len()) + header.len());
    let payload_len = match u16::try_from(payload_len) {
        Ok(len) => len,
        Err(_) if frame.offload.gso.is_some() => u16::MAX,
        Err(_) => return Err(DropReason::MtuExceeded),
    };
    let (at, named_by) = if ip.next_header() == proto::HOPOPT {
        let words = frame.l3().get(ipv6::HEADER_LEN + 1).copied();
        let len = (usize::from(words.ok_or(DropReason::Truncated)?) + 1) * 8;
        (ipv6::HEADER_LEN + len, ipv6::HEADER_LEN)
    } else {
        (ipv6::HEADER_LEN, 6)
    };
    if at > frame.head_len() {
        return Err(DropReason::SrTooLong);
    }
    let room = srh_splice::insert(frame, at, header.len()).ok_or(DropReason::NoHeadroom)?;
    room.copy_from_slice(header);
    if keep_dst {
        srh::set_segment(room, 0, dst);
    }
    let first = srh::Srh::new_checked(room)
        .ok()
        .and_then(|srh| srh.segment(srh.segments_left()))
        .ok_or(DropReason::SrMalformed)?;
    let packet = frame.head_mut();
    let next_header = std::mem::replace(
        packet.get_mut(named_by).ok_or(DropReason::Truncated)?,
        proto::ROUTING,
    );
    srh::set_next_header(packet.get_mut(at..).unwrap_or(&mut []), next_header);
    ipv6::set_dst(packet, first);
    ipv6::set_payload_len(packet, payload_len);
    Ok(())
}
