//! Puts an IP header in front of an IP packet that leaves by an IPIP tunnel (RFC 2003, RFC 2473, RFC 4213).

use std::net::IpAddr;

use packet::ipv4::{self, Ipv4};
use packet::ipv6::{self, Ipv6};
use packet::proto;

use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::offload::Tunnel;
use crate::tunnel::Ipip;

/// What VPP writes, unless it copies the inner one.
const TTL: u8 = 64;

/// What an outer header may take over.
struct Inner {
    is_v6: bool,
    traffic_class: u8,
    hop_limit: u8,
    flow_label: u32,
    dont_fragment: bool,
}

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(tunnel) = env.tables.ipips.get(frame.meta.tx.0).copied() else {
        return Next::Drop(DropReason::NoInterface);
    };
    if frame.offload.tunnel != Tunnel::None || frame.offload.fragment != 0 {
        return Next::Drop(DropReason::OffloadConflict);
    }
    let Some(inner) = Inner::of(frame.head()) else {
        return Next::Drop(DropReason::BadVersion);
    };
    let len = frame.len();
    let pending = frame.offload.gso.is_some();
    let next = match (tunnel.src, tunnel.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let Some(room) = frame.push(ipv4::HEADER_LEN) else {
                return Next::Drop(DropReason::NoHeadroom);
            };
            let header = ipv4::Header {
                tos: tunnel.traffic_class(&inner),
                // A super-frame may be longer than the field; segmentation writes the real lengths.
                total_len: u16::try_from(len + ipv4::HEADER_LEN).unwrap_or(u16::MAX),
                ident: 0,
                fragment_word: if tunnel.dont_fragment(&inner) {
                    ipv4::FLAG_DF
                } else {
                    0
                },
                ttl: tunnel.hop_limit(&inner),
                protocol: inner.protocol(),
                src,
                dst,
            };
            header.emit(room);
            if pending {
                let inner_l3 = 20;
                frame.offload.tunnel = Tunnel::V4 { l3: 0, inner_l3 };
            }
            NodeId::Ip4Lookup
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let Some(room) = frame.push(ipv6::HEADER_LEN) else {
                return Next::Drop(DropReason::NoHeadroom);
            };
            let header = ipv6::Header {
                traffic_class: tunnel.traffic_class(&inner),
                flow_label: tunnel.flow_label(&inner),
                payload_len: u16::try_from(len).unwrap_or(u16::MAX),
                next_header: inner.protocol(),
                hop_limit: tunnel.hop_limit(&inner),
                src,
                dst,
            };
            header.emit(room);
            if pending {
                let inner_l3 = 40;
                frame.offload.tunnel = Tunnel::V6 { l3: 0, inner_l3 };
            }
            NodeId::Ip6Lookup
        }
        _ => return Next::Drop(DropReason::BadVersion),
    };
    frame.meta.fib = tunnel.fib;
    frame.meta.l3 = 0;
    frame.meta.local = true;
    frame.meta.fragment_size = 0;
    Next::To(next)
}

impl Inner {
    fn of(packet: &[u8]) -> Option<Self> {
        if packet.first()? >> 4 == 6 {
            let ip = Ipv6::new_checked(packet).ok()?;
            return Some(Self {
                is_v6: true,
                traffic_class: ip.traffic_class(),
                hop_limit: ip.hop_limit(),
                flow_label: ip.flow_label(),
                // What only its source may cut forbids cutting.
                dont_fragment: true,
            });
        }
        let ip = Ipv4::new_checked(packet).ok()?;
        Some(Self {
            is_v6: false,
            traffic_class: ip.tos(),
            hop_limit: ip.ttl(),
            flow_label: 0,
            dont_fragment: ip.dont_fragment(),
        })
    }

    const fn protocol(&self) -> u8 {
        if self.is_v6 { proto::IPV6 } else { proto::IPIP }
    }
}

impl Ipip {
    const fn traffic_class(&self, inner: &Inner) -> u8 {
        let dscp = if self.flags.copy_dscp {
            inner.traffic_class & !3
        } else {
            self.dscp << 2
        };
        let ecn = if self.flags.copy_ecn {
            inner.traffic_class & 3
        } else {
            0
        };
        dscp | ecn
    }

    const fn dont_fragment(&self, inner: &Inner) -> bool {
        self.flags.set_df || (self.flags.copy_df && inner.dont_fragment)
    }

    const fn hop_limit(&self, inner: &Inner) -> u8 {
        if self.flags.copy_hop_limit {
            inner.hop_limit
        } else {
            TTL
        }
    }

    const fn flow_label(&self, inner: &Inner) -> u32 {
        if self.flags.copy_flow_label {
            inner.flow_label
        } else {
            0
        }
    }
}
