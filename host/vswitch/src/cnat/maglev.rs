//! Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4) with weights: every back-end walks the table in an
//! order of its own and takes its next free places in turn, as many per turn as it weighs.

/// Sizes of a table; prime, so that every walk reaches every place. The first is VPP's.
const SIZES: [u32; 3] = [1009, 10_007, 65_537];
/// Places per unit of weight before the next size is taken.
const PLACES_PER_WEIGHT: u32 = 50;

/// A back-end: what it is recognised by, and how many turns it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) identity: u64,
    pub(super) weight: u32,
}

/// Gives the table of positions in `members`. It depends on the set of members, not on their order.
pub(super) fn table(members: &[Member]) -> Vec<u16> {
    let total: u32 = members.iter().map(|m| m.weight).sum();
    if total == 0 {
        return Vec::new();
    }
    let wanted = total.saturating_mul(PLACES_PER_WEIGHT);
    let last = SIZES.last().copied().unwrap_or(1);
    let size = SIZES.into_iter().find(|s| *s >= wanted).unwrap_or(last);
    let mut walks: Vec<Walk> = (0..)
        .zip(members)
        .map(|(at, m)| Walk::new(at, *m, size))
        .collect();
    walks.sort_unstable_by_key(|w| (w.identity, w.member));
    let mut places = vec![None; size as usize];
    let mut left = places.len();
    while left > 0 {
        for walk in &mut walks {
            for _ in 0..walk.weight {
                if left == 0 {
                    break;
                }
                let place = walk.next_free(&places, size);
                if let Some(place) = places.get_mut(place as usize) {
                    *place = Some(walk.member);
                }
                left -= 1;
            }
        }
    }
    places.into_iter().flatten().collect()
}

struct Walk {
    identity: u64,
    member: u16,
    weight: u32,
    at: u32,
    skip: u32,
}

impl Walk {
    fn new(member: u16, of: Member, size: u32) -> Self {
        let [a, b, c, d, e, f, g, h] = mix(of.identity).to_be_bytes();
        let (high, low) = (
            u32::from_be_bytes([a, b, c, d]),
            u32::from_be_bytes([e, f, g, h]),
        );
        Self {
            identity: of.identity,
            member,
            weight: of.weight,
            at: high % size,
            skip: low % (size - 1) + 1,
        }
    }

    /// The next free place of this walk. There is one: the caller counts, and the size is prime.
    fn next_free(&mut self, places: &[Option<u16>], size: u32) -> u32 {
        loop {
            let place = self.at;
            self.at = (self.at + self.skip) % size;
            if places.get(place as usize).is_none_or(Option::is_none) {
                return place;
            }
        }
    }
}

const fn mix(word: u64) -> u64 {
    let x = (word ^ (word >> 32)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let x = (x ^ (x >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^ (x >> 32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(table: &[u16], members: usize) -> Vec<usize> {
        (0..members)
            .map(|m| {
                table
                    .iter()
                    .filter(|place| usize::from(**place) == m)
                    .count()
            })
            .collect()
    }

    fn members() -> impl Strategy<Value = Vec<Member>> {
        proptest::collection::btree_map(any::<u64>(), 1u32..4, 2..40).prop_map(|map| {
            map.into_iter()
                .map(|(identity, weight)| Member { identity, weight })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn shares_follow_the_weights(members in members()) {
            let table = table(&members);
            let total: u32 = members.iter().map(|m| m.weight).sum();
            for (member, share) in members.iter().zip(shares(&table, members.len())) {
                let fair = table.len() as f64 * f64::from(member.weight) / f64::from(total);
                // Turns are equal: only the last round is incomplete.
                prop_assert!((share as f64 - fair).abs() <= f64::from(member.weight) + 1.0, "{share} instead of {fair}");
            }
        }

        /// Removing one member must move few places that were not its own (the paper's figure 12 shows a few percent).
        #[test]
        fn a_removal_disrupts_little(members in members(), at in any::<prop::sample::Index>()) {
            let gone = at.index(members.len());
            let mut fewer = members.clone();
            fewer.remove(gone);
            let (before, after) = (table(&members), table(&fewer));
            prop_assume!(before.len() == after.len());
            let back = |place: u16| usize::from(place) + usize::from(usize::from(place) >= gone);
            let moved = before.iter().zip(&after)
                .filter(|(old, new)| usize::from(**old) != gone && usize::from(**old) != back(**new))
                .count();
            prop_assert!(moved * 4 <= before.len(), "{moved} of {} places moved", before.len());
        }

        #[test]
        fn the_order_of_members_does_not_matter(members in members()) {
            let mut reversed = members.clone();
            reversed.reverse();
            let identity = |list: &[Member], table: Vec<u16>| table.into_iter()
                .map(|place| list[usize::from(place)].identity).collect::<Vec<_>>();
            prop_assert_eq!(identity(&members, table(&members)), identity(&reversed, table(&reversed)));
        }
    }

    #[test]
    fn no_member_no_table_and_many_members_a_bigger_one() {
        assert!(table(&[]).is_empty());
        let many: Vec<_> = (0..100)
            .map(|identity| Member {
                identity,
                weight: 1,
            })
            .collect();
        assert_eq!(table(&many).len(), 10_007);
        assert!(
            shares(&table(&many), 100)
                .iter()
                .all(|n| (100..=101).contains(n))
        );
    }
}
