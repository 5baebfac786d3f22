//! The layers of `host/ARCHITECTURE.md`, checked against `cargo metadata`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::cargo;

/// One crate of the workspace.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) directory: PathBuf,
    /// Normal and build dependencies: `name`.
    pub(super) dependencies: Vec<String>,
    /// Source files of its targets.
    pub(super) roots: Vec<PathBuf>,
}

/// Where a crate stands; arrows point from a higher number to a lower one.
const LAYERS: [(&str, u8); 34] = [
    // bytes and nouns
    ("packet", 0),
    ("model", 1),
    // guests
    ("weft-sdk", 1),
    // pure
    ("vpp-api", 2),
    ("render", 3),
    ("vswitch", 3),
    // guests' programs run natively through the runner
    ("firewall", 3),
    ("header-counter", 3),
    ("least-loaded", 3),
    ("web-classifier", 3),
    // adapters
    ("memif-rs", 3),
    ("runtime", 3),
    ("agent-api", 3),
    ("store", 3),
    ("k8s", 3),
    ("wasm-host", 3),
    ("weft-build", 3),
    ("vpp-api-client", 3),
    ("vswitch-io", 4),
    // wiring
    ("agent", 5),
    ("weft-cni", 5),
    ("ksr", 5),
    ("controller", 5),
    ("cnf-runner", 5),
    ("rate-limiter", 6),
    ("weft", 6),
    // tests
    ("netns", 7),
    ("guests", 7),
    ("sim", 7),
    ("contract", 8),
    ("e2e", 8),
    ("bench", 8),
    ("fuzz", 8),
    ("xtask", 8),
];

/// Crates without IO, and all that they may depend on.
const PURE: [(&str, &[&str]); 5] = [
    ("packet", &["thiserror"]),
    ("model", &["ipnet", "serde", "serde_json", "thiserror"]),
    ("vpp-api", &["serde_json", "thiserror"]),
    (
        "render",
        &["ipnet", "model", "packet", "serde", "thiserror", "vpp-api"],
    ),
    (
        "vswitch",
        &["ipnet", "packet", "thiserror", "vpp-api", "zerocopy"],
    ),
];

/// Edges that the layers would allow and the design does not.
const FORBIDDEN: [(&str, &str, &str); 4] = [
    ("agent", "k8s", "the agent never talks to Kubernetes"),
    (
        "agent",
        "vswitch",
        "the agent knows the dataplane by its API only",
    ),
    (
        "render",
        "vswitch",
        "desired state and dataplane do not know each other",
    ),
    (
        "vswitch",
        "model",
        "the dataplane knows nothing of pods and chains",
    ),
];

/// All that the CNI plugin may know of Weft.
const CNI_KNOWS: [&str; 1] = ["agent-api"];

/// Reads the workspace.
pub(super) fn members(root: &Path) -> Result<Vec<Member>, String> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(root)
        .output()
        .map_err(|e| format!("run cargo metadata: {e}"))?;
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|e| {
        format!(
            "read cargo metadata: {e}\n{}",
            String::from_utf8_lossy(&output.stderr)
        )
    })?;
    let packages = metadata["packages"]
        .as_array()
        .ok_or("cargo metadata has no packages")?;
    packages.iter().map(member).collect()
}

fn member(package: &Value) -> Result<Member, String> {
    let name = text(&package["name"])?;
    let manifest = PathBuf::from(text(&package["manifest_path"])?);
    let dependencies = package["dependencies"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let targets = package["targets"].as_array().map_or(&[][..], Vec::as_slice);
    let shipped = dependencies.iter().filter(|d| d["kind"] != "dev");
    Ok(Member {
        name,
        directory: manifest.parent().unwrap_or(Path::new("/")).to_owned(),
        dependencies: shipped
            .map(|d| text(&d["name"]))
            .collect::<Result<_, _>>()?,
        roots: targets
            .iter()
            .map(|t| text(&t["src_path"]).map(Into::into))
            .collect::<Result<_, _>>()?,
    })
}

fn text(value: &Value) -> Result<String, String> {
    value
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("cargo metadata: `{value}` is no text"))
}

/// Edges that must not be.
pub(super) fn check(members: &[Member]) -> Vec<String> {
    let mut breaches = Vec::new();
    for member in members {
        let Some(layer) = layer(&member.name) else {
            breaches.push(format!(
                "crate `{}` has no layer; add it to tidy/layers.rs",
                member.name
            ));
            continue;
        };
        for dependency in &member.dependencies {
            if let Some(below) = self::layer(dependency)
                && below >= layer
            {
                breaches.push(format!(
                    "`{}` must not depend on `{dependency}`: arrows point down",
                    member.name
                ));
            }
            for (from, to, why) in FORBIDDEN {
                if from == member.name && to == dependency {
                    breaches.push(format!("`{from}` must not depend on `{to}`: {why}"));
                }
            }
            if member.name == "weft-cni"
                && self::layer(dependency).is_some()
                && !CNI_KNOWS.contains(&dependency.as_str())
            {
                breaches.push(format!(
                    "`weft-cni` must not depend on `{dependency}`: it knows the agent's socket only"
                ));
            }
        }
        if let Some((_, allowed)) = PURE.iter().find(|(name, _)| *name == member.name) {
            for dependency in member
                .dependencies
                .iter()
                .filter(|d| !allowed.contains(&d.as_str()))
            {
                breaches.push(format!(
                    "pure crate `{}` must not depend on `{dependency}`",
                    member.name
                ));
            }
        }
    }
    breaches
}

fn layer(name: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, layer)| *layer)
}

/// Whether the crate must be free of IO and of `unsafe`.
pub(super) fn is_pure(name: &str) -> bool {
    PURE.iter().any(|(n, _)| *n == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, dependencies: &[&str]) -> Member {
        Member {
            name: name.to_owned(),
            directory: PathBuf::new(),
            dependencies: dependencies.iter().map(|d| (*d).to_owned()).collect(),
            roots: Vec::new(),
        }
    }

    #[test]
    fn arrows_that_point_up_or_aside_are_breaches() {
        for (from, to, count) in [
            ("model", "store", 2),
            ("render", "vswitch", 3),
            ("agent", "k8s", 1),
            ("weft-cni", "model", 1),
            ("weft-cni", "agent-api", 0),
            ("vswitch", "tokio", 1),
            ("agent", "render", 0),
            ("unheard-of", "model", 1),
        ] {
            assert_eq!(check(&[member(from, &[to])]).len(), count, "{from} -> {to}");
        }
    }
}
