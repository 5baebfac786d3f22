//! Guest bindings of the contract in `sdk/wit`, generated and checked in, so that a module builds without a
//! stack of procedural macros. A test (`wit_drift`) keeps them equal to what the contract generates.
//!
//! Charter of the unsafe code: written by wit-bindgen, it moves canonical ABI values between this module's own
//! memory and its host. It runs on wasm32 only, where the sandbox bounds what a mistake can reach.
#![allow(
    unsafe_code,
    unreachable_pub,
    missing_docs,
    rust_2018_idioms,
    clippy::all,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::multiple_unsafe_ops_per_block,
    clippy::semicolon_if_nothing_returned,
    clippy::undocumented_unsafe_blocks,
    clippy::uninlined_format_args,
    reason = "generated code"
)]

#[rustfmt::skip]
pub mod capabilities;
#[rustfmt::skip]
pub mod classifier_module;
#[rustfmt::skip]
pub mod packet_function;
#[rustfmt::skip]
pub mod steering_module;
