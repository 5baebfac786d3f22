//! CRC32c (RFC 9260, appendix A) and its incremental update.
//!
//! The CRC is linear: changing bytes changes it by the CRC of the difference, moved over the bytes behind. So a
//! header can be rewritten without reading the payload.

/// The polynomial, bits reflected.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// Computes the CRC of `bytes`.
#[must_use]
pub fn of(bytes: &[u8]) -> u32 {
    !feed(u32::MAX, bytes)
}

/// Gives the CRC of a message whose bytes `old` became `new`, with `behind` bytes after them.
#[must_use]
pub fn update(crc: u32, old: [u8; 4], new: [u8; 4], behind: usize) -> u32 {
    let difference = (u32::from_be_bytes(old) ^ u32::from_be_bytes(new)).to_be_bytes();
    crc ^ multiply(feed(0, &difference), zeros(behind))
}

fn feed(state: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(state, |state, byte| {
        (0..8).fold(state ^ u32::from(*byte), |state, _| {
            (state >> 1) ^ (POLYNOMIAL * (state & 1))
        })
    })
}

/// Multiplies two polynomials modulo [`POLYNOMIAL`]; the highest bit is the coefficient of 1.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let (mut product, mut bit) = (0, 1 << 31);
    while bit != 0 {
        if a & bit != 0 {
            product ^= b;
        }
        b = (b >> 1) ^ (POLYNOMIAL * (b & 1));
        bit >>= 1;
    }
    product
}

/// The polynomial of "`bytes` zero bytes follow".
const fn zeros(mut bytes: usize) -> u32 {
    let (mut power, mut square) = (1 << 31, 1 << 23);
    while bytes != 0 {
        if bytes & 1 == 1 {
            power = multiply(power, square);
        }
        square = multiply(square, square);
        bytes >>= 1;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn check_value_of_the_algorithm() {
        assert_eq!(of(b"123456789"), 0xe306_9283);
    }

    proptest! {
        #[test]
        fn update_equals_recomputation(mut bytes in proptest::collection::vec(any::<u8>(), 4..200), at in 0usize..200, new: [u8; 4]) {
            let at = at % (bytes.len() - 3);
            let crc = of(&bytes);
            let old: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
            bytes[at..at + 4].copy_from_slice(&new);
            prop_assert_eq!(update(crc, old, new, bytes.len() - at - 4), of(&bytes));
        }
    }
}
