//! Source files: reachable, not too long, documented, and `unsafe` only behind its fence.

use std::fs;
use std::path::{Path, PathBuf};

use super::layers::{Member, is_pure};

const FILE_LINES_MAX: usize = 700;
const LIB_LINES_MAX: usize = 120;
const MAIN_LINES_MAX: usize = 40;

/// Where `unsafe` may be; each file opens with its charter and `#![expect(unsafe_code, ...)]`.
const UNSAFE_FENCE: [&str; 5] = [
    "host/memif-rs/src/sys",
    "host/vswitch-io/src/device",
    "host/vswitch/tests/allocations.rs",
    "host/wasm-host/src",
    "sdk/weft-sdk/src/guest",
];

/// Generated code, held to its source by a drift test.
const GENERATED: [&str; 1] = ["sdk/weft-sdk/src/bindings"];

#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) files: usize,
    pub(super) lines: usize,
    pub(super) unsafe_count: usize,
}

/// Looks at every file of every crate.
pub(super) fn check(
    root: &Path,
    members: &[Member],
    breaches: &mut Vec<String>,
) -> Result<Summary, String> {
    let mut summary = Summary::default();
    for member in members {
        let manifest = read(&member.directory.join("Cargo.toml"))?;
        if !manifest.contains("[lints]\nworkspace = true") {
            breaches.push(format!(
                "crate `{}` does not take the workspace's lints",
                member.name
            ));
        }
        let mut files = Vec::new();
        for folder in ["src", "tests", "benches"] {
            collect(&member.directory.join(folder), &mut files)?;
        }
        for file in &files {
            let text = read(file)?;
            let shown = file.strip_prefix(root).unwrap_or(file);
            summary.files += 1;
            summary.lines += text.lines().count();
            if GENERATED.iter().any(|folder| shown.starts_with(folder)) {
                continue;
            }
            summary.unsafe_count += check_unsafe(shown, &text, breaches);
            check_size(shown, &text, breaches);
            if member.roots.contains(file) {
                check_root(member, shown, &text, breaches);
            } else if !is_reachable(file, member)? {
                breaches.push(format!(
                    "{}: no `mod` leads here; the file is not compiled",
                    shown.display()
                ));
            }
        }
    }
    Ok(summary)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("read `{}`: {e}", path.display()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry
            .map_err(|e| format!("read `{}`: {e}", folder.display()))?
            .path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

fn check_size(shown: &Path, text: &str, breaches: &mut Vec<String>) {
    let lines = text.lines().count();
    let limit = match shown.file_name().and_then(|n| n.to_str()) {
        Some("lib.rs") => LIB_LINES_MAX,
        Some("main.rs") if !shown.components().any(|c| c.as_os_str() == "tests") => MAIN_LINES_MAX,
        _ => FILE_LINES_MAX,
    };
    // A guest's library is its function, not a list of modules.
    let limit = if shown.starts_with("cnf-examples") {
        FILE_LINES_MAX
    } else {
        limit
    };
    if lines > limit {
        breaches.push(format!(
            "{}: {lines} lines, over {limit}; split it",
            shown.display()
        ));
    }
}

fn check_root(member: &Member, shown: &Path, text: &str, breaches: &mut Vec<String>) {
    if !text.starts_with("//!") {
        breaches.push(format!("{}: does not open with `//!`", shown.display()));
    }
    let library = shown.file_name().is_some_and(|n| n == "lib.rs");
    if library && is_pure(&member.name) && !text.contains("#![forbid(unsafe_code)]") {
        breaches.push(format!(
            "{}: pure crate without `#![forbid(unsafe_code)]`",
            shown.display()
        ));
    }
}

/// Counts `unsafe` and checks that it is where it may be.
fn check_unsafe(shown: &Path, text: &str, breaches: &mut Vec<String>) -> usize {
    let code = |line: &&str| !line.trim_start().starts_with("//");
    let is_unsafe = |line: &&str| {
        [
            "unsafe {",
            "unsafe fn",
            "unsafe impl",
            "unsafe trait",
            "unsafe extern",
        ]
        .iter()
        .any(|form| line.contains(form) && !line.contains(&format!("\"{form}")))
    };
    let count = text.lines().filter(code).filter(is_unsafe).count();
    if count == 0 {
        return 0;
    }
    if !UNSAFE_FENCE.iter().any(|fence| shown.starts_with(fence)) {
        breaches.push(format!("{}: `unsafe` outside its fence", shown.display()));
    }
    // The attribute may stand in the parent module and cover its folder.
    let inside = shown
        .parent()
        .is_some_and(|p| UNSAFE_FENCE.iter().any(|f| p == Path::new(f)));
    let expected =
        text.contains("#![expect(unsafe_code") || text.contains("#![expect(\n    unsafe_code");
    if !expected && !inside {
        breaches.push(format!(
            "{}: `unsafe` without `#![expect(unsafe_code, reason = ..)]`",
            shown.display()
        ));
    }
    count
}

/// Whether the file's parent module names it.
fn is_reachable(file: &Path, member: &Member) -> Result<bool, String> {
    let stem = file
        .file_stem()
        .and_then(|s| s.to_str())
        .unwrap_or_default();
    let folder = file.parent().unwrap_or(Path::new("/"));
    let (name, folder) = if stem == "mod" {
        let name = folder
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        (name, folder.parent().unwrap_or(folder))
    } else {
        (stem, folder)
    };
    let mut parents = vec![folder.with_extension("rs"), folder.join("mod.rs")];
    parents.extend(
        member
            .roots
            .iter()
            .filter(|r| r.parent() == Some(folder))
            .cloned(),
    );
    for parent in parents.iter().filter(|p| p.is_file()) {
        let text = read(parent)?;
        if text.contains(&format!("mod {name};")) || text.contains(&format!("mod r#{name};")) {
            return Ok(true);
        }
        let path = format!("#[path = \"{stem}.rs\"]");
        if text.contains(&path) {
            return Ok(true);
        }
    }
    Ok(false)
}
