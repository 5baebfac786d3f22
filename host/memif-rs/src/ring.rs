//! Ring arithmetic, free of memory: indices run freely over 16 bits and are masked when used.

use crate::error::RingError;

/// How many entries a peer has moved its index past ours.
///
/// `limit` is what it may have moved at most: the size of the ring or what it was given.
pub(crate) const fn advance(theirs: u16, ours: u16, limit: u16) -> Result<u16, RingError> {
    let moved = theirs.wrapping_sub(ours);
    if moved > limit {
        Err(RingError::IndexJump(moved))
    } else {
        Ok(moved)
    }
}

/// Entries of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RingSize {
    log2: u8,
    mask: u16,
}

impl RingSize {
    pub(crate) const fn new(log2: u8) -> Option<Self> {
        if log2 <= crate::limits::LOG2_RING_SIZE_MAX {
            Some(Self {
                log2,
                mask: (1 << log2) - 1,
            })
        } else {
            None
        }
    }

    pub(crate) const fn log2(self) -> u8 {
        self.log2
    }

    pub(crate) const fn entries(self) -> u16 {
        self.mask + 1
    }

    /// The place of a free-running index in the ring.
    pub(crate) const fn slot(self, index: u16) -> u16 {
        index & self.mask
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn index_may_move_to_the_limit_and_no_further() {
        assert_eq!(advance(8, 0, 8), Ok(8));
        assert_eq!(advance(9, 0, 8), Err(RingError::IndexJump(9)));
        assert_eq!(advance(u16::MAX, 0, 8), Err(RingError::IndexJump(u16::MAX)));
        assert_eq!(advance(3, u16::MAX, 8), Ok(4));
    }

    #[test]
    fn ring_of_more_than_sixteen_thousand_entries_is_refused() {
        assert_eq!(RingSize::new(15), None);
        assert_eq!(RingSize::new(14).map(RingSize::entries), Some(1 << 14));
    }

    proptest! {
        #[test]
        fn every_index_has_a_slot_and_neighbours_differ(index: u16, log2 in 1_u8..=14) {
            let size = RingSize::new(log2).unwrap();
            prop_assert!(size.slot(index) < size.entries());
            prop_assert_ne!(size.slot(index), size.slot(index.wrapping_add(1)));
            prop_assert_eq!(size.slot(index), size.slot(index.wrapping_add(size.entries())));
        }

        #[test]
        fn advance_never_exceeds_the_limit(theirs: u16, ours: u16, limit in 0_u16..=1 << 14) {
            match advance(theirs, ours, limit) {
                Ok(moved) => {
                    prop_assert!(moved <= limit);
                    prop_assert_eq!(ours.wrapping_add(moved), theirs);
                }
                Err(_) => prop_assert!(theirs.wrapping_sub(ours) > limit),
            }
        }
    }
}
