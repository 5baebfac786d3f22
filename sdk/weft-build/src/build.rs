//! The one call: crate folder in, module file out.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, process};

use serde_json::Value;

use crate::component::{World, encode};
use crate::toolchain::TARGET;
use crate::{BuildError, Toolchain, find_toolchain};

/// What to build and where to put it.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// Folder of the package.
    pub crate_dir: PathBuf,
    /// Folder for the module; `None`: `wasm/modules` below the workspace's target folder.
    pub out_dir: Option<PathBuf>,
    /// How much the compiler should try.
    pub profile: Profile,
}

impl BuildRequest {
    /// Asks for an optimised module of the package in `crate_dir`, at the usual place.
    #[must_use]
    pub fn new(crate_dir: impl Into<PathBuf>) -> Self {
        Self {
            crate_dir: crate_dir.into(),
            out_dir: None,
            profile: Profile::Release,
        }
    }
}

/// How much the compiler should try.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Profile {
    /// Small and fast code.
    #[default]
    Release,
    /// A quick build.
    Dev,
}

impl Profile {
    const fn folder(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "debug",
        }
    }
}

/// Progress of a build.
#[derive(Debug)]
pub enum Step<'a> {
    /// A compiler was found.
    Toolchain(&'a Toolchain),
    /// A line from cargo, such as `Compiling serde v1.0.0`.
    Cargo(&'a str),
    /// The code is compiled and becomes a component.
    Encode,
}

/// A module on disk.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// `<out_dir>/<package>.wasm`.
    pub path: PathBuf,
    /// Its size.
    pub bytes: usize,
    /// The capabilities it asks for.
    pub imports: Vec<String>,
    /// The contract it fulfils.
    pub world: World,
    /// What built it.
    pub toolchain: Toolchain,
}

/// Builds a module.
///
/// # Errors
/// A [`BuildError`]; [`BuildError::NoToolchain`] if this machine cannot reach wasm32.
pub fn build(
    request: &BuildRequest,
    progress: &mut dyn FnMut(Step<'_>),
) -> Result<Artifact, BuildError> {
    let toolchain = find_toolchain()?;
    progress(Step::Toolchain(&toolchain));
    let package = Package::read(&request.crate_dir)?;
    let core = compile(request, &package, &toolchain, progress)?;
    progress(Step::Encode);
    let core = fs::read(&core).map_err(|source| BuildError::Io { path: core, source })?;
    let (component, inspection) = encode(&package.name, &core)?;
    let Some(world) = inspection.world() else {
        unreachable!("encode refuses a component of no world")
    };
    let out_dir = request
        .out_dir
        .clone()
        .unwrap_or_else(|| package.wasm_dir.join("modules"));
    let path = out_dir.join(format!("{}.wasm", package.name));
    replace(&path, &component).map_err(|source| BuildError::Io {
        path: path.clone(),
        source,
    })?;
    let bytes = component.len();
    // The others are types, which carry no authority.
    let capability = |import: &String| import.starts_with("weft:host/");
    let imports = inspection.imports.into_iter().filter(capability).collect();
    Ok(Artifact {
        path,
        bytes,
        imports,
        world,
        toolchain,
    })
}

struct Package {
    name: String,
    library: String,
    manifest: PathBuf,
    /// Everything built for wasm32 goes here, apart from the host's own build products and their lock.
    wasm_dir: PathBuf,
}

impl Package {
    fn read(crate_dir: &Path) -> Result<Self, BuildError> {
        let refuse = |reason: String| BuildError::Metadata {
            crate_dir: crate_dir.into(),
            reason,
        };
        let manifest = crate_dir.join("Cargo.toml");
        let manifest =
            fs::canonicalize(&manifest).map_err(|_| BuildError::NoLibrary(crate_dir.to_owned()))?;
        let output = cargo(crate_dir)
            .args([
                "metadata",
                "--no-deps",
                "--format-version",
                "1",
                "--manifest-path",
            ])
            .arg(&manifest)
            .output()
            .map_err(|source| BuildError::Io {
                path: "cargo".into(),
                source,
            })?;
        if !output.status.success() {
            return Err(refuse(
                String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            ));
        }
        let metadata: Value =
            serde_json::from_slice(&output.stdout).map_err(|error| refuse(error.to_string()))?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let packages = metadata["packages"].as_array().into_iter().flatten();
        let package = packages
            .into_iter()
            .find(|p| p["manifest_path"].as_str().map(Path::new) == Some(&manifest));
        let library = package.and_then(|package| {
            let mut targets = package["targets"].as_array()?.iter();
            let kinds = ["lib", "rlib", "cdylib"];
            let is_library = |kind: &Value| kinds.contains(&kind.as_str().unwrap_or_default());
            targets.find(|t| {
                t["kind"]
                    .as_array()
                    .is_some_and(|k| k.iter().any(is_library))
            })
        });
        let parts = (
            package.and_then(|package| text(&package["name"])),
            library.and_then(|library| text(&library["name"])),
            text(&metadata["target_directory"]),
        );
        let (Some(name), Some(library), Some(target)) = parts else {
            return Err(BuildError::NoLibrary(crate_dir.to_owned()));
        };
        Ok(Self {
            name,
            library,
            manifest,
            wasm_dir: Path::new(&target).join("wasm"),
        })
    }
}

fn compile(
    request: &BuildRequest,
    package: &Package,
    toolchain: &Toolchain,
    progress: &mut dyn FnMut(Step<'_>),
) -> Result<PathBuf, BuildError> {
    let mut cargo = cargo(&request.crate_dir);
    cargo.args([
        "rustc",
        "--lib",
        "--crate-type",
        "cdylib",
        "--target",
        TARGET,
    ]);
    cargo.arg("--manifest-path").arg(&package.manifest);
    cargo
        .env("CARGO_TARGET_DIR", &package.wasm_dir)
        .env("RUSTC", &toolchain.rustc);
    if request.profile == Profile::Release {
        cargo.arg("--release");
    }
    let section = if request.profile == Profile::Release {
        "RELEASE"
    } else {
        "DEV"
    };
    // Function names stay, so that a trap says where it happened.
    for (key, value) in [
        ("PANIC", "abort"),
        ("STRIP", "debuginfo"),
        ("DEBUG", "false"),
    ] {
        cargo.env(format!("CARGO_PROFILE_{section}_{key}"), value);
    }
    for (key, value) in [("LTO", "true"), ("CODEGEN_UNITS", "1"), ("OPT_LEVEL", "3")] {
        cargo.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
    }
    if toolchain.builds_std {
        cargo
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC_BOOTSTRAP", "1");
    }
    if let Some(linker) = &toolchain.linker {
        cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    }
    run(cargo, progress)
        .map_err(|source| BuildError::Io {
            path: "cargo".into(),
            source,
        })?
        .map_err(|output| BuildError::Compile {
            package: package.name.clone(),
            output,
        })?;
    let file = format!("{}.wasm", package.library);
    Ok(package
        .wasm_dir
        .join(TARGET)
        .join(request.profile.folder())
        .join(file))
}

/// Runs cargo, tells its lines, and keeps them for the case that it fails.
fn run(mut cargo: Command, progress: &mut dyn FnMut(Step<'_>)) -> io::Result<Result<(), String>> {
    let mut child = cargo
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .env("CARGO_TERM_COLOR", "never")
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
        .spawn()?;
    let mut output = String::new();
    for line in child
        .stderr
        .take()
        .into_iter()
        .flat_map(|pipe| BufReader::new(pipe).lines())
    {
        let line = line?;
        progress(Step::Cargo(line.trim()));
        output.push_str(&line);
        output.push('\n');
    }
    Ok(if child.wait()?.success() {
        Ok(())
    } else {
        Err(output)
    })
}

/// Cargo without what an outer `cargo run`, `cargo test` or `cargo clippy` put into the environment.
fn cargo(crate_dir: &Path) -> Command {
    const KEPT: [&str; 6] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTRIES_",
        "CARGO_REGISTRY_",
        "CARGO_TARGET_DIR",
    ];
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    // The folder decides about configuration and toolchain files.
    cargo.current_dir(crate_dir);
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let outer = text.starts_with("CARGO_") && !KEPT.iter().any(|kept| text.starts_with(kept));
        let flags = text.starts_with("RUSTC") || matches!(text, "CARGO" | "RUSTFLAGS" | "RUSTDOC");
        if outer || flags {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// Nobody ever reads half a module: a reader sees the old file or the new one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension(format!("wasm.{}", process::id()));
    fs::write(&draft, bytes)?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests;
