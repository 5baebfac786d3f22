//! Headers of a path, made once when it is configured.

use std::net::Ipv6Addr;

use packet::{ipv6, proto, srh};

/// An IPv6 header to the first segment and, for more than one segment, a segment routing header. Lengths and
/// the protocol inside are written per packet.
pub(crate) fn encapsulation(path: &[Ipv6Addr], src: Ipv6Addr, hop_limit: u8) -> Box<[u8]> {
    let routed = path.len() > 1;
    let mut out = vec![0; ipv6::HEADER_LEN];
    let header = ipv6::Header {
        traffic_class: 0,
        flow_label: 0,
        payload_len: 0,
        next_header: if routed { proto::ROUTING } else { proto::IPV6 },
        hop_limit,
        src,
        dst: path.first().copied().unwrap_or(Ipv6Addr::UNSPECIFIED),
    };
    header.emit(&mut out);
    if routed {
        out.extend(insertion(path));
    }
    out.into()
}

/// A segment routing header alone.
pub(crate) fn insertion(path: &[Ipv6Addr]) -> Box<[u8]> {
    let mut out = vec![0; srh::header_len(path.len())];
    srh::emit(&mut out, proto::IPV6, path);
    out.into()
}
