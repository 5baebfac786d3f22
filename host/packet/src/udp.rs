//! UDP (RFC 768).

use crate::WireError;
use crate::wire::{put_u16, u16_at};

/// Length of the header, in bytes.
pub const HEADER_LEN: usize = 8;
/// Offset of the checksum field, in bytes.
pub const CHECKSUM_OFFSET: usize = 6;

/// A datagram whose header lies in the buffer. The length field may exceed the buffer, never undercut the header.
#[derive(Debug, Clone, Copy)]
pub struct Udp<'a>(&'a [u8]);

impl<'a> Udp<'a> {
    /// Checks the header and its length field.
    ///
    /// # Errors
    /// [`WireError::Truncated`] or [`WireError::Malformed`].
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self, WireError> {
        if bytes.len() < HEADER_LEN {
            return Err(WireError::Truncated);
        }
        let view = Self(bytes);
        if usize::from(view.len()) < HEADER_LEN {
            Err(WireError::Malformed)
        } else {
            Ok(view)
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

    /// Length of header and payload, in bytes.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a header field, not a container length"
    )]
    #[must_use]
    pub fn len(&self) -> u16 {
        u16_at(self.0, 4)
    }

    /// Checksum field; zero means "not computed".
    #[must_use]
    pub fn checksum(&self) -> u16 {
        u16_at(self.0, CHECKSUM_OFFSET)
    }

    /// The part of the payload that is in the buffer.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.0
            .get(HEADER_LEN..self.0.len().min(usize::from(self.len())))
            .unwrap_or(&[])
    }
}

/// Writes a header at the start of `out`.
pub fn emit(out: &mut [u8], src_port: u16, dst_port: u16, len: u16, checksum: u16) {
    for (at, value) in [(0, src_port), (2, dst_port), (4, len), (6, checksum)] {
        put_u16(out, at, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parse_of_emit_is_identity(src: u16, dst: u16, len in 8u16.., check: u16) {
            let mut out = [0; HEADER_LEN];
            emit(&mut out, src, dst, len, check);
            let view = Udp::new_checked(&out).unwrap();
            prop_assert_eq!((view.src_port(), view.dst_port(), view.len(), view.checksum()), (src, dst, len, check));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(view) = Udp::new_checked(&bytes) {
                let _ = view.payload();
            }
        }
    }

    #[test]
    fn length_below_the_header_is_malformed() {
        let mut out = [0; HEADER_LEN];
        emit(&mut out, 1, 2, 7, 0);
        assert_eq!(Udp::new_checked(&out).err(), Some(WireError::Malformed));
    }
}
