//! VPP's own Python client (`pip install vpp_papi`) against our server and our exported
//! description. `WEFT_PYTHON` names an interpreter that has it.

use std::process::{Command, Output};

use vpp_api_client::server::Limits;

use crate::toy::Running;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/socket/papi.py");

#[tokio::test]
async fn the_python_client_of_vpp_understands_us() {
    let python = std::env::var_os("WEFT_PYTHON").unwrap_or_else(|| "python3".into());
    let probe = Command::new(&python)
        .args(["-c", "import vpp_papi"])
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "SKIPPED: {} cannot import vpp_papi (pip install vpp_papi)",
            python.display()
        );
        return;
    }
    let server = Running::start(Limits::default());
    let folder = tempfile::tempdir().expect("a folder");
    for module in vpp_api::MODULES {
        let path = folder.path().join(format!("{}.api.json", module.name));
        std::fs::write(path, vpp_api::export::module(module)).expect("written");
    }
    let mut command = Command::new(python);
    command.arg(SCRIPT).arg(server.path()).arg(folder.path());
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
