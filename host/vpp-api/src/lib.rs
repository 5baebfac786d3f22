//! VPP's binary API as Rust types: what a client sends to VPP, and what a server that wants to be
//! taken for VPP receives.
//!
//! Every message is declared once ([`modules`]); its struct, codec, checksum and place in the
//! exported description come from that declaration. Pure: no IO, no clock, no threads. Input is
//! never trusted: lengths are checked before anything is allocated.
//!
//! ```
//! use vpp_api::interface::SwInterfaceSetFlags;
//! use vpp_api::interface_types::{IfStatusFlags, InterfaceIndex};
//! use vpp_api::{Envelope, decode, encode};
//!
//! let up = SwInterfaceSetFlags { sw_if_index: InterfaceIndex(1), flags: IfStatusFlags::ADMIN_UP };
//! let bytes = encode(Envelope { id: 7, client_index: 0, context: 42 }, &up).unwrap();
//! assert_eq!(bytes, [0, 7, 0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0, 1, 0, 0, 0, 1]);
//! assert_eq!(decode::<SwInterfaceSetFlags>(&bytes).unwrap().1, up);
//! ```

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod dsl;

pub mod describe;
pub mod export;
pub mod frame;
pub mod message;
pub mod modules;
pub mod retval;
pub mod stats;
pub mod table;
pub mod wire;

pub use message::{
    Ack, Acked, CursorDump, Dump, Envelope, Event, Message, Reply, Request, Stream, decode, encode,
};
pub use modules::*;
pub use retval::{ApiError, Retval};
pub use wire::{CodecError, FixedString, TextError};
