//! Finds a Rust compiler that reaches wasm32, in order of how little it takes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fmt, fs};

use crate::BuildError;

/// What to install when there is no toolchain.
pub const INSTALL_HINT: &str = "rustup target add wasm32-unknown-unknown   \
     (Debian without rustup's target: apt install rustc-web rust-web-src lld-19)";

/// Target of every module: no operating system, so the imports are the capabilities.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// A compiler and how it gets a standard library for wasm32.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// The compiler.
    pub rustc: PathBuf,
    /// True if the standard library is built from source along with the crate.
    pub builds_std: bool,
    /// Linker, where the compiler does not bring its own.
    pub linker: Option<PathBuf>,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let std = if self.builds_std {
            "std from source"
        } else {
            "prebuilt std"
        };
        write!(f, "{} ({std})", self.rustc.display())
    }
}

/// Picks the first of: the usual `rustc` with the target installed, the same with the sources of std, and the
/// system's `/usr/bin/rustc` likewise.
///
/// # Errors
/// [`BuildError::NoToolchain`], which says what to install.
pub fn find_toolchain() -> Result<Toolchain, BuildError> {
    let usual = env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    let mut looked_at = Vec::new();
    for rustc in [usual, PathBuf::from("/usr/bin/rustc")] {
        match probe(&rustc) {
            Ok(toolchain) => return Ok(toolchain),
            Err(lack) => looked_at.push(format!("`{}`: {lack}", rustc.display())),
        }
    }
    Err(BuildError::NoToolchain { looked_at })
}

fn probe(rustc: &Path) -> Result<Toolchain, &'static str> {
    let ask = |args: &[&str]| {
        let output = Command::new(rustc).args(args).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let sysroot = PathBuf::from(ask(&["--print", "sysroot"]).ok_or("not found")?);
    let libdir = ask(&["--print", "target-libdir", "--target", TARGET]);
    let builds_std = !libdir.is_some_and(|dir| holds_std(Path::new(&dir)));
    if builds_std && !sysroot.join("lib/rustlib/src/rust/library/std").is_dir() {
        return Err("neither the target nor the sources of std");
    }
    let host = ask(&["-vV"]).and_then(|text| {
        text.lines()
            .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
    });
    let own = host.map(|host| sysroot.join("lib/rustlib").join(host).join("bin/rust-lld"));
    let linker = match own {
        Some(own) if own.is_file() => None,
        _ => Some(wasm_ld().ok_or("no linker (rust-lld or wasm-ld)")?),
    };
    Ok(Toolchain {
        rustc: rustc.to_owned(),
        builds_std,
        linker,
    })
}

fn holds_std(libdir: &Path) -> bool {
    let is_std = |name: &str| name.starts_with("libstd-") && name.ends_with(".rlib");
    fs::read_dir(libdir).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|e| e.file_name().to_str().is_some_and(is_std)))
    })
}

fn wasm_ld() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let names = (14..=30).rev().map(|version| format!("wasm-ld-{version}"));
    std::iter::once("wasm-ld".to_owned())
        .chain(names)
        .find_map(|name| {
            env::split_paths(&path)
                .map(|dir| dir.join(&name))
                .find(|p| p.is_file())
        })
}
