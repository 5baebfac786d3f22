//! `cargo xtask tidy`: the rules of the tree that no compiler checks.

mod files;
mod layers;

use std::path::Path;

use crate::command::tell;

/// Checks everything, tells every breach, and fails when there is one.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let members = layers::members(root)?;
    let mut breaches = layers::check(&members);
    let summary = files::check(root, &members, &mut breaches)?;
    for breach in &breaches {
        tell(&format!("tidy: {breach}"));
    }
    tell(&format!(
        "tidy: {} crates, {} files, {} lines, {} unsafe",
        members.len(),
        summary.files,
        summary.lines,
        summary.unsafe_count
    ));
    if breaches.is_empty() {
        Ok(())
    } else {
        Err(format!("{} breaches", breaches.len()))
    }
}
