//! The pod annotation that asks for extra interfaces: `name/type[/network], ...`.
//!
//! `weft.dev/interfaces` is ours; `contivpp.io/custom-if` is read the same way, so that manifests
//! written for Contiv-VPP run unchanged.

use std::collections::BTreeMap;

use crate::pod::{InterfaceKind, InterfaceRequest, NetworkRef};

/// The annotation keys, in order of precedence.
pub const INTERFACES: [&str; 2] = ["weft.dev/interfaces", "contivpp.io/custom-if"];

/// Extra interfaces that one pod may ask for.
pub const INTERFACES_MAX: usize = 16;

/// Longest interface name: Linux's `IFNAMSIZ` less its terminator.
pub const NAME_LEN_MAX: usize = 15;

/// Why an interface annotation was refused. Nothing of it is applied.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    #[error(
        "annotation `{key}`: entry `{entry}` has no type; hint: write `name/type` or `name/type/network`"
    )]
    Shape { key: &'static str, entry: String },
    #[error(
        "annotation `{key}`: interface type `{kind}` of `{entry}` is unknown; hint: use tap, veth or memif"
    )]
    UnknownKind {
        key: &'static str,
        entry: String,
        kind: String,
    },
    #[error(
        "annotation `{key}`: `{name}` is no interface name; hint: 1 to 15 letters, digits, `-`, `_` or `.`"
    )]
    Name { key: &'static str, name: String },
    #[error("annotation `{key}`: interface `{name}` is named twice; hint: give each its own name")]
    Duplicate { key: &'static str, name: String },
    #[error(
        "annotation `{key}`: more than {INTERFACES_MAX} interfaces; hint: spread them over several pods"
    )]
    TooMany { key: &'static str },
}

/// Reads the extra interfaces from a pod's annotations; none is an empty list.
///
/// # Errors
/// [`AnnotationError`] names the annotation, the entry and the remedy.
pub fn interfaces(
    annotations: &BTreeMap<String, String>,
) -> Result<Vec<InterfaceRequest>, AnnotationError> {
    let found = INTERFACES
        .iter()
        .find_map(|key| annotations.get(*key).map(|text| (*key, text)));
    let Some((key, text)) = found else {
        return Ok(Vec::new());
    };
    let mut requests: Vec<InterfaceRequest> = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|e| !e.is_empty()) {
        let request = interface(key, entry)?;
        if requests.iter().any(|r| r.name == request.name) {
            return Err(AnnotationError::Duplicate {
                key,
                name: request.name,
            });
        }
        if requests.len() == INTERFACES_MAX {
            return Err(AnnotationError::TooMany { key });
        }
        requests.push(request);
    }
    Ok(requests)
}

fn interface(key: &'static str, entry: &str) -> Result<InterfaceRequest, AnnotationError> {
    let parts: Vec<&str> = entry.split('/').collect();
    let (name, kind, network) = match parts.as_slice() {
        [name, kind] => (*name, *kind, "default"),
        [name, kind, network] => (*name, *kind, *network),
        _ => {
            return Err(AnnotationError::Shape {
                key,
                entry: entry.to_owned(),
            });
        }
    };
    if !is_interface_name(name) {
        return Err(AnnotationError::Name {
            key,
            name: name.to_owned(),
        });
    }
    let kind = match kind {
        "tap" => InterfaceKind::Tap,
        "veth" => InterfaceKind::Veth,
        "memif" => InterfaceKind::Memif,
        other => {
            let (entry, kind) = (entry.to_owned(), other.to_owned());
            return Err(AnnotationError::UnknownKind { key, entry, kind });
        }
    };
    let network = match network {
        "" | "default" => NetworkRef::Default,
        "stub" => NetworkRef::Stub,
        other => NetworkRef::Named(other.to_owned()),
    };
    Ok(InterfaceRequest {
        name: name.to_owned(),
        kind,
        network,
    })
}

fn is_interface_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=NAME_LEN_MAX).contains(&name.len())
        && name.chars().all(legal)
        && name != "."
        && name != ".."
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(value: &str, expected: &Expect) {
        let annotations = BTreeMap::from([(INTERFACES[0].to_owned(), value.to_owned())]);
        let text = match interfaces(&annotations) {
            Ok(list) => list
                .iter()
                .map(|i| format!("{} {} {:?}", i.name, i.kind, i.network))
                .collect::<Vec<_>>()
                .join("; "),
            Err(e) => e.to_string(),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn names_types_and_networks_are_read() {
        check(
            "left/memif/stub, right/memif/stub,mgmt/veth,x/tap/blue",
            &expect!["left memif Stub; right memif Stub; mgmt veth Default; x tap Named(\"blue\")"],
        );
        check("", &expect![""]);
    }

    #[test]
    fn a_wrong_entry_is_refused_with_its_remedy() {
        check(
            "left",
            &expect![
                "annotation `weft.dev/interfaces`: entry `left` has no type; hint: write `name/type` or `name/type/network`"
            ],
        );
        check(
            "left/vhost",
            &expect![
                "annotation `weft.dev/interfaces`: interface type `vhost` of `left/vhost` is unknown; hint: use tap, veth or memif"
            ],
        );
        check(
            "a/tap,a/tap",
            &expect![
                "annotation `weft.dev/interfaces`: interface `a` is named twice; hint: give each its own name"
            ],
        );
        check(
            "way-too-long-name/tap",
            &expect![
                "annotation `weft.dev/interfaces`: `way-too-long-name` is no interface name; hint: 1 to 15 letters, digits, `-`, `_` or `.`"
            ],
        );
    }

    #[test]
    fn contiv_vpp_manifests_are_read_the_same_way() {
        let annotations = BTreeMap::from([(
            "contivpp.io/custom-if".to_owned(),
            "memif1/memif/stub".to_owned(),
        )]);
        assert_eq!(interfaces(&annotations).map(|l| l.len()), Ok(1));
    }
}
