//! Fuzz targets for everything that parses what others wrote. A target takes any bytes and must not panic, hang or
//! hoard; where something can be written back, reading it again must give the same.
//!
//! Each target is a plain function. `corpus/<target>` holds inputs that reach different code (found by libFuzzer, then
//! minimised) and every input that once failed; the tests of this crate replay them all. To look for more, with any
//! toolchain:
//!
//! ```text
//! cargo install cargo-fuzz --locked
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir tests/fuzz/libfuzzer <target> tests/fuzz/corpus/<target> -- -max_total_time=600
//! ```
//!
//! The targets behind the feature `cluster` (manifests, CNI) need `--features cluster` there.
#![forbid(unsafe_code)]

mod api;
#[cfg(feature = "cluster")]
mod cluster;
mod headers;
mod memif;
mod node;
mod offload;
mod stats;

/// A target: its name, which is that of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("headers", headers::run),
    ("graph", node::run),
    ("super_frames", offload::run),
    ("api_codec", api::codec),
    ("api_server", api::server),
    ("memif_server", memif::server),
    ("memif_client", memif::client),
    ("stats", stats::run),
    ("annotation", headers::annotation),
    #[cfg(feature = "cluster")]
    ("manifest", cluster::manifest),
    #[cfg(feature = "cluster")]
    ("cni", cluster::cni),
];

/// Runs the target of a name.
///
/// # Panics
/// When there is none, and whenever the target finds a defect.
pub fn run(name: &str, bytes: &[u8]) {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = found.unwrap_or_else(|| panic!("no target `{name}`"));
    target(bytes);
}
