//! Descriptor layout 1: what a host and a packet function say to each other about one packet.
//!
//! The layout is part of the contract (`sdk/wit/packet`). A new layout gets a new number.

/// Number of this layout.
pub const ABI: u16 = 1;

/// Size of one descriptor.
pub const BYTES: usize = 16;

/// Flag: the function asked for mutable access to the bytes.
pub const CHANGED: u8 = 1;

/// Verdict code: throw the packet away. Hosts start with it.
pub const DROP: u8 = 0;
/// Verdict code: send the packet out of `port`.
pub const FORWARD: u8 = 1;

/// One packet of a batch.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Where the packet starts in the window.
    pub offset: u32,
    /// Its length.
    pub length: u16,
    /// In: where it came from. Out: where it goes.
    pub port: u8,
    /// [`CHANGED`] or nothing.
    pub flags: u8,
    /// [`DROP`] or [`FORWARD`].
    pub verdict: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// For the function's own use.
    pub mark: u32,
}

const _: () = assert!(size_of::<Descriptor>() == BYTES && align_of::<Descriptor>() == 4);

impl Descriptor {
    /// Describes a received packet that nobody has decided about.
    #[must_use]
    pub const fn received(offset: u32, length: u16, port: u8) -> Self {
        Self {
            offset,
            length,
            port,
            flags: 0,
            verdict: DROP,
            reserved: [0; 3],
            mark: 0,
        }
    }

    /// The wire form.
    #[must_use]
    pub fn to_bytes(self) -> [u8; BYTES] {
        let [o0, o1, o2, o3] = self.offset.to_le_bytes();
        let [l0, l1] = self.length.to_le_bytes();
        let [r0, r1, r2] = self.reserved;
        let [m0, m1, m2, m3] = self.mark.to_le_bytes();
        let (port, flags, verdict) = (self.port, self.flags, self.verdict);
        [
            o0, o1, o2, o3, l0, l1, port, flags, verdict, r0, r1, r2, m0, m1, m2, m3,
        ]
    }

    /// Reads the wire form. Any bytes are a descriptor; the host judges what they say.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; BYTES]) -> Self {
        let [
            o0,
            o1,
            o2,
            o3,
            l0,
            l1,
            port,
            flags,
            verdict,
            r0,
            r1,
            r2,
            m0,
            m1,
            m2,
            m3,
        ] = bytes;
        Self {
            offset: u32::from_le_bytes([o0, o1, o2, o3]),
            length: u16::from_le_bytes([l0, l1]),
            port,
            flags,
            verdict,
            reserved: [r0, r1, r2],
            mark: u32::from_le_bytes([m0, m1, m2, m3]),
        }
    }

    /// True if the packet lies inside the slot that `received` pointed into and leaves by one of `ports` ports.
    #[must_use]
    pub fn is_sound(&self, received: &Self, slot_bytes: u32, ports: usize) -> bool {
        let Some(start) = received
            .offset
            .checked_div(slot_bytes)
            .map(|slot| slot * slot_bytes)
        else {
            return false;
        };
        let end = u64::from(self.offset) + u64::from(self.length);
        let fits = self.offset >= start && end <= u64::from(start) + u64::from(slot_bytes);
        fits && match self.verdict {
            DROP => true,
            FORWARD => usize::from(self.port) < ports,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_layout_is_the_one_the_contract_prints() {
        let descriptor = Descriptor {
            offset: 0x0403_0201,
            length: 0x0605,
            port: 7,
            flags: 8,
            verdict: 9,
            reserved: [10, 11, 12],
            mark: 0x100f_0e0d,
        };
        assert_eq!(
            descriptor.to_bytes(),
            [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
        );
    }

    proptest! {
        #[test]
        fn every_sixteen_bytes_survive_a_round_trip(bytes: [u8; BYTES]) {
            prop_assert_eq!(Descriptor::from_bytes(bytes).to_bytes(), bytes);
        }
    }

    #[test]
    fn only_verdicts_that_stay_in_their_slot_and_name_a_port_are_sound() {
        let received = Descriptor::received(2048 + 64, 100, 0);
        let forward = |offset, length, port| Descriptor {
            verdict: FORWARD,
            ..Descriptor::received(offset, length, port)
        };
        for (answer, sound) in [
            (received, true),
            (forward(2048, 2048, 1), true),
            (forward(2048 + 2000, 48, 1), true),
            (forward(2048 + 2000, 49, 1), false),
            (forward(2047, 10, 1), false),
            (forward(4096, 10, 1), false),
            (forward(u32::MAX, u16::MAX, 1), false),
            (forward(2048, 60, 2), false),
            (
                Descriptor {
                    verdict: 2,
                    ..received
                },
                false,
            ),
        ] {
            assert_eq!(answer.is_sound(&received, 2048, 2), sound, "{answer:?}");
        }
        assert!(!received.is_sound(&received, 0, 2));
    }
}
