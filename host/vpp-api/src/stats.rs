//! Layout of the statistics segment (version 2): shared memory that VPP writes and clients map.
//!
//! ```text
//! 0   u64 version   u64 base   u64 epoch   u64 in_progress   u64 directory
//! directory -> vector of entries { u32 kind, u32 pad, u64 value or pointer, char name[128] }
//! vector    =  u32 length, 4 bytes, elements...; pointers lead to the elements
//! ```
//! Host byte order throughout; pointers are addresses in VPP's process, `base` is where it mapped
//! the segment. A reader notes the epoch, waits while `in_progress` is set, copies, and starts over
//! when either changed. Counters change at any time; the epoch counts changes of shape.

mod image;

pub use image::{Image, ImageError, Shape};

/// The version described here.
pub const VERSION: u64 = 2;
/// Bytes of the header.
pub const HEADER_LEN: usize = 40;
/// Where the header holds the version.
pub const VERSION_AT: u64 = 0;
/// Where the header holds the address of the segment in the writer.
pub const BASE_AT: u64 = 8;
/// Where the header counts changes of shape.
pub const EPOCH_AT: u64 = 16;
/// Where the header says that a change of shape is under way.
pub const IN_PROGRESS_AT: u64 = 24;
/// Where the header points to the directory.
pub const DIRECTORY_AT: u64 = 32;
/// Bytes of a directory entry.
pub const ENTRY_LEN: usize = 144;
/// Bytes of an entry's name, its NUL included.
pub const NAME_LEN: usize = 128;
/// Bytes in front of a vector's elements; the first four are its length.
pub const VECTOR_HEADER_LEN: usize = 8;

/// What an entry's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A number in place.
    Scalar,
    /// Per thread a vector of numbers.
    Simple,
    /// Per thread a vector of packets and bytes.
    Combined,
    /// A vector of texts.
    Names,
    /// A free entry.
    Empty,
    /// One column of another entry.
    Symlink,
    /// Per thread a vector: the smallest exponent, then a bin per power of two.
    Histogram,
    /// A stream of records.
    Ring,
    /// A number in place that may fall.
    Gauge,
    /// Not known to this version.
    Other(u32),
}

impl From<u32> for Kind {
    fn from(raw: u32) -> Self {
        match raw {
            1 => Self::Scalar,
            2 => Self::Simple,
            3 => Self::Combined,
            4 => Self::Names,
            5 => Self::Empty,
            6 => Self::Symlink,
            7 => Self::Histogram,
            8 => Self::Ring,
            9 => Self::Gauge,
            other => Self::Other(other),
        }
    }
}

impl From<Kind> for u32 {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Scalar => 1,
            Kind::Simple => 2,
            Kind::Combined => 3,
            Kind::Names => 4,
            Kind::Empty => 5,
            Kind::Symlink => 6,
            Kind::Histogram => 7,
            Kind::Ring => 8,
            Kind::Gauge => 9,
            Kind::Other(raw) => raw,
        }
    }
}

/// Packets and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Combined {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl std::ops::AddAssign for Combined {
    fn add_assign(&mut self, other: Self) {
        self.packets = self.packets.wrapping_add(other.packets);
        self.bytes = self.bytes.wrapping_add(other.bytes);
    }
}

/// The words at the front of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Layout version.
    pub version: u64,
    /// Address of the segment in the writer.
    pub base: u64,
    /// Counts changes of shape.
    pub epoch: u64,
    /// A change of shape is under way.
    pub in_progress: bool,
    /// Address of the directory.
    pub directory: u64,
}

impl Header {
    /// Reads the header.
    #[must_use]
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Self {
        let mut words = words(bytes);
        let mut word = || words.next().unwrap_or_default();
        Self {
            version: word(),
            base: word(),
            epoch: word(),
            in_progress: word() != 0,
            directory: word(),
        }
    }
}

/// A directory entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What the value is.
    pub kind: Kind,
    /// A number, an address, or the two halves of a symlink.
    pub value: u64,
    /// Name, such as `/if/rx`.
    pub name: String,
}

impl Entry {
    /// Reads an entry.
    #[must_use]
    pub fn parse(bytes: &[u8; ENTRY_LEN]) -> Self {
        let (fixed, name) = bytes.split_at(ENTRY_LEN - NAME_LEN);
        let mut words = words(fixed);
        let mut word = || words.next().unwrap_or_default();
        let [a, b, c, d, ..] = word().to_ne_bytes();
        let text = name.split(|byte| *byte == 0).next().unwrap_or_default();
        Self {
            kind: u32::from_ne_bytes([a, b, c, d]).into(),
            value: word(),
            name: String::from_utf8_lossy(text).into_owned(),
        }
    }

    /// Splits a symlink: the directory entry it leads to, and the column of it.
    #[must_use]
    pub fn symlink(&self) -> (u32, u32) {
        let [a, b, c, d, e, f, g, h] = self.value.to_ne_bytes();
        (
            u32::from_ne_bytes([a, b, c, d]),
            u32::from_ne_bytes([e, f, g, h]),
        )
    }
}

/// Reads the numbers of a vector.
pub fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|word| u64::from_ne_bytes(*word))
}
