//! Memory that outlives a call. A capability: the operator grants `weft:host/key-value` and its size.
//!
//! Writes of a call take effect when the call succeeds. The host may lose them at any time: keep here what can be had
//! again. Natively a [`test::Host`](crate::test::Host) keeps the values, by the same rules ([`Scope`]).

use std::fmt;

/// Longest key.
pub const KEY_BYTES_MAX: usize = 256;

/// Why a value was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyValueError {
    /// The scope has no room for it.
    Quota,
    /// The key is empty or longer than [`KEY_BYTES_MAX`].
    BadKey,
    /// An error of a later contract, or no scope here.
    Other(String),
}

impl fmt::Display for KeyValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quota => "quota exceeded",
            Self::BadKey => "bad key",
            Self::Other(other) => other,
        })
    }
}

impl std::error::Error for KeyValueError {}

/// The value of `key`.
#[must_use]
pub fn get(key: &str) -> Option<Vec<u8>> {
    #[cfg(target_arch = "wasm32")]
    return wire::get(key);
    #[cfg(not(target_arch = "wasm32"))]
    crate::double::with(|host| host.scope().ok()?.get(key).map(<[u8]>::to_vec))
}

/// Keeps `value`.
///
/// # Errors
/// [`KeyValueError`]; the former value stays.
pub fn put(key: &str, value: &[u8]) -> Result<(), KeyValueError> {
    #[cfg(target_arch = "wasm32")]
    return Ok(wire::put(key, value)?);
    #[cfg(not(target_arch = "wasm32"))]
    crate::double::with(|host| host.scope()?.put(key, value.into()))
}

/// Forgets `key`; true if it was there.
pub fn delete(key: &str) -> bool {
    #[cfg(target_arch = "wasm32")]
    return wire::delete(key);
    #[cfg(not(target_arch = "wasm32"))]
    crate::double::with(|host| host.scope().is_ok_and(|scope| scope.delete(key)))
}

/// Up to `limit` keys that begin with `prefix`, in order.
#[must_use]
pub fn keys(prefix: &str, limit: u32) -> Vec<String> {
    #[cfg(target_arch = "wasm32")]
    return wire::keys(prefix, limit);
    #[cfg(not(target_arch = "wasm32"))]
    crate::double::with(|host| {
        host.scope()
            .map(|scope| scope.keys(prefix, limit))
            .unwrap_or_default()
    })
}

#[cfg(not(target_arch = "wasm32"))]
pub use self::scope::{Quota, Scope};

#[cfg(not(target_arch = "wasm32"))]
mod scope;

#[cfg(target_arch = "wasm32")]
use crate::bindings::capabilities::weft::host::key_value as wire;

#[cfg(target_arch = "wasm32")]
impl From<wire::KeyValueError> for KeyValueError {
    fn from(error: wire::KeyValueError) -> Self {
        match error {
            wire::KeyValueError::Quota => Self::Quota,
            wire::KeyValueError::BadKey => Self::BadKey,
            wire::KeyValueError::Other(other) => Self::Other(other),
        }
    }
}
