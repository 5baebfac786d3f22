//! VXLAN (RFC 7348).

use crate::WireError;
use crate::wire::{put, u8_at, u32_at};

/// Length of the header, in bytes.
pub const HEADER_LEN: usize = 8;
/// Registered UDP port.
pub const PORT: u16 = 4789;
/// Biggest network identifier.
pub const VNI_MAX: u32 = (1 << 24) - 1;

/// Parses a header and gives its network identifier.
///
/// # Errors
/// [`WireError::Truncated`], or [`WireError::Malformed`] when the I flag is not set.
pub fn parse(bytes: &[u8]) -> Result<u32, WireError> {
    if bytes.len() < HEADER_LEN {
        return Err(WireError::Truncated);
    }
    if u8_at(bytes, 0) & 0x08 == 0 {
        Err(WireError::Malformed)
    } else {
        Ok(u32_at(bytes, 4) >> 8)
    }
}

/// Writes a header at the start of `out`; bits of `vni` above 24 are ignored.
pub fn emit(out: &mut [u8], vni: u32) {
    put(out, 0, header(vni));
}

/// A header; bits of `vni` above 24 are ignored.
#[inline]
#[must_use]
pub const fn header(vni: u32) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = (vni << 8).to_be_bytes();
    [0x08, 0, 0, 0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parse_of_emit_is_identity(vni in 0..=VNI_MAX) {
            let mut out = [0xff; HEADER_LEN];
            emit(&mut out, vni);
            prop_assert_eq!(parse(&out), Ok(vni));
        }
    }

    #[test]
    fn header_without_the_i_flag_is_refused() {
        assert_eq!(parse(&[0; 8]), Err(WireError::Malformed));
        assert_eq!(parse(&[8; 7]), Err(WireError::Truncated));
    }
}
