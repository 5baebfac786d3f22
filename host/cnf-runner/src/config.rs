//! The function's configuration file: YAML or JSON in, JSON text out.

use std::path::{Path, PathBuf};

/// Largest configuration file, in bytes.
const LEN_MAX: usize = 1 << 20;

/// A configuration that cannot be handed to the function.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("read configuration `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("configuration `{path}` has {len} bytes, over the limit of {LEN_MAX}")]
    TooLarge { path: PathBuf, len: usize },
    #[error("configuration `{path}`: {message}")]
    Syntax { path: PathBuf, message: String },
}

/// The JSON document for the function; `null` where there is no file.
pub(crate) fn read(path: Option<&Path>) -> Result<String, ConfigError> {
    let Some(path) = path else {
        return Ok("null".to_owned());
    };
    let at = || path.to_owned();
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: at(), source })?;
    if text.len() > LEN_MAX {
        return Err(ConfigError::TooLarge {
            path: at(),
            len: text.len(),
        });
    }
    let value: serde_json::Value =
        serde_saphyr::from_str(&text).map_err(|e| ConfigError::Syntax {
            path: at(),
            message: e.to_string(),
        })?;
    Ok(value.to_string())
}
