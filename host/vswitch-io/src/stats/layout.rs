//! The bytes of a VPP statistics segment, version 2 (`vlib/stats/shared.h`), as a function of its contents.
//!
//! Addresses in the segment are offsets: the header's `base` is 0, so readers add only their own mapping address.

/// Version in the header.
const VERSION: u64 = 2;
/// Header: version, base, epoch, in progress, directory.
pub const HEADER_LEN: usize = 40;
/// Offset of the epoch.
pub const EPOCH_AT: u64 = 16;
/// Offset of the in-progress mark.
pub const IN_PROGRESS_AT: u64 = 24;
const NAME_LEN: usize = 128;
const VECTOR_HEADER_LEN: usize = 8;

/// What an entry of the directory holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number, or the bits of a floating-point time.
    Scalar(u64),
    /// Counters by thread and index.
    Simple(Vec<Vec<u64>>),
    /// Packets and bytes by thread and index.
    Combined(Vec<Vec<(u64, u64)>>),
    /// Names by index; an unused index has none.
    Names(Vec<Option<String>>),
    /// One index of another entry, given by its place in the directory.
    Symlink(u32, u32),
}

/// One entry of the directory.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Path, such as `/if/rx`.
    pub name: String,
    /// Contents.
    pub value: Value,
}

impl Entry {
    /// Makes an entry.
    pub fn new(name: impl Into<String>, value: Value) -> Self {
        Self {
            name: name.into(),
            value,
        }
    }
}

/// Lays the entries out behind a header with the given epoch.
pub fn encode(entries: &[Entry], epoch: u64) -> Vec<u8> {
    let mut image = Image {
        bytes: vec![0; HEADER_LEN],
    };
    let mut directory = Vec::new();
    for entry in entries {
        let (kind, word) = image.value(&entry.value);
        directory.extend_from_slice(&u64::from(kind).to_ne_bytes());
        directory.extend_from_slice(&word.to_ne_bytes());
        let mut name = [0u8; NAME_LEN];
        for (to, from) in name.iter_mut().take(NAME_LEN - 1).zip(entry.name.bytes()) {
            *to = from;
        }
        directory.extend_from_slice(&name);
    }
    let directory = image.vector(entries.len(), &directory);
    for (at, word) in [VERSION, 0, epoch, 0, directory].into_iter().enumerate() {
        image.bytes[at * 8..at * 8 + 8].copy_from_slice(&word.to_ne_bytes());
    }
    image.bytes
}

struct Image {
    bytes: Vec<u8>,
}

impl Image {
    /// Returns the type number and the word of a directory entry.
    fn value(&mut self, value: &Value) -> (u32, u64) {
        match value {
            Value::Scalar(number) => (1, *number),
            Value::Simple(threads) => {
                let vectors = threads.iter().map(|counters| {
                    let bytes: Vec<u8> = counters.iter().flat_map(|n| n.to_ne_bytes()).collect();
                    (counters.len(), bytes)
                });
                (2, self.vector_of_vectors(vectors.collect()))
            }
            Value::Combined(threads) => {
                let vectors = threads.iter().map(|counters| {
                    let words = counters
                        .iter()
                        .flat_map(|(packets, octets)| [packets, octets]);
                    let bytes: Vec<u8> = words.flat_map(|n| n.to_ne_bytes()).collect();
                    (counters.len(), bytes)
                });
                (3, self.vector_of_vectors(vectors.collect()))
            }
            Value::Names(names) => (4, self.names(names)),
            Value::Symlink(entry, index) => (6, u64::from(*entry) | (u64::from(*index) << 32)),
        }
    }

    fn names(&mut self, names: &[Option<String>]) -> u64 {
        let mut pointers = Vec::new();
        for name in names {
            let pointer = name.as_ref().map_or(0, |name| {
                let mut bytes = name.clone().into_bytes();
                bytes.push(0);
                self.vector(bytes.len(), &bytes)
            });
            pointers.extend_from_slice(&pointer.to_ne_bytes());
        }
        self.vector(names.len(), &pointers)
    }

    fn vector_of_vectors(&mut self, vectors: Vec<(usize, Vec<u8>)>) -> u64 {
        let count = vectors.len();
        let mut pointers = Vec::new();
        for (len, bytes) in vectors {
            pointers.extend_from_slice(&self.vector(len, &bytes).to_ne_bytes());
        }
        self.vector(count, &pointers)
    }

    /// Appends a VPP vector and returns the offset of its first element.
    fn vector(&mut self, len: usize, bytes: &[u8]) -> u64 {
        let aligned = (self.bytes.len() + VECTOR_HEADER_LEN).next_multiple_of(16);
        self.bytes.resize(aligned - VECTOR_HEADER_LEN, 0);
        self.bytes
            .extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_ne_bytes());
        // Header size in units of 8 bytes, log2 of the alignment, growth, padding.
        self.bytes.extend_from_slice(&[1, 4, 0, 0]);
        self.bytes.extend_from_slice(bytes);
        aligned as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(bytes: &[u8], at: u64) -> u64 {
        let at = usize::try_from(at).unwrap();
        u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
    }

    fn len(bytes: &[u8], vector: u64) -> u32 {
        u32::try_from(word(bytes, vector - 8) & 0xffff_ffff).unwrap()
    }

    #[test]
    fn a_reader_finds_every_value_by_following_offsets() {
        let entries = [
            Entry::new("/sys/heartbeat", Value::Scalar(7)),
            Entry::new(
                "/if/names",
                Value::Names(vec![Some("local0".into()), None, Some("tap1".into())]),
            ),
            Entry::new(
                "/if/rx",
                Value::Combined(vec![vec![(1, 2), (3, 4)], vec![(5, 6), (7, 8)]]),
            ),
            Entry::new("/if/drops", Value::Simple(vec![vec![9, 10]])),
            Entry::new("/interfaces/tap1/rx", Value::Symlink(2, 1)),
        ];
        let bytes = encode(&entries, 3);
        assert_eq!(
            (
                word(&bytes, 0),
                word(&bytes, 8),
                word(&bytes, EPOCH_AT),
                word(&bytes, 24)
            ),
            (2, 0, 3, 0)
        );
        let directory = word(&bytes, 32);
        assert_eq!(len(&bytes, directory), 5);
        let entry = |n: u64| {
            (
                word(&bytes, directory + n * 144),
                word(&bytes, directory + n * 144 + 8),
            )
        };
        assert_eq!(entry(0), (1, 7));
        let names = entry(1).1;
        assert_eq!((len(&bytes, names), word(&bytes, names + 8)), (3, 0));
        let tap = word(&bytes, names + 16);
        assert_eq!(len(&bytes, tap), 5);
        assert_eq!(&bytes[usize::try_from(tap).unwrap()..][..5], b"tap1\0");
        let rx = entry(2).1;
        let second = word(&bytes, rx + 8);
        assert_eq!(
            (entry(2).0, len(&bytes, rx), len(&bytes, second)),
            (3, 2, 2)
        );
        assert_eq!(
            (word(&bytes, second + 16), word(&bytes, second + 24)),
            (7, 8)
        );
        assert_eq!(word(&bytes, word(&bytes, entry(3).1) + 8), 10);
        assert_eq!(entry(4), (6, 2 | (1 << 32)));
        let name_at = usize::try_from(directory + 4 * 144 + 16).unwrap();
        assert!(bytes[name_at..].starts_with(b"/interfaces/tap1/rx\0"));
    }
}
