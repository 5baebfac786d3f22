//! `string name[N]` as [`FixedString`], `string name[]` as [`String`].

use std::fmt;

use super::{CodecError, Fault, Reader, Wire, Writer};
use crate::describe::{Length, Shape};

/// Text in a NUL-padded field of `N` bytes.
///
/// Built from Rust text it always leaves room for the NUL that VPP expects; decoded from the wire
/// it may fill all `N` bytes, as VPP does not always terminate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FixedString<const N: usize>([u8; N]);

/// A text that does not fit its field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// No room for the closing NUL.
    #[error("`{text}` takes {} bytes, the field holds {max}", text.len())]
    TooLong {
        /// The text.
        text: String,
        /// Most bytes the field holds beside its NUL.
        max: usize,
    },
    /// VPP would cut it there.
    #[error("`{}` contains a NUL", .0.escape_debug())]
    Nul(String),
}

impl<const N: usize> FixedString<N> {
    /// The empty text.
    pub const EMPTY: Self = Self([0; N]);

    /// Copies `text`.
    ///
    /// # Errors
    /// When it is longer than `N - 1` bytes or contains a NUL.
    pub fn new(text: &str) -> Result<Self, TextError> {
        if text.len() >= N {
            return Err(TextError::TooLong {
                text: text.into(),
                max: N.saturating_sub(1),
            });
        }
        if text.contains('\0') {
            return Err(TextError::Nul(text.into()));
        }
        Ok(Self::truncated(text))
    }

    /// Copies as much of `text` as fits, cut at a character and before any NUL.
    #[must_use]
    pub fn truncated(text: &str) -> Self {
        let text = text.split('\0').next().unwrap_or_default();
        let text = &text[..text.floor_char_boundary(N.saturating_sub(1))];
        let mut bytes = [0; N];
        bytes
            .iter_mut()
            .zip(text.bytes())
            .for_each(|(to, from)| *to = from);
        Self(bytes)
    }

    /// Returns the bytes before the first NUL.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// Returns the text up to the first byte that is not UTF-8, or its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.as_bytes();
        bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
    }

    /// Says whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

impl<const N: usize> Default for FixedString<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> TryFrom<&str> for FixedString<N> {
    type Error = TextError;

    fn try_from(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

impl<const N: usize> TryFrom<&String> for FixedString<N> {
    type Error = TextError;

    fn try_from(text: &String) -> Result<Self, TextError> {
        Self::new(text)
    }
}

impl<const N: usize> PartialEq<str> for FixedString<N> {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const N: usize> PartialEq<&str> for FixedString<N> {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl<const N: usize> fmt::Display for FixedString<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl<const N: usize> fmt::Debug for FixedString<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(self.as_bytes()), f)
    }
}

impl<const N: usize> Wire for FixedString<N> {
    const SHAPE: Shape = Shape {
        ty: "string",
        length: Length::Fixed(N),
    };
    const MIN_SIZE: usize = N;

    fn zero() -> Self {
        Self::EMPTY
    }

    fn put(&self, out: &mut Writer) -> Result<(), CodecError> {
        out.bytes(&self.0);
        Ok(())
    }

    /// Zeroes what follows the NUL: it is whatever lay in the sender's memory.
    fn take(input: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut bytes = input.array::<N>()?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(N);
        bytes.iter_mut().skip(end).for_each(|byte| *byte = 0);
        Ok(Self(bytes))
    }
}

impl Wire for String {
    const SHAPE: Shape = Shape {
        ty: "string",
        length: Length::Fixed(0),
    };
    const MIN_SIZE: usize = 4;

    fn zero() -> Self {
        Self::new()
    }

    fn put(&self, out: &mut Writer) -> Result<(), CodecError> {
        let count = u32::try_from(self.len()).map_err(|_| Fault::TooLong {
            count: self.len(),
            max: u32::MAX.into(),
        })?;
        count.put(out)?;
        out.bytes(self.as_bytes());
        Ok(())
    }

    /// Bytes that are not UTF-8 become replacement characters: such texts are for people.
    fn take(input: &mut Reader<'_>) -> Result<Self, CodecError> {
        let count = usize::try_from(u32::take(input)?).unwrap_or(usize::MAX);
        Ok(Self::from_utf8_lossy(input.bytes(count)?).into_owned())
    }
}
