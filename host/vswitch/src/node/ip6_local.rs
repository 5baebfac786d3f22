//! Delivers IPv6 packets for the switch itself: ICMPv6, neighbour discovery and VXLAN.

use packet::ipv6::Ipv6;
use packet::udp::Udp;
use packet::{icmpv6, proto};

use super::{icmp_request, ip_reassembly};
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::id::Family;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Ok(ip) = Ipv6::new_checked(frame.l3()) else {
        return Next::Drop(DropReason::BadVersion);
    };
    let Ok(upper) = ip.upper_layer() else {
        return Next::Drop(DropReason::BadVersion);
    };
    if upper.fragment.is_some() {
        return ip_reassembly::local(env, Family::V6);
    }
    let bytes = frame.l3().get(upper.offset..).unwrap_or(&[]);
    match upper.protocol {
        proto::ICMPV6 => Next::To(NodeId::Ip6IcmpInput),
        proto::UDP => match Udp::new_checked(bytes) {
            Ok(udp) if env.tables.vxlan_ports.contains(&udp.dst_port()) => {
                Next::To(NodeId::VxlanInput)
            }
            Ok(_) => icmp_request::v6(frame, icmpv6::UNREACHABLE, icmpv6::CODE_PORT, 0),
            Err(_) => Next::Drop(DropReason::Truncated),
        },
        proto::IPIP | proto::IPV6 if !env.tables.ipip_of.is_empty() => Next::To(NodeId::IpipInput),
        _ => icmp_request::v6(frame, icmpv6::UNREACHABLE, icmpv6::CODE_PORT, 0),
    }
}
