//! Wire primitives: packed, big-endian, no alignment; `f64` alone travels little-endian.
//!
//! Invariant: decoding never allocates more than the input can justify, because every length is
//! checked against the bytes that remain before anything is reserved.

mod address;
mod primitive;
mod text;

pub use text::{FixedString, TextError};

use crate::describe::Shape;

/// A value with a VPP wire form.
pub trait Wire: Sized {
    /// How a field of this type is spelled in VPP's JSON.
    const SHAPE: Shape;
    /// The fewest bytes a value can take; never zero.
    const MIN_SIZE: usize;

    /// Returns the value VPP reads from zeroed memory.
    fn zero() -> Self;

    /// Appends the value.
    ///
    /// # Errors
    /// When a list or text is longer than its length field can say.
    fn put(&self, out: &mut Writer) -> Result<(), CodecError>;

    /// Takes a value off the front of the input.
    ///
    /// # Errors
    /// When the input is too short or holds an impossible value.
    fn take(input: &mut Reader<'_>) -> Result<Self, CodecError>;

    /// Spells the value as JSON, for the defaults of the exported description.
    fn literal(&self) -> String {
        String::new()
    }
}

/// Why a message could not be encoded or decoded, and in which field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{message}` field `{field}`: {fault}")]
pub struct CodecError {
    /// Message name, empty until known.
    pub message: &'static str,
    /// Dotted path from the message to the field.
    pub field: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The input ends inside the field.
    #[error("{needed} bytes needed, {left} left")]
    Truncated {
        /// Bytes the field takes.
        needed: usize,
        /// Bytes the input still has.
        left: usize,
    },
    /// More elements than the length field can express.
    #[error("{count} elements, the length field counts to {max}")]
    TooLong {
        /// Elements given.
        count: usize,
        /// Most the length field can say.
        max: u64,
    },
    /// A discriminator that selects nothing.
    #[error("address family {0} is neither IPv4 (0) nor IPv6 (1)")]
    AddressFamily(u8),
}

impl CodecError {
    /// Prepends a field name to the path.
    #[must_use]
    pub fn within(mut self, field: &'static str) -> Self {
        self.field = if self.field.is_empty() {
            field.into()
        } else {
            format!("{field}.{}", self.field)
        };
        self
    }

    /// Names the message.
    #[must_use]
    pub fn of(mut self, message: &'static str) -> Self {
        self.message = message;
        self
    }
}

impl From<Fault> for CodecError {
    fn from(fault: Fault) -> Self {
        Self {
            message: "",
            field: String::new(),
            fault,
        }
    }
}

/// An append-only buffer.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Creates an empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends raw bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns what was written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns the number of bytes written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Says whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// A bounds-checked view of the bytes not yet decoded.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// Takes the next `count` bytes.
    ///
    /// # Errors
    /// When fewer remain.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        let (head, tail) = self.left.split_at_checked(count).ok_or(Fault::Truncated {
            needed: count,
            left: self.left.len(),
        })?;
        self.left = tail;
        Ok(head)
    }

    /// Takes the next `N` bytes as an array.
    ///
    /// # Errors
    /// When fewer remain.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (head, tail) = self.left.split_first_chunk::<N>().ok_or(Fault::Truncated {
            needed: N,
            left: self.left.len(),
        })?;
        self.left = tail;
        Ok(*head)
    }

    /// Returns how many bytes remain.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.left.len()
    }
}

/// Appends the elements of a counted list; the count was written by its own field.
///
/// # Errors
/// As the elements' own.
pub fn put_list<T: Wire>(items: &[T], out: &mut Writer) -> Result<(), CodecError> {
    items.iter().try_for_each(|item| item.put(out))
}

/// Takes `count` elements.
///
/// # Errors
/// When the input cannot hold that many, or as the elements' own.
pub fn take_list<T: Wire>(count: u64, input: &mut Reader<'_>) -> Result<Vec<T>, CodecError> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let needed = count.saturating_mul(T::MIN_SIZE);
    if needed > input.remaining() {
        return Err(Fault::Truncated {
            needed,
            left: input.remaining(),
        }
        .into());
    }
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(T::take(input)?);
    }
    Ok(items)
}

/// Appends a list's length in the integer type of its length field.
///
/// # Errors
/// When the list is longer than that type counts.
pub fn put_count<C: Wire + TryFrom<usize> + Into<u64>>(
    count: usize,
    max: u64,
    out: &mut Writer,
) -> Result<(), CodecError> {
    C::try_from(count)
        .map_err(|_| Fault::TooLong { count, max })?
        .put(out)
}
