//! Runs a packet function on frames in a plain `#[test]`: no host, no module, no cluster. [`Host`] stands in for the
//! capabilities of any module.
//!
//! ```
//! use weft_sdk::prelude::*;
//! use weft_sdk::test::{Fate, Frames, run};
//!
//! # struct Wire;
//! # impl PacketFunction for Wire {
//! #     fn configure(&mut self, _: &str, _: &[Port]) -> Result<(), Fault> { Ok(()) }
//! #     fn process(&mut self, batch: &mut Batch<'_>) {
//! #         batch.for_each(|packet| packet.forward(packet.port().opposite()));
//! #     }
//! #     fn counters(&self) -> Vec<(String, u64)> { Vec::new() }
//! # }
//! let fates = run(&mut Wire, Frames::from_port(0).frame([1, 2, 3]));
//! assert_eq!(fates, [Fate::Forwarded { port: PortId(1), bytes: vec![1, 2, 3] }]);
//! ```

#[cfg(not(target_arch = "wasm32"))]
mod host;

use std::borrow::Borrow;

use crate::descriptor::Descriptor;
use crate::{Batch, Nanos, PacketFunction, Port, PortId, descriptor};

#[cfg(not(target_arch = "wasm32"))]
pub use self::host::Host;

/// Bytes of one slot of the harness's window.
pub const SLOT_BYTES: u32 = 2048;
/// Free bytes in front of every frame.
pub const HEADROOM: u32 = 128;

/// Two ports, `left` and `right`, as a bump in the wire has.
#[must_use]
pub fn ports() -> Vec<Port> {
    [(0, "left"), (1, "right")]
        .map(|(id, name)| Port {
            id: PortId(id),
            name: name.into(),
            mtu: 1500,
        })
        .into()
}

/// Frames on their way into a function.
#[derive(Debug, Clone)]
pub struct Frames {
    frames: Vec<(PortId, Vec<u8>)>,
    port: PortId,
    now: Nanos,
}

impl Frames {
    /// Starts a batch of frames that arrive on `port` at time zero.
    #[must_use]
    pub const fn from_port(port: u8) -> Self {
        Self {
            frames: Vec::new(),
            port: PortId(port),
            now: Nanos(0),
        }
    }

    /// Adds a frame.
    ///
    /// # Panics
    /// If the frame does not fit into a slot.
    #[must_use]
    pub fn frame(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        assert!(
            bytes.len() <= (SLOT_BYTES - HEADROOM) as usize,
            "frame too long for a slot"
        );
        self.frames.push((self.port, bytes));
        self
    }

    /// Lets the frames that follow arrive on `port`.
    #[must_use]
    pub const fn then_from_port(mut self, port: u8) -> Self {
        self.port = PortId(port);
        self
    }

    /// Sets the time of the batch.
    #[must_use]
    pub const fn at(mut self, now: Nanos) -> Self {
        self.now = now;
        self
    }

    /// Writes the frames into slots, as a host does.
    #[must_use]
    pub fn lay_out(&self) -> Layout {
        let mut window = vec![0; self.frames.len() * SLOT_BYTES as usize];
        let mut table = Vec::with_capacity(self.frames.len());
        let mut offset = HEADROOM;
        for (port, bytes) in &self.frames {
            let start = offset as usize;
            if let Some(place) = window.get_mut(start..start + bytes.len()) {
                place.copy_from_slice(bytes);
            }
            let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            table.push(Descriptor::received(offset, length, port.0));
            offset += SLOT_BYTES;
        }
        Layout {
            window,
            table,
            now: self.now,
        }
    }
}

/// A batch in memory, before or after a function saw it.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Slots of [`SLOT_BYTES`].
    pub window: Vec<u8>,
    /// One descriptor per frame.
    pub table: Vec<Descriptor>,
    /// Time of the batch.
    pub now: Nanos,
}

impl Layout {
    /// Reads what became of each frame.
    #[must_use]
    pub fn fates(&self) -> Vec<Fate> {
        let fate = |descriptor: &Descriptor| match descriptor.verdict {
            descriptor::FORWARD => {
                let start = descriptor.offset as usize;
                let end = start + usize::from(descriptor.length);
                let bytes = self.window.get(start..end).unwrap_or_default().to_vec();
                Fate::Forwarded {
                    port: PortId(descriptor.port),
                    bytes,
                }
            }
            _ => Fate::Dropped,
        };
        self.table.iter().map(fate).collect()
    }
}

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Thrown away.
    Dropped,
    /// Sent.
    Forwarded {
        /// Out of which port.
        port: PortId,
        /// As what.
        bytes: Vec<u8>,
    },
}

impl Fate {
    /// True if the frame was sent.
    #[must_use]
    pub const fn is_forwarded(&self) -> bool {
        matches!(self, Self::Forwarded { .. })
    }
}

/// Runs one batch and tells what became of each frame, in order.
#[must_use]
pub fn run(function: &mut dyn PacketFunction, frames: impl Borrow<Frames>) -> Vec<Fate> {
    let mut layout = frames.borrow().lay_out();
    let mut batch = Batch::new(
        &mut layout.table,
        &mut layout.window,
        SLOT_BYTES,
        layout.now,
    );
    function.process(&mut batch);
    layout.fates()
}
