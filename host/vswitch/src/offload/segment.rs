//! Splits a segmentation-offload frame into the frames that go on the wire.

use packet::ethernet::Ethernet;
use packet::ipv4::{self, Ipv4};
use packet::ipv6::{self, Ipv6};
use packet::{checksum, proto, srh, tcp, udp};

use super::fragment::{FRONT, emit_pieces};
use super::{Gso, Offload, OffloadError, Tunnel, complete_checksum, fill_udp6, put_u16};

/// Where the headers of a frame lie; all offsets from its start.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) outer_l3: Option<usize>,
    pub(super) l3: usize,
    is_v6: bool,
    l4: usize,
    pub(super) payload: usize,
    protocol: u8,
}

/// One of the segments that a frame is cut into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) number: usize,
    /// Bytes of payload in front of it.
    pub(super) offset: usize,
    pub(super) is_last: bool,
    pub(super) payload_len: usize,
    /// Running checksum of its payload.
    pub(super) payload_sum: u32,
}

/// Emits every wire frame of `bytes`, with all lengths and checksums (inner and outer) complete.
/// A frame without segmentation is emitted once. `scratch` must hold the biggest frame emitted.
/// Gives the number of frames.
///
/// # Errors
/// [`OffloadError`] when the frame is not what `offload` says; nothing was emitted then.
pub fn segment(
    bytes: &[u8],
    offload: &Offload,
    scratch: &mut [u8],
    mut emit: impl FnMut(&[u8]),
) -> Result<usize, OffloadError> {
    if !offload.gso.is_some() {
        let room = scratch
            .get_mut(..FRONT + bytes.len())
            .ok_or(OffloadError::ScratchTooSmall)?;
        let frame = room.get_mut(FRONT..).ok_or(OffloadError::ScratchTooSmall)?;
        frame.copy_from_slice(bytes);
        complete_checksum(frame, offload)?;
        if offload.fragment != 0 {
            let l3 = l3_of(bytes, offload)?;
            return emit_pieces(room, l3, offload.fragment, offload.fragment_ident, emit);
        }
        emit(frame);
        return Ok(1);
    }
    let layout = Layout::of(bytes, offload)?;
    let size = usize::from(offload.gso_size);
    let headers = bytes
        .get(..layout.payload)
        .ok_or(OffloadError::OutOfFrame)?;
    let payload = bytes
        .get(layout.payload..)
        .ok_or(OffloadError::OutOfFrame)?;
    if size == 0 {
        return Err(OffloadError::OutOfFrame);
    }
    if headers.len() + size.min(payload.len()) > scratch.len() {
        return Err(OffloadError::ScratchTooSmall);
    }
    let count = payload.len().div_ceil(size).max(1);
    for number in 0..count {
        let chunk = payload
            .get(number * size..payload.len().min((number + 1) * size))
            .unwrap_or(&[]);
        let frame = scratch
            .get_mut(..headers.len() + chunk.len())
            .ok_or(OffloadError::ScratchTooSmall)?;
        let (head, body) = frame
            .split_at_mut_checked(headers.len())
            .ok_or(OffloadError::OutOfFrame)?;
        head.copy_from_slice(headers);
        body.copy_from_slice(chunk);
        let cut = Cut {
            number,
            offset: number * size,
            is_last: number + 1 == count,
            payload_len: chunk.len(),
            payload_sum: checksum::add(0, body),
        };
        layout.finish(head, cut)?;
        layout.finish_outer(frame, number)?;
        emit(frame);
    }
    Ok(count)
}

/// Where the outermost IP header is.
pub(super) fn l3_of(bytes: &[u8], offload: &Offload) -> Result<usize, OffloadError> {
    if offload.ip_only {
        return Ok(0);
    }
    let frame = Ethernet::new_checked(bytes).map_err(|_| OffloadError::OutOfFrame)?;
    let (_, l3, _) = frame
        .payload_behind_tags()
        .map_err(|_| OffloadError::OutOfFrame)?;
    Ok(l3)
}

impl Layout {
    /// Finds the headers of the frame that starts with `bytes`.
    pub(super) fn of(bytes: &[u8], offload: &Offload) -> Result<Self, OffloadError> {
        let (outer_l3, l3) = match offload.tunnel {
            Tunnel::None => (None, l3_of(bytes, offload)?),
            Tunnel::V4 { l3, inner_l3 }
            | Tunnel::V6 { l3, inner_l3 }
            | Tunnel::Ip { l3, inner_l3 } => (Some(usize::from(l3)), usize::from(inner_l3)),
        };
        let ip = bytes.get(l3..).ok_or(OffloadError::OutOfFrame)?;
        let (is_v6, l4, protocol) = if ip.first().is_some_and(|b| b >> 4 == 6) {
            let view = Ipv6::new_checked(ip).map_err(|_| OffloadError::WrongProtocol)?;
            let upper = view
                .upper_layer()
                .map_err(|_| OffloadError::WrongProtocol)?;
            (true, l3 + upper.offset, upper.protocol)
        } else {
            let view = Ipv4::new_checked(ip).map_err(|_| OffloadError::WrongProtocol)?;
            (false, l3 + view.header_len(), view.protocol())
        };
        let upper = bytes.get(l4..).ok_or(OffloadError::OutOfFrame)?;
        let fits = match offload.gso {
            Gso::Tcp4 => !is_v6 && protocol == proto::TCP,
            Gso::Tcp6 => is_v6 && protocol == proto::TCP,
            Gso::Udp => protocol == proto::UDP,
            Gso::None => false,
        };
        if !fits {
            return Err(OffloadError::WrongProtocol);
        }
        let header = if protocol == proto::TCP {
            tcp::Tcp::new_checked(upper)
                .map_err(|_| OffloadError::OutOfFrame)?
                .header_len()
        } else {
            udp::Udp::new_checked(upper).map_err(|_| OffloadError::OutOfFrame)?;
            udp::HEADER_LEN
        };
        Ok(Self {
            outer_l3,
            l3,
            is_v6,
            l4,
            payload: l4 + header,
            protocol,
        })
    }

    /// Makes copied headers those of one segment: lengths, sequence, flags and checksum of the (inner) packet.
    pub(super) fn finish(&self, headers: &mut [u8], cut: Cut) -> Result<(), OffloadError> {
        let l4 = headers.get_mut(self.l4..).ok_or(OffloadError::OutOfFrame)?;
        let l4_len = l4.len() + cut.payload_len;
        if self.protocol == proto::TCP {
            let view = tcp::Tcp::new_checked(l4).map_err(|_| OffloadError::OutOfFrame)?;
            let offset = u32::try_from(cut.offset).unwrap_or(0);
            tcp::set_seq(l4, view.seq().wrapping_add(offset));
            if !cut.is_last {
                tcp::clear_flags(l4, tcp::FIN | tcp::PSH);
            }
            if cut.number > 0 {
                tcp::clear_flags(l4, tcp::CWR);
            }
        } else {
            put_u16(l4, 4, u16_len(l4_len)?);
        }
        let field = if self.protocol == proto::TCP {
            tcp::CHECKSUM_OFFSET
        } else {
            udp::CHECKSUM_OFFSET
        };
        put_u16(l4, field, 0);
        let sum = checksum::add(cut.payload_sum, l4);
        let ip = headers.get_mut(self.l3..).ok_or(OffloadError::OutOfFrame)?;
        let lengths = (ip.len() + cut.payload_len, l4_len);
        let pseudo = set_lengths(ip, lengths, self.is_v6, cut.number, self.protocol)?;
        let check = match !checksum::fold(
            u32::from(checksum::fold(sum)) + u32::from(checksum::fold(pseudo)),
        ) {
            0 if self.protocol == proto::UDP => 0xffff,
            check => check,
        };
        put_u16(headers.get_mut(self.l4..).unwrap_or(&mut []), field, check);
        Ok(())
    }

    fn finish_outer(&self, frame: &mut [u8], number: usize) -> Result<(), OffloadError> {
        let Some(l3) = self.outer_l3 else {
            return Ok(());
        };
        let ip = frame.get_mut(l3..).ok_or(OffloadError::OutOfFrame)?;
        let (is_v6, header, protocol) = outer_header(ip)?;
        let datagram_len = ip.len().saturating_sub(header);
        set_lengths(ip, (ip.len(), datagram_len), is_v6, number, protocol)?;
        if protocol != proto::UDP {
            return Ok(());
        }
        put_u16(
            ip.get_mut(header..).ok_or(OffloadError::OutOfFrame)?,
            4,
            u16_len(datagram_len)?,
        );
        if is_v6 { fill_udp6(ip) } else { Ok(()) }
    }
}

/// Family, length and protocol of the header in front of a tunnel.
pub(super) fn outer_header(ip: &[u8]) -> Result<(bool, usize, u8), OffloadError> {
    if ip.first().is_some_and(|b| b >> 4 == 6) {
        let view = Ipv6::new_checked(ip).map_err(|_| OffloadError::WrongProtocol)?;
        return Ok((true, ipv6::HEADER_LEN, view.next_header()));
    }
    let view = Ipv4::new_checked(ip).map_err(|_| OffloadError::WrongProtocol)?;
    Ok((false, view.header_len(), view.protocol()))
}

/// Sets the lengths of an IP header, whose packet has `ip_len` bytes and `l4_len` behind its headers, and gives the
/// pseudo header's sum.
pub(super) fn set_lengths(
    ip: &mut [u8],
    (ip_len, l4_len): (usize, usize),
    is_v6: bool,
    number: usize,
    protocol: u8,
) -> Result<u32, OffloadError> {
    if is_v6 {
        ipv6::set_payload_len(ip, u16_len(ip_len.saturating_sub(ipv6::HEADER_LEN))?);
        let view = Ipv6::new_checked(ip).map_err(|_| OffloadError::WrongProtocol)?;
        let len = u32::try_from(l4_len).map_err(|_| OffloadError::OutOfFrame)?;
        let dst = srh::final_destination(&view);
        return Ok(checksum::pseudo6(view.src(), dst, protocol, len));
    }
    let total = u16_len(ip_len)?;
    let view = Ipv4::new_checked(ip).map_err(|_| OffloadError::WrongProtocol)?;
    let ident = view
        .ident()
        .wrapping_add(u16::try_from(number & 0xffff).unwrap_or(0));
    let pseudo = checksum::pseudo4(view.src(), view.dst(), protocol, u16_len(l4_len)?);
    ipv4::set_word(ip, 2, total);
    ipv4::set_word(ip, 4, ident);
    Ok(pseudo)
}

pub(super) fn u16_len(len: usize) -> Result<u16, OffloadError> {
    u16::try_from(len).map_err(|_| OffloadError::OutOfFrame)
}
