//! Work left to a device (checksum, segmentation), and its completion in software.
//!
//! The meaning of the fields is virtio-net's. A frame that is encapsulated with work pending carries a
//! [`Tunnel`], because then the work must be done inside *and* outside.

use packet::{checksum, udp, virtio};

mod coalesce;
mod datagrams;
mod fragment;
mod joined;
mod segment;
mod train;

pub use coalesce::{PIECES_MAX as RUN_PIECES_MAX, Run, Segment, Whole};
pub use datagrams::Datagrams;
pub use joined::Joined;
pub use segment::segment;
pub use train::{PIECES_MAX as TRAIN_PIECES_MAX, Train, TrainRoom};

/// Segmentation asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gso {
    #[default]
    None,
    Tcp4,
    Tcp6,
    /// UDP datagrams of `gso_size` each, over either family.
    Udp,
}

impl Gso {
    pub const fn is_some(self) -> bool {
        !matches!(self, Self::None)
    }
}

/// Headers put in front of a frame whose offload is pending; offsets from the start of the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tunnel {
    #[default]
    None,
    /// Outer IPv4, and UDP (checksum zero) or nothing between it and the inner packet.
    V4 { l3: u16, inner_l3: u16 },
    /// Outer IPv6, and UDP, whose checksum is always pending, or nothing.
    V6 { l3: u16, inner_l3: u16 },
    /// Outer IP without UDP: nothing but lengths is outside.
    Ip { l3: u16, inner_l3: u16 },
}

/// Work left to a device. The default is "nothing to do".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offload {
    pub needs_csum: bool,
    pub csum_start: u16,
    pub csum_offset: u16,
    pub gso: Gso,
    pub gso_size: u16,
    pub hdr_len: u16,
    pub ecn: bool,
    pub tunnel: Tunnel,
    /// The packet is to be cut into IP fragments of this length; 0 = it is not.
    pub fragment: u16,
    /// Identification of IPv6 fragments.
    pub fragment_ident: u32,
    /// The frame has no link header.
    pub ip_only: bool,
}

/// What a transmitting device can do by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caps {
    pub csum: bool,
    pub gso: bool,
}

/// Why pending work cannot be done: the frame is not what its metadata says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OffloadError {
    #[error("the offsets of the offload lie outside the frame")]
    OutOfFrame,
    #[error("the frame is not of the protocol that its segmentation type says")]
    WrongProtocol,
    #[error("the scratch buffer is smaller than one segment")]
    ScratchTooSmall,
}

impl Offload {
    /// Reads a virtio-net header; `None` for a segmentation type that is not supported.
    pub fn from_virtio(header: &virtio::Header) -> Option<Self> {
        let gso = match header.gso_type & !virtio::GSO_ECN {
            virtio::GSO_NONE => Gso::None,
            virtio::GSO_TCPV4 => Gso::Tcp4,
            virtio::GSO_TCPV6 => Gso::Tcp6,
            virtio::GSO_UDP_L4 => Gso::Udp,
            _ => return None,
        };
        if gso.is_some() && header.gso_size == 0 {
            return None;
        }
        Some(Self {
            needs_csum: header.flags & virtio::NEEDS_CSUM != 0,
            csum_start: header.csum_start,
            csum_offset: header.csum_offset,
            gso,
            gso_size: header.gso_size,
            hdr_len: header.hdr_len,
            ecn: header.gso_type & virtio::GSO_ECN != 0,
            tunnel: Tunnel::None,
            ..Self::default()
        })
    }

    /// Gives the virtio-net header that hands the work to the kernel; `None` when the work must be
    /// done in software first because of a tunnel.
    pub fn to_virtio(&self) -> Option<virtio::Header> {
        if self.tunnel_needs_software() {
            return None;
        }
        let gso_type = match self.gso {
            Gso::None => virtio::GSO_NONE,
            Gso::Tcp4 => virtio::GSO_TCPV4,
            Gso::Tcp6 => virtio::GSO_TCPV6,
            Gso::Udp => virtio::GSO_UDP_L4,
        };
        Some(virtio::Header {
            flags: if self.needs_csum {
                virtio::NEEDS_CSUM
            } else {
                0
            },
            gso_type: gso_type | if self.ecn { virtio::GSO_ECN } else { 0 },
            hdr_len: self.hdr_len,
            gso_size: self.gso_size,
            csum_start: if self.needs_csum { self.csum_start } else { 0 },
            csum_offset: if self.needs_csum { self.csum_offset } else { 0 },
            num_buffers: 0,
        })
    }

    /// Tells whether a device with `caps` must call [`segment`] or [`complete_checksum`] before sending.
    pub fn needs_software(&self, caps: Caps) -> bool {
        self.tunnel_needs_software()
            || self.fragment != 0
            || (self.gso.is_some() && !caps.gso)
            || (self.needs_csum && !caps.csum)
    }

    fn tunnel_needs_software(&self) -> bool {
        match self.tunnel {
            Tunnel::None => false,
            Tunnel::V4 { .. } | Tunnel::Ip { .. } => self.gso.is_some(),
            Tunnel::V6 { .. } => true,
        }
    }
}

/// Completes pending checksums of a whole, unsegmented frame in place, the inner one first.
///
/// # Errors
/// [`OffloadError`] when the offsets do not fit the frame, which is then unchanged or half done: drop it.
pub fn complete_checksum(bytes: &mut [u8], offload: &Offload) -> Result<(), OffloadError> {
    if offload.needs_csum {
        let field = usize::from(offload.csum_offset);
        let part = bytes
            .get_mut(usize::from(offload.csum_start)..)
            .ok_or(OffloadError::OutOfFrame)?;
        if field + 2 > part.len() {
            return Err(OffloadError::OutOfFrame);
        }
        // The field holds the pseudo header's sum already (virtio 1.2, section 5.1.6.2).
        let check = !checksum::fold(checksum::add(0, part));
        put_u16(
            part,
            field,
            if check == 0 && field == udp::CHECKSUM_OFFSET {
                0xffff
            } else {
                check
            },
        );
    }
    if let Tunnel::V6 { l3, .. } = offload.tunnel {
        let outer = bytes
            .get_mut(usize::from(l3)..)
            .ok_or(OffloadError::OutOfFrame)?;
        fill_udp6(outer)?;
    }
    Ok(())
}

/// Fills the UDP checksum of an IPv6 packet without extension headers.
fn fill_udp6(ip_packet: &mut [u8]) -> Result<(), OffloadError> {
    use packet::ipv6::{HEADER_LEN, Ipv6};
    let ip = Ipv6::new_checked(ip_packet).map_err(|_| OffloadError::WrongProtocol)?;
    if ip.next_header() != packet::proto::UDP {
        return Ok(());
    }
    let (src, dst) = (ip.src(), ip.dst());
    let datagram = ip_packet
        .get_mut(HEADER_LEN..)
        .ok_or(OffloadError::OutOfFrame)?;
    if datagram.len() < udp::HEADER_LEN {
        return Err(OffloadError::OutOfFrame);
    }
    put_u16(datagram, udp::CHECKSUM_OFFSET, 0);
    let len = u32::try_from(datagram.len()).map_err(|_| OffloadError::OutOfFrame)?;
    let pseudo = checksum::pseudo6(src, dst, packet::proto::UDP, len);
    let check = !checksum::fold(checksum::add(pseudo, datagram));
    put_u16(
        datagram,
        udp::CHECKSUM_OFFSET,
        if check == 0 { 0xffff } else { check },
    );
    Ok(())
}

fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(slot) = bytes.get_mut(at..at + 2) {
        slot.copy_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
