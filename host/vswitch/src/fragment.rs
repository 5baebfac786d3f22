//! IP fragmentation (RFC 791, section 3.2; RFC 8200, section 4.5): where to cut, and the header of each piece.

use packet::ipv4::{self, Ipv4};
use packet::ipv6::{self, Ipv6};
use packet::proto;

/// Most pieces of one packet: 64 KiB over the smallest MTU of IPv4 hosts (576).
pub(crate) const PIECES_MAX: usize = 120;
/// Longest header in front of a piece.
const HEADER_MAX: usize = 192;
/// Unit of fragment offsets, in bytes.
const UNIT: usize = 8;
/// Length of an IPv6 fragment header.
const FRAGMENT_LEN: usize = 8;
/// "Copied" flag of an IPv4 option: it is in every fragment.
const OPTION_COPIED: u8 = 0x80;

/// Cuts one packet.
#[derive(Debug)]
pub(crate) struct Fragmenter {
    is_v6: bool,
    /// Header of the first piece, then that of later ones.
    headers: [([u8; HEADER_MAX], usize); 2],
    /// Bytes in front of the payload in the packet that is cut.
    skip: usize,
    payload_len: usize,
    limit: usize,
    /// Offset and "more" bit that the packet had: an IPv4 fragment may be cut again.
    offset: usize,
    more: bool,
    at: usize,
}

/// A piece: its header, and the range of the payload that it carries.
#[derive(Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) header: &'a [u8],
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl Fragmenter {
    /// Prepares to cut the packet of `len` bytes that starts with `packet` into pieces of at most `limit` bytes.
    /// `ident` names the pieces of an IPv6 packet. `None` when it cannot be cut so.
    pub(crate) fn new(packet: &[u8], len: usize, limit: usize, ident: u32) -> Option<Self> {
        let this = if packet.first()? >> 4 == 6 {
            Self::v6(packet, len, limit, ident)
        } else {
            Self::v4(packet, len, limit)
        }?;
        let room = limit.checked_sub(this.headers.iter().map(|h| h.1).max()?)?;
        let whole = room - room % UNIT;
        (whole > 0 && this.payload_len.div_ceil(whole) <= PIECES_MAX).then_some(this)
    }

    fn v4(packet: &[u8], len: usize, limit: usize) -> Option<Self> {
        let ip = Ipv4::new_checked(packet).ok()?;
        let skip = ip.header_len();
        let mut first = [0; HEADER_MAX];
        first.get_mut(..skip)?.copy_from_slice(packet.get(..skip)?);
        let mut later = first;
        let options = later
            .get_mut(ipv4::HEADER_LEN..skip)
            .map_or(0, keep_copied_options);
        let later_len = ipv4::HEADER_LEN + options;
        *later.first_mut()? = 0x40 | u8::try_from(later_len / 4).ok()?;
        Some(Self {
            is_v6: false,
            headers: [(first, skip), (later, later_len)],
            skip,
            payload_len: len.checked_sub(skip)?,
            limit,
            offset: ip.fragment_offset(),
            more: ip.fragment_word() & ipv4::FLAG_MF != 0,
            at: 0,
        })
    }

    fn v6(packet: &[u8], len: usize, limit: usize, ident: u32) -> Option<Self> {
        Ipv6::new_checked(packet).ok()?;
        let (mut next_at, mut skip) = (6, ipv6::HEADER_LEN);
        while matches!(*packet.get(next_at)?, proto::HOPOPT | proto::ROUTING) {
            let len = (usize::from(*packet.get(skip + 1)?) + 1) * UNIT;
            (next_at, skip) = (skip, skip + len);
        }
        let mut header = [0; HEADER_MAX];
        header.get_mut(..skip)?.copy_from_slice(packet.get(..skip)?);
        let next = std::mem::replace(header.get_mut(next_at)?, proto::FRAGMENT);
        if next == proto::FRAGMENT {
            return None;
        }
        let [a, b, c, d] = ident.to_be_bytes();
        let end = skip + FRAGMENT_LEN;
        header
            .get_mut(skip..end)?
            .copy_from_slice(&[next, 0, 0, 0, a, b, c, d]);
        Some(Self {
            is_v6: true,
            headers: [(header, end); 2],
            skip,
            payload_len: len.checked_sub(skip)?,
            limit,
            offset: 0,
            more: false,
            at: 0,
        })
    }

    /// Bytes in front of the payload in the packet that is cut.
    pub(crate) const fn skip(&self) -> usize {
        self.skip
    }

    /// Gives the next piece, `None` after the last.
    pub(crate) fn next_piece(&mut self) -> Option<Piece<'_>> {
        if self.at >= self.payload_len {
            return None;
        }
        let from = self.at;
        let (bytes, header_len) = self.headers.get_mut(usize::from(from > 0))?;
        let room = self.limit.checked_sub(*header_len)?;
        let to = self.payload_len.min(from + room - room % UNIT);
        self.at = to;
        let more = to < self.payload_len || self.more;
        let header = bytes.get_mut(..*header_len)?;
        let offset = u16::try_from(self.offset + from).ok()?;
        let len = to - from + *header_len;
        if self.is_v6 {
            let at = *header_len - FRAGMENT_LEN + 2;
            header
                .get_mut(at..at + 2)?
                .copy_from_slice(&(offset | u16::from(more)).to_be_bytes());
            ipv6::set_payload_len(header, u16::try_from(len - ipv6::HEADER_LEN).ok()?);
        } else {
            let word = (offset / 8) | if more { ipv4::FLAG_MF } else { 0 };
            let kept = Ipv4::new_checked(header).ok()?.fragment_word() & ipv4::FLAG_DF;
            ipv4::finish_header(header, u16::try_from(len).ok()?, word | kept);
        }
        Some(Piece { header, from, to })
    }
}

/// Moves the options that every fragment carries to the front, and gives their length (a multiple of 4).
fn keep_copied_options(options: &mut [u8]) -> usize {
    let (mut at, mut kept) = (0, 0);
    while let Some(kind) = options.get(at).copied() {
        let len = match kind {
            0 => break,
            1 => 1,
            _ => usize::from(options.get(at + 1).copied().unwrap_or(0)).max(2),
        };
        if at + len > options.len() {
            break;
        }
        if kind & OPTION_COPIED != 0 {
            options.copy_within(at..at + len, kept);
            kept += len;
        }
        at += len;
    }
    let padded = kept.next_multiple_of(4).min(options.len());
    if let Some(padding) = options.get_mut(kept..padded) {
        padding.fill(0);
    }
    padded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lab::{ip, udp};

    /// Cuts a whole packet.
    fn cut(packet: &[u8], limit: usize) -> Vec<Vec<u8>> {
        let mut cutter = Fragmenter::new(packet, packet.len(), limit, 0xabcd).unwrap();
        let skip = cutter.skip();
        let mut out = Vec::new();
        while let Some(piece) = cutter.next_piece() {
            out.push([piece.header, &packet[skip + piece.from..skip + piece.to]].concat());
        }
        out
    }

    proptest! {
        #[test]
        fn pieces_fit_and_carry_the_payload_in_order(len in 0usize..9000, limit in 200usize..1500, v6: bool) {
            let packet = if v6 { udp("2001:db8::1", "2001:db8::2", (1, 2), len) } else { udp("10.0.0.1", "10.0.0.2", (1, 2), len) };
            let pieces = cut(&packet, limit);
            let mut got: Vec<u8> = Vec::new();
            for (n, piece) in pieces.iter().enumerate() {
                prop_assert!(piece.len() <= limit);
                let (offset, more, at) = if v6 {
                    let ip = Ipv6::new_checked(piece).unwrap();
                    prop_assert_eq!(usize::from(ip.payload_len()) + 40, piece.len());
                    let fragment = ip.upper_layer().unwrap().fragment.unwrap();
                    prop_assert_eq!(fragment.ident, 0xabcd);
                    (usize::from(fragment.offset), fragment.more, 48)
                } else {
                    let ip = Ipv4::new_checked(piece).unwrap();
                    prop_assert!(ip.checksum_ok());
                    prop_assert_eq!(usize::from(ip.total_len()), piece.len());
                    (ip.fragment_offset(), ip.fragment_word() & ipv4::FLAG_MF != 0, 20)
                };
                prop_assert_eq!((offset, more), (got.len(), n + 1 < pieces.len()));
                got.extend(&piece[at..]);
            }
            prop_assert_eq!(got, packet[if v6 { 40 } else { 20 }..].to_vec());
        }
    }

    #[test]
    fn a_fragment_is_cut_again_and_only_copied_options_are_in_later_pieces() {
        let mut packet = ip("10.0.0.1", "10.0.0.2", 17, 9, &[7; 600]);
        // Record route (not copied), a no-op, router alert (copied).
        packet.splice(20..20, [7, 3, 4, 1, 0x94, 4, 0, 0]);
        packet[0] = 0x47;
        ipv4::finish_header(&mut packet[..28], 628, ipv4::FLAG_MF | 100);
        let pieces = cut(&packet, 300);
        assert_eq!(
            pieces.iter().map(Vec::len).collect::<Vec<_>>(),
            [300, 296, 80]
        );
        assert_eq!(pieces[1][20..24], [0x94, 4, 0, 0]);
        let last = Ipv4::new_checked(&pieces[2]).unwrap();
        assert_eq!(last.fragment_offset(), 800 + 544);
        assert!(
            last.fragment_word() & ipv4::FLAG_MF != 0,
            "the packet itself was no last piece"
        );
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        let packet = udp("10.0.0.1", "10.0.0.2", (1, 2), 9000);
        for limit in [0, 20, 27, 68] {
            assert!(
                Fragmenter::new(&packet, packet.len(), limit, 0).is_none(),
                "{limit}"
            );
        }
        assert!(Fragmenter::new(&[], 0, 1500, 0).is_none());
    }
}
