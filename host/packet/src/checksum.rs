//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).

use core::net::{Ipv4Addr, Ipv6Addr};

/// Bytes summed at a time.
const BLOCK: usize = 32;

/// Adds bytes to a running sum of big-endian 16-bit words; an odd tail is padded with zero.
#[must_use]
pub fn add(sum: u32, bytes: &[u8]) -> u32 {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let mut wide = u64::from(sum);
    if !blocks.is_empty() {
        wide += u64::from(sum_blocks(blocks));
    }
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        let value = u64::from_be_bytes(*word);
        wide += (value >> 32) + (value & 0xffff_ffff);
    }
    let (pairs, last) = rest.as_chunks::<2>();
    for pair in pairs {
        wide += u64::from(u16::from_be_bytes(*pair));
    }
    if let [odd] = last {
        wide += u64::from(*odd) << 8;
    }
    fold_wide(wide)
}

/// Sums blocks in the machine's byte order: the sum of swapped words is the swapped sum (RFC 1071, section 2, B). Words
/// of 32 bits in sums of 64 have no carries below 16 GiB, so that the compiler finds vector instructions for it, as
/// long as it has the loop for itself.
#[inline(never)]
fn sum_blocks(blocks: &[[u8; BLOCK]]) -> u16 {
    let mut sums = [0u64; BLOCK / 4];
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        for (sum, word) in sums.iter_mut().zip(words) {
            *sum += u64::from(u32::from_ne_bytes(*word));
        }
    }
    let native = fold_wide(sums.iter().sum());
    u16::from_be_bytes(fold(native).to_ne_bytes())
}

const fn fold_wide(wide: u64) -> u32 {
    let a = (wide & 0xffff) + ((wide >> 16) & 0xffff) + ((wide >> 32) & 0xffff) + (wide >> 48);
    let [_, _, _, _, b, c, d, e] = ((a & 0xffff) + (a >> 16)).to_be_bytes();
    u32::from_be_bytes([b, c, d, e])
}

/// Folds a running sum to 16 bits without complementing it.
#[must_use]
pub const fn fold(sum: u32) -> u16 {
    let a = (sum & 0xffff) + (sum >> 16);
    let [_, _, hi, lo] = ((a & 0xffff) + (a >> 16)).to_be_bytes();
    u16::from_be_bytes([hi, lo])
}

/// Computes the checksum of `bytes`.
#[must_use]
pub fn of(bytes: &[u8]) -> u16 {
    !fold(add(0, bytes))
}

/// Sums the IPv4 pseudo header.
#[must_use]
pub fn pseudo4(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, len: u16) -> u32 {
    add(
        add(u32::from(protocol) + u32::from(len), &src.octets()),
        &dst.octets(),
    )
}

/// Sums the IPv6 pseudo header.
#[must_use]
pub fn pseudo6(src: Ipv6Addr, dst: Ipv6Addr, next_header: u8, len: u32) -> u32 {
    let sum = u32::from(next_header) + (len >> 16) + (len & 0xffff);
    add(add(sum, &src.octets()), &dst.octets())
}

/// Updates checksum `check` for a 16-bit word that changed from `old` to `new` (RFC 1624, equation 3).
#[must_use]
pub const fn update(check: u16, old: u16, new: u16) -> u16 {
    !fold((!check) as u32 + (!old) as u32 + new as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(bytes: &[u8]) -> u16 {
        let mut sum = 0u64;
        for pair in bytes.chunks(2) {
            sum += u64::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !u16::try_from(sum).unwrap()
    }

    proptest! {
        #[test]
        fn checksum_equals_the_naive_sum(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(of(&bytes), naive(&bytes));
        }

        #[test]
        fn incremental_update_equals_recomputation(mut bytes in proptest::collection::vec(any::<u8>(), 20..60),
                                                   at in 0usize..9, new in any::<u16>()) {
            // A header whose remaining words are all zero has two representations of zero; keep one word set.
            bytes[18] = 1;
            let check = of(&bytes);
            let old = u16::from_be_bytes([bytes[at * 2], bytes[at * 2 + 1]]);
            bytes[at * 2..at * 2 + 2].copy_from_slice(&new.to_be_bytes());
            prop_assert_eq!(update(check, old, new), of(&bytes));
        }
    }

    #[test]
    fn rfc1071_example() {
        assert_eq!(
            of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
            !0xddf2
        );
    }
}
