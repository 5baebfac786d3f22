//! The dataplane contract: VPP's binary API as its clients see it, on `weft-vswitch`; and, when
//! `WEFT_VPP_API_SOCKET` names one, on a real VPP (what needs no device of this machine).
//!
//! The binary is the one `cargo` built next to this test; `WEFT_VSWITCH` names another.
#![expect(clippy::unwrap_used, reason = "the helpers below serve tests only")]
#![expect(clippy::print_stderr, reason = "a skipped contract must be loud")]

mod acl;
mod bridging;
mod classify;
mod cnat;
mod differential;
mod features;
mod function;
mod interface;
mod ip;
mod l2;
mod nat;
mod npol;
mod oversize;
mod papi;
mod segments;
mod sr;
mod subif;
mod system;
mod target;
mod traffic;
mod wire;
