//! VXLAN and IPIP tunnels.

use std::net::{IpAddr, Ipv4Addr};

use packet::ipv4::{self, Ipv4};
use packet::ipv6::Ipv6;
use packet::udp::Udp;
use packet::vxlan;

use crate::id::SwIfIndex;

/// Parameters and identity of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VxlanSpec {
    /// `None` = next free number.
    pub instance: Option<u32>,
    pub src: IpAddr,
    pub dst: IpAddr,
    /// Where this end is spoken to; 0 = the registered port. What is sent has a source port that follows the inner flow.
    pub src_port: u16,
    /// Where the other end is spoken to; 0 = the registered port.
    pub dst_port: u16,
    pub mcast_sw_if_index: SwIfIndex,
    pub encap_table: u32,
    /// `u32::MAX` = L2; kept for dumps.
    pub decap_next: u32,
    pub vni: u32,
    /// The tunnel carries bare IP packets.
    pub is_l3: bool,
}

impl Default for VxlanSpec {
    fn default() -> Self {
        Self {
            instance: None,
            src: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            dst: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            src_port: 0,
            dst_port: 0,
            mcast_sw_if_index: SwIfIndex::NONE,
            encap_table: 0,
            decap_next: u32::MAX,
            vni: 0,
            is_l3: false,
        }
    }
}

/// What selects the tunnel of a received packet, seen from this end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct VxlanKey {
    pub(crate) local: IpAddr,
    pub(crate) remote: IpAddr,
    pub(crate) vni: u32,
    pub(crate) fib: u32,
    pub(crate) port: u16,
}

impl VxlanKey {
    /// The key of a packet whose outer headers are whole.
    pub(crate) fn of(packet: &[u8], fib: u32) -> Option<Self> {
        let (local, remote, l4) = outer(packet)?;
        let datagram = Udp::new_checked(packet.get(l4..)?).ok()?;
        Some(Self {
            local,
            remote,
            vni: vxlan::parse(datagram.payload()).ok()?,
            fib,
            port: datagram.dst_port(),
        })
    }
}

/// Own address, peer's address and offset of the UDP header.
pub(crate) fn outer(packet: &[u8]) -> Option<(IpAddr, IpAddr, usize)> {
    if packet.first()? >> 4 == 6 {
        let ip = Ipv6::new_checked(packet).ok()?;
        return Some((
            ip.dst().into(),
            ip.src().into(),
            ip.upper_layer().ok()?.offset,
        ));
    }
    let ip = Ipv4::new_checked(packet).ok()?;
    debug_assert!(ip.header_len() >= ipv4::HEADER_LEN);
    Some((ip.dst().into(), ip.src().into(), ip.header_len()))
}

/// A tunnel as the data path sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vxlan {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) dst_port: u16,
    pub(crate) vni: u32,
    pub(crate) fib: u32,
    pub(crate) is_l3: bool,
}

impl VxlanSpec {
    pub(crate) fn ports(&self) -> (u16, u16) {
        let or_default = |port| if port == 0 { vxlan::PORT } else { port };
        (or_default(self.src_port), or_default(self.dst_port))
    }
}

/// How an IPIP tunnel fills in its outer header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IpipFlags {
    pub copy_df: bool,
    pub set_df: bool,
    pub copy_dscp: bool,
    pub copy_ecn: bool,
    pub decap_copy_ecn: bool,
    pub copy_hop_limit: bool,
    pub copy_flow_label: bool,
}

/// Parameters and identity of an IPIP tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpipSpec {
    /// `None` = next free number.
    pub instance: Option<u32>,
    pub src: IpAddr,
    pub dst: IpAddr,
    pub table_id: u32,
    pub flags: IpipFlags,
    pub dscp: u8,
}

/// What selects the tunnel of a received packet, seen from this end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct IpipKey {
    pub(crate) local: IpAddr,
    pub(crate) remote: IpAddr,
    pub(crate) fib: u32,
}

/// An IPIP tunnel as the data path sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ipip {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) fib: u32,
    pub(crate) flags: IpipFlags,
    pub(crate) dscp: u8,
}
