//! VLAN tags: which sub-interface a tagged frame belongs to, and how tags are pushed, popped and rewritten.

use crate::frame::Frame;
use crate::id::SwIfIndex;

/// EtherType of an 802.1Q tag.
const DOT1Q: u16 = packet::ethernet::VLAN;
/// EtherType of an 802.1ad (outer) tag.
const DOT1AD: u16 = packet::ethernet::QINQ;
/// Bytes of both MAC addresses.
const MACS_LEN: usize = 12;
const TAG_LEN: usize = packet::ethernet::TAG_LEN;

/// Biggest VLAN id.
pub(crate) const VLAN_ID_MAX: u16 = 4095;

/// What a sub-interface matches, and under which number it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubSpec {
    /// Number behind the dot of the name.
    pub id: u32,
    pub no_tags: bool,
    pub one_tag: bool,
    pub two_tags: bool,
    /// The outer tag is 802.1ad.
    pub dot1ad: bool,
    /// Frames with more tags than named do not match.
    pub exact_match: bool,
    /// Takes every tagged frame that nothing else takes.
    pub default: bool,
    pub outer_any: bool,
    pub inner_any: bool,
    pub outer: u16,
    pub inner: u16,
}

impl SubSpec {
    /// The sub-interface of `create_vlan_subif`.
    pub const fn vlan(id: u16) -> Self {
        Self {
            id: id as u32,
            no_tags: false,
            one_tag: true,
            two_tags: false,
            dot1ad: false,
            exact_match: true,
            default: false,
            outer_any: false,
            inner_any: false,
            outer: id,
            inner: 0,
        }
    }

    /// Number of tags it names.
    pub const fn tag_count(&self) -> u8 {
        if self.two_tags {
            2
        } else if self.one_tag {
            1
        } else {
            0
        }
    }

    /// Tags whose values are fixed: what a rewrite may pop.
    pub(crate) const fn fixed_tags(&self) -> u8 {
        match (self.one_tag, self.two_tags) {
            (true, _) if !self.outer_any => 1,
            (false, true) if self.outer_any => 0,
            (false, true) if self.inner_any => 1,
            (false, true) => 2,
            _ => 0,
        }
    }

    /// The tags that routed packets carry; none when the match is not exact, since then they are not known.
    pub(crate) fn tags(&self) -> Option<Tags> {
        let unknown = !self.exact_match || self.default || self.outer_any || self.inner_any;
        (!unknown && self.tag_count() > 0).then(|| self.stack(self.tag_count()))
    }

    /// The first `count` tags of the sub-interface.
    fn stack(&self, count: u8) -> Tags {
        let outer = Tag {
            tpid: if self.dot1ad { DOT1AD } else { DOT1Q },
            tci: self.outer,
        };
        let inner = Tag {
            tpid: DOT1Q,
            tci: self.inner,
        };
        Tags {
            count,
            list: [outer, inner],
        }
    }

    pub(crate) fn key(&self, parent: SwIfIndex) -> SubKey {
        if self.default {
            return SubKey::default_of(parent);
        }
        let inner = match (self.two_tags, self.inner_any) {
            (false, _) => InnerMatch::None,
            (true, true) => InnerMatch::Any,
            (true, false) => InnerMatch::Is(self.inner),
        };
        SubKey {
            parent,
            dot1ad: self.dot1ad,
            outer: self.outer,
            inner,
        }
    }

    /// Numbers of tags of the frames that match.
    pub(crate) const fn takes(&self, tags: u8) -> bool {
        match (self.default, self.two_tags) {
            (true, _) => tags >= 1,
            (false, true) => tags == 2 || (tags > 2 && !self.exact_match),
            (false, false) => tags == 1 || (tags > 1 && !self.exact_match),
        }
    }
}

/// Inner part of a [`SubKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum InnerMatch {
    None,
    Any,
    Is(u16),
    /// The default sub-interface.
    Default,
}

/// Where a sub-interface is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SubKey {
    pub(crate) parent: SwIfIndex,
    pub(crate) dot1ad: bool,
    pub(crate) outer: u16,
    pub(crate) inner: InnerMatch,
}

impl SubKey {
    const fn default_of(parent: SwIfIndex) -> Self {
        Self {
            parent,
            dot1ad: false,
            outer: 0,
            inner: InnerMatch::Default,
        }
    }
}

/// The tags in front of a received frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// 1, 2, or 3 for "more than two".
    pub(crate) count: u8,
    dot1ad: bool,
    outer: u16,
    inner: u16,
}

impl Seen {
    /// Reads the tags of a frame; none when it is untagged or cut inside a tag.
    pub(crate) fn of(frame: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?));
        let outer_kind = word(MACS_LEN)?;
        if !is_tag(outer_kind) {
            return None;
        }
        let mut seen = Self {
            count: 1,
            dot1ad: outer_kind != DOT1Q,
            outer: word(MACS_LEN + 2)? & VLAN_ID_MAX,
            inner: 0,
        };
        if word(MACS_LEN + TAG_LEN)? == DOT1Q {
            seen.count = 2;
            seen.inner = word(MACS_LEN + TAG_LEN + 2)? & VLAN_ID_MAX;
            if word(MACS_LEN + 2 * TAG_LEN)? == DOT1Q {
                seen.count = 3;
            }
        }
        Some(seen)
    }

    /// The only tag carries a priority and no VLAN.
    pub(crate) const fn is_priority_only(&self) -> bool {
        self.count == 1 && self.outer == 0
    }

    /// Where to look, best match first: both tags, outer tag with any inner, outer tag, default.
    pub(crate) fn keys(&self, parent: SwIfIndex) -> [SubKey; 4] {
        let of = |inner| SubKey {
            parent,
            dot1ad: self.dot1ad,
            outer: self.outer,
            inner,
        };
        [
            of(InnerMatch::Is(self.inner)),
            of(InnerMatch::Any),
            of(InnerMatch::None),
            SubKey::default_of(parent),
        ]
    }
}

/// Tells whether an EtherType starts a VLAN tag.
pub(crate) const fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, DOT1Q | DOT1AD | 0x9100 | 0x9200)
}

/// A tag as it stands in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tag {
    pub(crate) tpid: u16,
    pub(crate) tci: u16,
}

/// Up to two tags, outer first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tags {
    count: u8,
    list: [Tag; 2],
}

impl Tags {
    /// Puts the tags between the addresses and the EtherType; `false` when there is no room.
    pub(crate) fn push(&self, frame: &mut Frame) -> bool {
        let len = usize::from(self.count) * TAG_LEN;
        let Some(macs) = frame.head().first_chunk::<MACS_LEN>().copied() else {
            return false;
        };
        let Some(room) = frame.push(len) else {
            return false;
        };
        if room.is_empty() {
            return true;
        }
        let head = frame.head_mut();
        if let Some(to) = head.first_chunk_mut() {
            *to = macs;
        }
        let (places, _) = head
            .get_mut(MACS_LEN..)
            .unwrap_or_default()
            .as_chunks_mut::<TAG_LEN>();
        for (place, tag) in places
            .iter_mut()
            .zip(self.list.iter().take(usize::from(self.count)))
        {
            let ([a, b], [c, d]) = (tag.tpid.to_be_bytes(), tag.tci.to_be_bytes());
            *place = [a, b, c, d];
        }
        true
    }
}

/// Takes `count` tags out; `false` when the frame has fewer.
pub(crate) fn pop(frame: &mut Frame, count: u8) -> bool {
    if count == 0 {
        return true;
    }
    let head = frame.head();
    if Seen::of(head).is_none_or(|seen| seen.count < count) {
        return false;
    }
    let Some(macs) = head.first_chunk::<MACS_LEN>().copied() else {
        return false;
    };
    if !frame.pull(usize::from(count) * TAG_LEN) {
        return false;
    }
    if let Some(to) = frame.head_mut().first_chunk_mut() {
        *to = macs;
    }
    true
}

/// What `l2_interface_vlan_tag_rewrite` asks for, in VPP's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RewriteOp {
    #[default]
    Disabled,
    Push1,
    Push2,
    Pop1,
    Pop2,
    Translate11,
    Translate12,
    Translate21,
    Translate22,
}

impl RewriteOp {
    const ALL: [Self; 9] = [
        Self::Disabled,
        Self::Push1,
        Self::Push2,
        Self::Pop1,
        Self::Pop2,
        Self::Translate11,
        Self::Translate12,
        Self::Translate21,
        Self::Translate22,
    ];

    /// Reads VPP's number.
    pub fn new(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// VPP's number.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Tags taken out and put in on the way in.
    const fn pops_and_pushes(self) -> (u8, u8) {
        match self {
            Self::Disabled => (0, 0),
            Self::Push1 => (0, 1),
            Self::Push2 => (0, 2),
            Self::Pop1 => (1, 0),
            Self::Pop2 => (2, 0),
            Self::Translate11 => (1, 1),
            Self::Translate12 => (1, 2),
            Self::Translate21 => (2, 1),
            Self::Translate22 => (2, 2),
        }
    }
}

/// A tag rewrite as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RewriteSpec {
    pub op: RewriteOp,
    /// The first pushed tag is 802.1Q, else 802.1ad.
    pub push_dot1q: bool,
    pub tag1: u16,
    pub tag2: u16,
}

/// One direction of a rewrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TagRewrite {
    pops: u8,
    pushes: Tags,
}

impl TagRewrite {
    /// Both directions of what `spec` asks for on an interface that matches `sub` (none: the parent itself).
    /// `None` when the interface has too few tags of known value to take out.
    pub(crate) fn pair(spec: &RewriteSpec, sub: Option<&SubSpec>) -> Option<(Self, Self)> {
        let (pops, pushes) = spec.op.pops_and_pushes();
        if pops > sub.map_or(0, SubSpec::fixed_tags) {
            return None;
        }
        let first = Tag {
            tpid: if spec.push_dot1q { DOT1Q } else { DOT1AD },
            tci: spec.tag1,
        };
        let second = Tag {
            tpid: DOT1Q,
            tci: spec.tag2,
        };
        let input = Self {
            pops,
            pushes: Tags {
                count: pushes,
                list: [first, second],
            },
        };
        let output = Self {
            pops: pushes,
            pushes: sub.map(|sub| sub.stack(pops)).unwrap_or_default(),
        };
        Some((input, output))
    }

    /// Whether frames stay as they are.
    pub(crate) const fn is_nothing(&self) -> bool {
        self.pops == 0 && self.pushes.count == 0
    }

    /// Rewrites a frame; `false`, and no change, when it has too few tags, or there is no room.
    pub(crate) fn apply(&self, frame: &mut Frame) -> bool {
        let room = usize::from(self.pushes.count.saturating_sub(self.pops)) * TAG_LEN;
        frame.headroom() >= room && pop(frame, self.pops) && self.pushes.push(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Offload, SwIfIndex};

    fn frame(tags: &[(u16, u16)]) -> Frame {
        let mut bytes = vec![1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2];
        for (tpid, tci) in tags {
            bytes.extend(tpid.to_be_bytes());
            bytes.extend(tci.to_be_bytes());
        }
        bytes.extend([8, 0, 0x45, 9, 9]);
        let mut frame = Frame::empty();
        frame
            .reset(SwIfIndex(1), bytes.len(), None, Offload::default())
            .unwrap()
            .copy_from_slice(&bytes);
        frame
    }

    #[test]
    fn every_operation_is_undone_by_its_other_direction() {
        let sub = SubSpec {
            two_tags: true,
            one_tag: false,
            inner: 7,
            ..SubSpec::vlan(5)
        };
        for number in 0..9 {
            let op = RewriteOp::new(number).unwrap();
            assert_eq!(op.number(), number);
            let spec = RewriteSpec {
                op,
                push_dot1q: number % 2 == 0,
                tag1: 0x6123,
                tag2: 11,
            };
            let (input, output) = TagRewrite::pair(&spec, Some(&sub)).unwrap();
            let wire = frame(&[(DOT1Q, 5), (DOT1Q, 7)]);
            let mut through = wire.clone();
            assert!(input.apply(&mut through), "{op:?}");
            let (pops, pushes) = op.pops_and_pushes();
            assert_eq!(
                through.len() as isize - wire.len() as isize,
                4 * (isize::from(pushes) - isize::from(pops))
            );
            assert!(output.apply(&mut through));
            assert_eq!(through.head(), wire.head(), "{op:?}");
        }
        assert_eq!(RewriteOp::new(9), None);
    }

    #[test]
    fn only_tags_of_known_value_may_be_popped() {
        let pop = |op| RewriteSpec {
            op,
            ..RewriteSpec::default()
        };
        let one = SubSpec::vlan(5);
        let any = SubSpec {
            one_tag: false,
            two_tags: true,
            inner_any: true,
            ..one
        };
        for (sub, ones, twos) in [
            (None, false, false),
            (Some(&one), true, false),
            (Some(&any), true, false),
        ] {
            assert_eq!(TagRewrite::pair(&pop(RewriteOp::Pop1), sub).is_some(), ones);
            assert_eq!(TagRewrite::pair(&pop(RewriteOp::Pop2), sub).is_some(), twos);
        }
        let (input, _) = TagRewrite::pair(&pop(RewriteOp::Pop1), Some(&one)).unwrap();
        assert!(!input.apply(&mut frame(&[])));
    }

    #[test]
    fn more_than_two_tags_are_counted_as_three_and_cut_ones_are_none() {
        assert_eq!(Seen::of(frame(&[]).head()), None);
        let seen = Seen::of(frame(&[(DOT1AD, 0xf001), (DOT1Q, 2), (DOT1Q, 3)]).head()).unwrap();
        assert_eq!(
            (seen.count, seen.outer, seen.inner, seen.dot1ad),
            (3, 1, 2, true)
        );
        assert!(
            Seen::of(frame(&[(DOT1Q, 0xe000)]).head())
                .unwrap()
                .is_priority_only()
        );
        assert_eq!(Seen::of(&frame(&[(DOT1Q, 5)]).head()[..15]), None);
    }
}
