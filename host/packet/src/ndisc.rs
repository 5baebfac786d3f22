//! Neighbour discovery messages (RFC 4861): solicitation and advertisement with link-layer options.

use core::net::Ipv6Addr;

use crate::icmp::Icmp;
use crate::wire::{array_at, put, tail, u8_at};
use crate::{MacAddr, WireError, icmpv6};

/// Length of an emitted message with one link-layer option, in bytes.
pub const LEN: usize = 32;
/// Options walked before a message is called malformed.
pub const OPTIONS_MAX: usize = 8;

const OPTION_SOURCE: u8 = 1;
const OPTION_TARGET: u8 = 2;

/// A neighbour discovery message as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ndisc {
    /// Who has `target`?
    Solicit {
        /// Address asked for.
        target: Ipv6Addr,
        /// Link-layer address of the asker.
        source_mac: Option<MacAddr>,
    },
    /// The sender has `target`.
    Advert {
        /// Address answered for.
        target: Ipv6Addr,
        /// Link-layer address of the target.
        target_mac: Option<MacAddr>,
        /// The sender is a router.
        router: bool,
        /// The message answers a solicitation.
        solicited: bool,
        /// Replace what is cached.
        override_cache: bool,
    },
}

impl Ndisc {
    /// Parses an ICMPv6 message of type 135 or 136; other options than link-layer ones are skipped.
    ///
    /// # Errors
    /// [`WireError::Truncated`], or [`WireError::Malformed`] for another type, a multicast target or a
    /// zero-length option.
    pub fn parse(message: &[u8]) -> Result<Self, WireError> {
        let head = Icmp::new_checked(message)?;
        if message.len() < 24 {
            return Err(WireError::Truncated);
        }
        let target = Ipv6Addr::from(array_at::<16>(message, 8));
        if head.code() != 0 || target.is_multicast() {
            return Err(WireError::Malformed);
        }
        let options = tail(message, 24);
        match head.kind() {
            icmpv6::NEIGHBOR_SOLICIT => Ok(Self::Solicit {
                target,
                source_mac: link_layer(options, OPTION_SOURCE)?,
            }),
            icmpv6::NEIGHBOR_ADVERT => {
                let [flags, ..] = head.rest();
                Ok(Self::Advert {
                    target,
                    target_mac: link_layer(options, OPTION_TARGET)?,
                    router: flags & 0x80 != 0,
                    solicited: flags & 0x40 != 0,
                    override_cache: flags & 0x20 != 0,
                })
            }
            _ => Err(WireError::Malformed),
        }
    }

    /// Writes the message (checksum included) into `out` and gives its length: 24, or 32 with the option.
    pub fn emit(&self, out: &mut [u8], src: Ipv6Addr, dst: Ipv6Addr) -> usize {
        let (kind, flags, target, option, mac) = match *self {
            Self::Solicit { target, source_mac } => (
                icmpv6::NEIGHBOR_SOLICIT,
                0,
                target,
                OPTION_SOURCE,
                source_mac,
            ),
            Self::Advert {
                target,
                target_mac,
                router,
                solicited,
                override_cache,
            } => {
                let flags = (u8::from(router) << 7)
                    | (u8::from(solicited) << 6)
                    | (u8::from(override_cache) << 5);
                (
                    icmpv6::NEIGHBOR_ADVERT,
                    flags,
                    target,
                    OPTION_TARGET,
                    target_mac,
                )
            }
        };
        put(out, 0, [kind, 0, 0, 0, flags, 0, 0, 0]);
        put(out, 8, target.octets());
        let mut len = 24;
        if let Some(mac) = mac {
            put(out, 24, [option, 1]);
            put(out, 26, mac.0);
            len = LEN;
        }
        if let Some(message) = out.get_mut(..len) {
            icmpv6::fill_checksum(message, src, dst);
        }
        len
    }
}

fn link_layer(mut options: &[u8], wanted: u8) -> Result<Option<MacAddr>, WireError> {
    for _ in 0..OPTIONS_MAX {
        if options.is_empty() {
            return Ok(None);
        }
        let len = usize::from(u8_at(options, 1)) * 8;
        if len == 0 {
            return Err(WireError::Malformed);
        }
        if options.len() < len {
            return Err(WireError::Truncated);
        }
        if u8_at(options, 0) == wanted {
            return Ok(Some(MacAddr(array_at(options, 2))));
        }
        options = tail(options, len);
    }
    Err(WireError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SRC: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const DST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

    proptest! {
        #[test]
        fn parse_of_emit_is_identity(advert: bool, low: u64, mac in proptest::option::of(any::<[u8; 6]>()),
                                     router: bool, solicited: bool, override_cache: bool) {
            let target = Ipv6Addr::from((0x2001_0db8u128 << 96) | u128::from(low));
            let mac = mac.map(MacAddr);
            let message = if advert {
                Ndisc::Advert { target, target_mac: mac, router, solicited, override_cache }
            } else {
                Ndisc::Solicit { target, source_mac: mac }
            };
            let mut out = [0; LEN];
            let len = message.emit(&mut out, SRC, DST);
            prop_assert!(icmpv6::checksum_ok(&out[..len], SRC, DST));
            prop_assert_eq!(Ndisc::parse(&out[..len]), Ok(message));
        }

        #[test]
        fn any_bytes_parse_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 8..120), advert: bool) {
            bytes[0] = if advert { 136 } else { 135 };
            let _ = Ndisc::parse(&bytes);
        }
    }

    #[test]
    fn bad_options_are_refused() {
        let mut out = [0; LEN + 8];
        Ndisc::Solicit {
            target: DST,
            source_mac: Some(MacAddr([2; 6])),
        }
        .emit(&mut out, SRC, DST);
        out[25] = 0;
        assert_eq!(Ndisc::parse(&out[..32]), Err(WireError::Malformed));
        out[25] = 2;
        assert_eq!(Ndisc::parse(&out[..32]), Err(WireError::Truncated));
        out[8] = 0xff;
        assert_eq!(Ndisc::parse(&out[..32]), Err(WireError::Malformed));
    }
}
