//! Delivers IPv4 packets for the switch itself: ICMP and VXLAN; everything else is refused with ICMP.

use packet::ipv4::Ipv4;
use packet::udp::Udp;
use packet::{icmp, proto};

use super::{icmp_request, ip_reassembly};
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::id::Family;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Ok(ip) = Ipv4::new_checked(frame.l3()) else {
        return Next::Drop(DropReason::BadVersion);
    };
    if ip.is_fragment() {
        return ip_reassembly::local(env, Family::V4);
    }
    match ip.protocol() {
        proto::ICMP => Next::To(NodeId::Ip4IcmpInput),
        proto::UDP => match Udp::new_checked(ip.payload()) {
            Ok(udp) if env.tables.vxlan_ports.contains(&udp.dst_port()) => {
                Next::To(NodeId::VxlanInput)
            }
            Ok(_) => icmp_request::v4(frame, icmp::UNREACHABLE, icmp::CODE_PORT, 0),
            Err(_) => Next::Drop(DropReason::Truncated),
        },
        proto::IPIP | proto::IPV6 if !env.tables.ipip_of.is_empty() => Next::To(NodeId::IpipInput),
        _ => icmp_request::v4(frame, icmp::UNREACHABLE, icmp::CODE_PROTOCOL, 0),
    }
}
