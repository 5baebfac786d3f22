//! Takes a UDP segmentation-offload frame apart into the datagrams that it stands for.
//!
//! The graph sees headers only, and those of a tunnel's inner packets lie all over such a frame: who receives it cuts it
//! first. The datagrams keep a pending checksum; a tunnel forgets it with the header.

use std::ops::Range;

use packet::udp::{self, Udp};
use packet::{checksum, proto};

use super::segment::{l3_of, outer_header, set_lengths, u16_len};
use super::{Gso, Offload, put_u16};

/// Most datagrams of a frame (Linux, `UDP_MAX_SEGMENTS`).
const DATAGRAMS_MAX: usize = 128;
/// Longest headers up to the payload of the datagram, in bytes.
const HEADERS_MAX: usize = 128;

/// A frame that stands for several datagrams.
#[derive(Debug, Clone, Copy)]
pub struct Datagrams {
    pub(super) headers: [u8; HEADERS_MAX],
    pub(super) l3: usize,
    pub(super) l4: usize,
    pub(super) payload: usize,
    pub(super) is_v6: bool,
    size: usize,
    len: usize,
    needs_csum: bool,
}

impl Datagrams {
    /// Looks at a frame of `len` bytes that starts with `head`. `None` when it is no UDP segmentation-offload frame, or
    /// claims what cannot be.
    pub fn of(head: &[u8], len: usize, offload: &Offload) -> Option<Self> {
        if offload.gso != Gso::Udp || offload.gso_size == 0 {
            return None;
        }
        let l3 = l3_of(head, offload).ok()?;
        let (is_v6, header_len, protocol) = outer_header(head.get(l3..)?).ok()?;
        let l4 = l3 + header_len;
        let payload = l4 + udp::HEADER_LEN;
        let datagram = Udp::new_checked(head.get(l4..payload)?).ok()?;
        if protocol != proto::UDP {
            return None;
        }
        // The kernel may have padded the frame.
        let len = len.min(l4 + usize::from(datagram.len()));
        let size = usize::from(offload.gso_size);
        if len <= payload || (len - payload).div_ceil(size) > DATAGRAMS_MAX {
            return None;
        }
        let mut headers = [0; HEADERS_MAX];
        headers
            .get_mut(..payload)?
            .copy_from_slice(head.get(..payload)?);
        Some(Self {
            headers,
            l3,
            l4,
            payload,
            is_v6,
            size,
            len,
            needs_csum: offload.needs_csum,
        })
    }

    /// Offset of the IP header.
    pub fn l3(&self) -> usize {
        self.l3
    }

    /// Destination port.
    pub fn dst_port(&self) -> u16 {
        self.headers
            .get(self.l4..)
            .and_then(|udp| Udp::new_checked(udp).ok())
            .map_or(0, |udp| udp.dst_port())
    }

    /// How many datagrams there are.
    pub fn count(&self) -> usize {
        (self.len - self.payload).div_ceil(self.size)
    }

    /// Where the payload of a datagram lies in the frame. `None` behind the last.
    pub(super) fn range(&self, number: usize) -> Option<Range<usize>> {
        let start = self.payload + number.checked_mul(self.size)?;
        (start < self.len).then(|| start..self.len.min(start + self.size))
    }

    /// Headers of a datagram, where its payload lies in the frame, and the work that is left. `None` behind the last.
    pub fn datagram(&self, number: usize) -> Option<(Header, Range<usize>, Offload)> {
        let Range { start, end } = self.range(number)?;
        let mut bytes = self.headers;
        let ip = bytes.get_mut(self.l3..self.payload)?;
        let header_len = self.l4 - self.l3;
        let datagram_len = udp::HEADER_LEN + end - start;
        let lengths = (header_len + datagram_len, datagram_len);
        let pseudo = set_lengths(ip, lengths, self.is_v6, number, proto::UDP).ok()?;
        let datagram = ip.get_mut(header_len..)?;
        put_u16(datagram, 4, u16_len(datagram_len).ok()?);
        if self.needs_csum {
            put_u16(datagram, udp::CHECKSUM_OFFSET, checksum::fold(pseudo));
        }
        let offload = Offload {
            needs_csum: self.needs_csum,
            csum_start: if self.needs_csum {
                u16_len(self.l4).ok()?
            } else {
                0
            },
            csum_offset: if self.needs_csum {
                u16_len(udp::CHECKSUM_OFFSET).ok()?
            } else {
                0
            },
            ..Offload::default()
        };
        let header = Header {
            bytes,
            len: self.payload,
        };
        Some((header, start..end, offload))
    }
}

/// The headers of one datagram, up to its payload.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    bytes: [u8; HEADERS_MAX],
    len: usize,
}

impl Header {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
