//! The one error of this crate: bytes that are not the packet they claim to be.

use core::fmt;

/// Says why bytes were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireError {
    /// The buffer ends before the header, or before a length that the header states.
    Truncated,
    /// A field holds a value that the format does not allow.
    Malformed,
    /// The header checksum is wrong.
    Checksum,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the packet is truncated",
            Self::Malformed => "a header field is malformed",
            Self::Checksum => "the header checksum is wrong",
        })
    }
}

impl core::error::Error for WireError {}
