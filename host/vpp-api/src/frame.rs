//! The frame around each message on the socket: sixteen bytes, of which only a length matters.

/// Bytes in front of each message.
pub const HEADER_LEN: usize = 16;

/// Message size no one we know exceeds: the JSON description of all of VPP is about two megabytes.
pub const MESSAGE_LEN_MAX: usize = 16 << 20;

/// Why a frame cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// More than the limit.
    #[error("frame of {len} bytes exceeds the limit of {max}")]
    Oversized {
        /// Length in the header.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// No room for a message id.
    #[error("frame of {0} bytes has no message id")]
    Undersized(usize),
}

/// Returns the header of a message of `len` bytes.
///
/// # Errors
/// When the length does not fit its field.
pub fn header(len: usize) -> Result<[u8; HEADER_LEN], FrameError> {
    let word = u32::try_from(len).map_err(|_| FrameError::Oversized {
        len,
        max: usize::try_from(u32::MAX).unwrap_or(usize::MAX),
    })?;
    let [a, b, c, d] = word.to_be_bytes();
    Ok([0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0])
}

/// Reads the length of the message behind a header; the other bytes are never looked at.
///
/// # Errors
/// When the message is longer than `max` or too short for its id.
pub fn message_len(header: &[u8; HEADER_LEN], max: usize) -> Result<usize, FrameError> {
    let [.., a, b, c, d, _, _, _, _] = *header;
    let len = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    match len {
        0..2 => Err(FrameError::Undersized(len)),
        _ if len > max => Err(FrameError::Oversized { len, max }),
        _ => Ok(len),
    }
}

/// Splits the first whole frame off `bytes`: its message and how many bytes it took, or `None`
/// while bytes are missing.
///
/// # Errors
/// As [`message_len`].
pub fn split(bytes: &[u8], max: usize) -> Result<Option<(&[u8], usize)>, FrameError> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
        return Ok(None);
    };
    let len = message_len(header, max)?;
    Ok(rest.get(..len).map(|message| (message, HEADER_LEN + len)))
}

/// Puts the header in front of a message.
///
/// # Errors
/// When its length does not fit the header.
pub fn wrap(message: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut frame = Vec::with_capacity(HEADER_LEN + message.len());
    frame.extend_from_slice(&header(message.len())?);
    frame.extend_from_slice(message);
    Ok(frame)
}
