//! VPP's own Python client (`pip install vpp_papi`) against our server and our exported
//! description. `WEFT_PYTHON` names an interpreter that has it.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use vpp_api_client::server::Limits;

use crate::toy::Running;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/socket/papi.py");

#[tokio::test]
async fn the_python_client_of_vpp_understands_us() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    for module in vpp_api::MODULES {
        let path = folder.path().join(format!("{}.api.json", module.name));
        std::fs::write(path, vpp_api::export::module(module)).expect("written");
    }
    check(&python, folder.path()).await;
}

#[tokio::test]
async fn the_python_client_of_vpp_understands_us_by_its_own_description() {
    let Some(python) = python() else { return };
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vpp-api/26.10");
    let folder = std::env::var_os("WEFT_VPP_API_JSON").map_or(beside.into(), PathBuf::from);
    if !folder.is_dir() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no VPP export; set WEFT_VPP_API_JSON"
        );
        return;
    }
    check(&python, &folder).await;
}

async fn check(python: &OsStr, folder: &Path) {
    let server = Running::start(Limits::default());
    let mut command = Command::new(python);
    command.arg(SCRIPT).arg(server.path()).arg(folder);
    let run = tokio::task::spawn_blocking(move || command.output());
    let Output {
        status,
        stdout,
        stderr,
    } = run.await.expect("no panic").expect("it runs");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(
        status.success() && stdout.ends_with("ok\n"),
        "{stdout}{stderr}"
    );
}

/// Finds an interpreter that has the client; says so loudly when there is none, past the capture
/// of the test harness.
pub(crate) fn python() -> Option<OsString> {
    let python = std::env::var_os("WEFT_PYTHON").unwrap_or_else(|| "python3".into());
    let probe = Command::new(&python)
        .args(["-c", "import vpp_papi"])
        .output();
    if probe.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    let missing = "cannot import vpp_papi (pip install vpp_papi==2.4.2)";
    let _ = writeln!(std::io::stderr(), "SKIPPED: {} {missing}", python.display());
    None
}
