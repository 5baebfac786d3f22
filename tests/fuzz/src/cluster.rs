//! What a cluster's users write: manifests, and the configuration that a container runtime passes on.

use std::path::Path;

pub(crate) fn manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match k8s::manifest::parse(Path::new("fuzz.yaml"), text) {
        Ok(manifests) => {
            let _ = k8s::manifest::check_unique(&manifests);
        }
        // An error names the file.
        Err(error) => assert!(error.to_string().contains("fuzz.yaml"), "{error}"),
    }
}

pub(crate) fn cni(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Err(answer) = weft_cni::check_conf(text) {
        let json: serde_json::Value = serde_json::from_str(&answer).expect("the answer is JSON");
        assert!(
            json["code"].is_number() && json["msg"].is_string(),
            "{answer}"
        );
    }
}
