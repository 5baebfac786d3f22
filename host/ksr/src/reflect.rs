//! From objects to records: pure.

use std::collections::BTreeMap;

use k8s::convert::{self, ConvertError};
use k8s::manifest::{Manifest, ManifestError, Object, Origin, check_unique};
use model::record::{self, RecordError};
use model::{Key, ObjectName};

/// What the store should hold of the prefixes that ksr owns, by key.
pub type Records = BTreeMap<String, Vec<u8>>;

/// An object that is not reflected; the others are.
#[derive(Debug)]
pub struct Refusal {
    pub at: Origin,
    pub name: ObjectName,
    pub error: RefusalReason,
}

/// Why an object is not reflected.
#[derive(Debug, thiserror::Error)]
pub enum RefusalReason {
    #[error(transparent)]
    Convert(#[from] ConvertError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Duplicate(#[from] ManifestError),
}

/// The records of `manifests`, and what was refused. An object that is defined twice is refused from
/// its second place on.
pub fn reflect(manifests: &[Manifest]) -> (Records, Vec<Refusal>) {
    let mut records = Records::new();
    let mut refusals = Vec::new();
    for (index, manifest) in manifests.iter().enumerate() {
        match one(manifests, index, manifest) {
            Ok(Some((key, value))) => {
                records.insert(key, value);
            }
            Ok(None) => {}
            Err(error) => refusals.push(Refusal {
                at: manifest.origin.clone(),
                name: manifest.name.clone(),
                error,
            }),
        }
    }
    (records, refusals)
}

fn one(
    all: &[Manifest],
    index: usize,
    manifest: &Manifest,
) -> Result<Option<(String, Vec<u8>)>, RefusalReason> {
    let (key, value) = match &manifest.object {
        Object::Pod(pod) => {
            let key = Key::Pod(manifest.name.clone()).to_string();
            let value = record::encode(&key, &convert::pod(pod)?)?;
            (key, value)
        }
        Object::Chain(chain) => {
            let key = Key::Chain(manifest.name.clone()).to_string();
            let value = record::encode(&key, &convert::chain(chain)?)?;
            (key, value)
        }
        Object::Namespace(_)
        | Object::Deployment(_)
        | Object::Service(_)
        | Object::NetworkPolicy(_)
        | Object::ConfigMap(_) => return Ok(None),
    };
    let earlier = all
        .iter()
        .take(index)
        .find(|m| m.name == manifest.name && m.object.kind() == manifest.object.kind());
    if let Some(first) = earlier {
        check_unique(&[first.clone(), manifest.clone()])?;
    }
    Ok(Some((key, value)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const PODS: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels: {app: web}\n  annotations: {weft.dev/interfaces: left/memif/stub}\nspec: {nodeName: n1, containers: []}\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: b\n  annotations: {weft.dev/interfaces: left/vhost}\nspec: {containers: []}\n";

    #[test]
    fn a_wrong_annotation_refuses_its_pod_and_no_other() {
        let manifests = k8s::manifest::parse(Path::new("p.yaml"), PODS).unwrap();
        let (records, refusals) = reflect(&manifests);
        assert_eq!(
            records.keys().collect::<Vec<_>>(),
            ["/weft/v1/pods/default/a"]
        );
        assert_eq!(refusals.len(), 1);
        assert!(
            refusals[0].error.to_string().contains("`vhost`"),
            "{}",
            refusals[0].error
        );
        assert_eq!(refusals[0].at.to_string(), "p.yaml:9");
    }

    #[test]
    fn the_second_definition_of_an_object_is_refused() {
        let one = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: []}\n";
        let manifests =
            k8s::manifest::parse(Path::new("p.yaml"), &format!("{one}---\n{one}")).unwrap();
        let (records, refusals) = reflect(&manifests);
        assert_eq!((records.len(), refusals.len()), (1, 1));
    }
}
