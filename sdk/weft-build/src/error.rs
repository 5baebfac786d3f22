//! Why there is no module.

use std::io;
use std::path::PathBuf;

use crate::toolchain::INSTALL_HINT;

/// A build that failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No compiler on this machine reaches wasm32.
    #[error("no Rust toolchain for wasm32-unknown-unknown (looked at {})\nhint: {INSTALL_HINT}", .looked_at.join(", "))]
    NoToolchain {
        /// Compilers that were tried, each with what it lacks.
        looked_at: Vec<String>,
    },
    /// The folder holds no package with a library.
    #[error("`{}` is not a package with a library\nhint: name the folder of its Cargo.toml", .0.display())]
    NoLibrary(PathBuf),
    /// A tool could not be started or a file not be handled.
    #[error("cannot use `{}`", .path.display())]
    Io {
        /// The tool or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `cargo metadata` gave no usable answer.
    #[error("cannot read the package of `{}`: {reason}", .crate_dir.display())]
    Metadata {
        /// Folder of the package.
        crate_dir: PathBuf,
        /// What cargo said.
        reason: String,
    },
    /// The crate does not compile.
    #[error("cannot compile `{package}` for wasm32\n{output}")]
    Compile {
        /// Package name.
        package: String,
        /// What cargo said.
        output: String,
    },
    /// The compiled code is no Weft component.
    #[error(
        "cannot make a component of `{package}`: {reason}\n\
         hint: does the crate call weft_sdk::export_packet_function!, export_classifier! or export_steering!?"
    )]
    Encode {
        /// Package name.
        package: String,
        /// Why.
        reason: String,
    },
    /// The module asks for something no Weft host offers.
    #[error(
        "`{package}` imports `{import}`, which no Weft host offers\n\
         hint: a dependency reaches for the system; modules see only weft:host interfaces"
    )]
    ForeignImport {
        /// Package name.
        package: String,
        /// Name of the import.
        import: String,
    },
}
