//! Key ranges as the protocol writes them: a key, and an end that is empty (only the key), one zero
//! byte (from the key to the last key), or exclusive.

use bytes::Bytes;

/// The end that means "no upper bound".
pub(crate) const UNBOUNDED: &[u8] = &[0];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyRange {
    One(Bytes),
    From(Bytes),
    Between(Bytes, Bytes),
}

impl KeyRange {
    pub(crate) fn new(key: Bytes, range_end: Bytes) -> Self {
        if range_end.is_empty() {
            Self::One(key)
        } else if range_end == UNBOUNDED {
            Self::From(key)
        } else {
            Self::Between(key, range_end)
        }
    }

    pub(crate) fn contains(&self, candidate: &[u8]) -> bool {
        match self {
            Self::One(key) => candidate == key,
            Self::From(start) => candidate >= start.as_ref(),
            Self::Between(start, end) => candidate >= start.as_ref() && candidate < end.as_ref(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Between(start, end) if start >= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_of_a_range_select_what_the_protocol_says() {
        let range = |key: &'static str, end: &'static [u8]| {
            KeyRange::new(Bytes::from_static(key.as_bytes()), Bytes::from_static(end))
        };
        let keys = ["a", "b", "b/1", "c"];
        let select = |range: KeyRange| -> Vec<&str> {
            keys.into_iter()
                .filter(|key| range.contains(key.as_bytes()))
                .collect()
        };
        assert_eq!(select(range("b", b"")), ["b"]);
        assert_eq!(select(range("b", b"\0")), ["b", "b/1", "c"]);
        assert_eq!(select(range("b", b"c")), ["b", "b/1"]);
        assert!(range("c", b"b").is_empty() && range("c", b"c").is_empty());
        assert!(!range("c", b"\0").is_empty() && !range("c", b"").is_empty());
    }
}
