//! ICMP for IPv4 (RFC 792).

use crate::wire::{array_at, put, put_u16, u8_at, u16_at};
use crate::{WireError, checksum};

/// Length of the header, in bytes.
pub const HEADER_LEN: usize = 8;
/// Echo reply.
pub const ECHO_REPLY: u8 = 0;
/// Destination unreachable.
pub const UNREACHABLE: u8 = 3;
/// Echo request.
pub const ECHO_REQUEST: u8 = 8;
/// Time exceeded.
pub const TIME_EXCEEDED: u8 = 11;
/// Code of [`UNREACHABLE`]: network.
pub const CODE_NET: u8 = 0;
/// Code of [`UNREACHABLE`]: host.
pub const CODE_HOST: u8 = 1;
/// Code of [`UNREACHABLE`]: protocol.
pub const CODE_PROTOCOL: u8 = 2;
/// Code of [`UNREACHABLE`]: port.
pub const CODE_PORT: u8 = 3;
/// Code of [`UNREACHABLE`]: fragmentation needed.
pub const CODE_FRAG_NEEDED: u8 = 4;
/// Code of [`UNREACHABLE`]: administratively prohibited.
pub const CODE_PROHIBITED: u8 = 13;

/// A message whose 8-byte header lies in the buffer; serves ICMP and ICMPv6.
#[derive(Debug, Clone, Copy)]
pub struct Icmp<'a>(&'a [u8]);

impl<'a> Icmp<'a> {
    /// Checks the header.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub const fn new_checked(bytes: &'a [u8]) -> Result<Self, WireError> {
        if bytes.len() < HEADER_LEN {
            Err(WireError::Truncated)
        } else {
            Ok(Self(bytes))
        }
    }

    /// Message type.
    #[must_use]
    pub fn kind(&self) -> u8 {
        u8_at(self.0, 0)
    }

    /// Message code.
    #[must_use]
    pub fn code(&self) -> u8 {
        u8_at(self.0, 1)
    }

    /// Checksum field.
    #[must_use]
    pub fn checksum(&self) -> u16 {
        u16_at(self.0, 2)
    }

    /// The four bytes whose meaning depends on the type (identifier and sequence, MTU, pointer).
    #[must_use]
    pub fn rest(&self) -> [u8; 4] {
        array_at(self.0, 4)
    }
}

/// Writes type, code and rest with a zero checksum; see [`fill_checksum`].
pub fn emit(out: &mut [u8], kind: u8, code: u8, rest: [u8; 4]) {
    put(out, 0, [kind, code, 0, 0]);
    put(out, 4, rest);
}

/// Computes the ICMPv4 checksum over `message`, whose checksum field must be zero.
pub fn fill_checksum(message: &mut [u8]) {
    let check = checksum::of(message);
    put_u16(message, 2, check);
}

/// Replaces type and code and updates the checksum without reading the payload.
pub fn set_kind(message: &mut [u8], kind: u8, code: u8) {
    let new = u16::from_be_bytes([kind, code]);
    let check = checksum::update(u16_at(message, 2), u16_at(message, 0), new);
    put_u16(message, 0, new);
    put_u16(message, 2, check);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn echo_reply_made_by_update_has_a_right_checksum(payload in proptest::collection::vec(any::<u8>(), 0..64), rest: [u8; 4]) {
            let mut message = std::vec![0; HEADER_LEN];
            emit(&mut message, ECHO_REQUEST, 0, rest);
            message.extend(payload);
            fill_checksum(&mut message);
            prop_assert_eq!(checksum::of(&message), 0);
            set_kind(&mut message, ECHO_REPLY, 0);
            let view = Icmp::new_checked(&message).unwrap();
            prop_assert_eq!((view.kind(), view.code(), view.rest()), (ECHO_REPLY, 0, rest));
            prop_assert_eq!(checksum::of(&message), 0);
        }
    }
}
