//! However a lab ends, nothing of it is left: no process, namespace, mount or socket.

use std::fs;

use crate::lab::{Lab, weft};

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, command: [sleep, infinity]}]}\n";

/// Processes whose command line names the lab.
fn processes_of(lab: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(lab) {
            found.push(line);
        }
    }
    found
}

fn named_namespaces() -> Vec<String> {
    let entries = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.retain(|n| n.starts_with("cni-") || n.starts_with("node-"));
    names
}

/// Sockets that serve a lab in this network namespace, where no lab has any. What a client of another lab is
/// connected to is listed here too, under the same path, but does not listen.
fn listening_sockets() -> Vec<String> {
    const LISTENING: &str = "00010000";
    let sockets = fs::read_to_string("/proc/net/unix").unwrap();
    let lines = sockets.lines().map(str::to_owned);
    lines
        .filter(|l| l.contains("/run/weft-lab/") && l.split(' ').nth(3) == Some(LISTENING))
        .collect()
}

fn check(test: &str, end: impl FnOnce(Lab)) {
    let Some(lab) = Lab::start(test, 2) else {
        return;
    };
    // Whether the pod is attached or still waiting, its namespaces exist.
    let _ = lab.weft(&["lab", "status"]);
    let name = lab.name().to_owned();
    assert!(processes_of(&name).len() > 1, "the lab has no process");
    let _ = lab.apply(POD);
    end(lab);
    netns::eventually(
        "all processes are gone",
        || processes_of(&name),
        Vec::is_empty,
    );
    assert_eq!(named_namespaces(), Vec::<String>::new());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains("weft"), "{mounts}");
    assert_eq!(listening_sockets(), Vec::<String>::new());
    netns::eventually(
        "nobody believes that the lab runs",
        || String::from_utf8_lossy(&weft(&["lab", "status", "--name", &name]).stderr).into_owned(),
        |said| said.contains("is not running"),
    );
}

#[test]
fn an_interrupted_lab_leaves_nothing() {
    check("an_interrupted_lab_leaves_nothing", |lab| {
        assert!(lab.interrupt().success());
    });
}

#[test]
fn a_killed_lab_leaves_nothing() {
    check("a_killed_lab_leaves_nothing", Lab::kill);
}
