//! TCP (RFC 9293): the header, as far as a packet engine reads and rewrites it.

use crate::WireError;
use crate::wire::{put, put_u16, range, u8_at, u16_at, u32_at};

/// Length of the header without options, in bytes.
pub const HEADER_LEN: usize = 20;
/// Offset of the checksum field, in bytes.
pub const CHECKSUM_OFFSET: usize = 16;
/// FIN flag.
pub const FIN: u8 = 0x01;
/// SYN flag.
pub const SYN: u8 = 0x02;
/// RST flag.
pub const RST: u8 = 0x04;
/// PSH flag.
pub const PSH: u8 = 0x08;
/// ACK flag.
pub const ACK: u8 = 0x10;
/// CWR flag.
pub const CWR: u8 = 0x80;

/// A segment whose header, options included, lies in the buffer.
#[derive(Debug, Clone, Copy)]
pub struct Tcp<'a>(&'a [u8]);

impl<'a> Tcp<'a> {
    /// Checks the header and its data offset.
    ///
    /// # Errors
    /// [`WireError::Truncated`] or [`WireError::Malformed`].
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self, WireError> {
        if bytes.len() < HEADER_LEN {
            return Err(WireError::Truncated);
        }
        let view = Self(bytes);
        match view.header_len() {
            len if len < HEADER_LEN => Err(WireError::Malformed),
            len if bytes.len() < len => Err(WireError::Truncated),
            _ => Ok(view),
        }
    }

    /// Source port.
    #[must_use]
    pub fn src_port(&self) -> u16 {
        u16_at(self.0, 0)
    }

    /// Destination port.
    #[must_use]
    pub fn dst_port(&self) -> u16 {
        u16_at(self.0, 2)
    }

    /// Sequence number.
    #[must_use]
    pub fn seq(&self) -> u32 {
        u32_at(self.0, 4)
    }

    /// Acknowledgement number.
    #[must_use]
    pub fn ack(&self) -> u32 {
        u32_at(self.0, 8)
    }

    /// Header length with options, in bytes.
    #[must_use]
    pub fn header_len(&self) -> usize {
        usize::from(u8_at(self.0, 12) >> 4) * 4
    }

    /// Flag byte.
    #[must_use]
    pub fn flags(&self) -> u8 {
        u8_at(self.0, 13)
    }

    /// Window field.
    #[must_use]
    pub fn window(&self) -> u16 {
        u16_at(self.0, 14)
    }

    /// Checksum field.
    #[must_use]
    pub fn checksum(&self) -> u16 {
        u16_at(self.0, CHECKSUM_OFFSET)
    }

    /// Options, without the fixed header.
    #[must_use]
    pub fn options(&self) -> &'a [u8] {
        range(self.0, HEADER_LEN, self.header_len())
    }
}

/// A header without options, as a value; the checksum is the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Flag byte.
    pub flags: u8,
    /// Window field.
    pub window: u16,
    /// Checksum field.
    pub checksum: u16,
}

impl Header {
    /// Reads the fixed fields of a checked segment.
    #[must_use]
    pub fn of(view: &Tcp<'_>) -> Self {
        Self {
            src_port: view.src_port(),
            dst_port: view.dst_port(),
            seq: view.seq(),
            ack: view.ack(),
            flags: view.flags(),
            window: view.window(),
            checksum: view.checksum(),
        }
    }

    /// Writes the header at the start of `out`, which should hold [`HEADER_LEN`] bytes.
    pub fn emit(&self, out: &mut [u8]) {
        put_u16(out, 0, self.src_port);
        put_u16(out, 2, self.dst_port);
        put(out, 4, self.seq.to_be_bytes());
        put(out, 8, self.ack.to_be_bytes());
        put(out, 12, [0x50, self.flags]);
        put_u16(out, 14, self.window);
        put_u16(out, CHECKSUM_OFFSET, self.checksum);
        put_u16(out, 18, 0);
    }
}

/// Replaces the sequence number.
pub fn set_seq(segment: &mut [u8], seq: u32) {
    put(segment, 4, seq.to_be_bytes());
}

/// Clears the given flags.
pub fn clear_flags(segment: &mut [u8], flags: u8) {
    put(segment, 13, [u8_at(segment, 13) & !flags]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parse_of_emit_is_identity(src_port: u16, dst_port: u16, seq: u32, ack: u32, flags: u8, window: u16, checksum: u16) {
            let header = Header { src_port, dst_port, seq, ack, flags, window, checksum };
            let mut out = [0; HEADER_LEN];
            header.emit(&mut out);
            prop_assert_eq!(Header::of(&Tcp::new_checked(&out).unwrap()), header);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(view) = Tcp::new_checked(&bytes) {
                let _ = view.options();
            }
        }
    }
}
