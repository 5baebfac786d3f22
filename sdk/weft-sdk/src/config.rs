//! Configuration documents.

use serde::de::DeserializeOwned;

use crate::{Fault, FaultKind};

/// Parses a JSON configuration document. An empty document or `null` reads as `{}`.
///
/// # Errors
/// [`FaultKind::InvalidConfig`] with the parser's reason and place.
pub fn parse<T: DeserializeOwned>(config: &str) -> Result<T, Fault> {
    let document = match config.trim() {
        "" | "null" => "{}",
        text => text,
    };
    serde_json::from_str(document)
        .map_err(|error| Fault::new(FaultKind::InvalidConfig, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Example {
        rate: u64,
    }

    impl Default for Example {
        fn default() -> Self {
            Self { rate: 5 }
        }
    }

    #[test]
    fn an_absent_document_means_the_defaults() {
        for text in ["", "null", " {} "] {
            assert_eq!(parse::<Example>(text), Ok(Example { rate: 5 }), "{text:?}");
        }
    }

    #[test]
    fn a_misspelt_field_is_named() {
        let fault = parse::<Example>(r#"{"rat": 1}"#).expect_err("no such field");
        assert_eq!(fault.kind, FaultKind::InvalidConfig);
        assert!(fault.message.contains("`rat`"), "{}", fault.message);
    }
}
