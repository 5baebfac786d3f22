//! What every Weft process shares: [`log`] set-up, orderly [`shutdown`], and work in another network
//! namespace ([`netns`]). It decides nothing and knows no record of `model`.

#![forbid(unsafe_code)]

pub mod log;
pub mod netns;
pub mod shutdown;
