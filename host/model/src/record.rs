//! The JSON form of stored values.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A stored value that cannot be read as its record.
#[derive(Debug, thiserror::Error)]
#[error("record at `{key}` is not readable")]
pub struct RecordError {
    key: String,
    #[source]
    source: serde_json::Error,
}

/// Writes one record.
///
/// # Errors
/// Never for the records of this crate; kept in the signature because maps with foreign keys can fail.
pub fn encode<T: Serialize>(key: &str, value: &T) -> Result<Vec<u8>, RecordError> {
    serde_json::to_vec(value).map_err(|source| RecordError {
        key: key.to_owned(),
        source,
    })
}

/// Reads one record.
///
/// # Errors
/// [`RecordError`] with the key and the place in the JSON text.
pub fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, RecordError> {
    serde_json::from_slice(bytes).map_err(|source| RecordError {
        key: key.to_owned(),
        source,
    })
}
