//! The status as people read it. Pure.

use std::fmt::Write;

use super::control::{ChainView, Status};
use super::process::ProcessState;

/// Tables of processes, pods and chains.
pub(crate) fn render(status: &Status) -> String {
    let mut out = String::new();
    let mut rows = vec![row(["PROCESS", "STATE", "PID", "RESTARTS", "LAST END"])];
    for (name, process) in &status.processes {
        let [state, pid, restarts, end] = columns(process);
        rows.push(row([name, &state, &pid, &restarts, &end]));
    }
    table(&mut out, &rows);
    let mut rows = vec![row([
        "POD", "NODE", "PHASE", "ADDRESS", "PID", "RESTARTS", "REASON",
    ])];
    for (name, pod) in &status.pods {
        let [_, pid, restarts, _] = columns(&pod.process);
        let phase = format!("{:?}", pod.phase);
        let address = pod.addresses.join(" ");
        rows.push(row([
            name,
            &pod.node,
            &phase,
            &address,
            &pid,
            &restarts,
            &pod.reason,
        ]));
    }
    table(&mut out, &rows);
    for (name, chain) in &status.chains {
        write_chain(&mut out, name, chain);
    }
    if let Some(problem) = &status.store_problem {
        let _ = writeln!(out, "chains are not known: {problem}");
    }
    out.truncate(out.trim_end().len());
    out
}

fn columns(process: &ProcessState) -> [String; 4] {
    let state = match (process.pid, process.held) {
        (Some(_), _) => "running",
        (None, true) => "stopped",
        (None, false) => "starting",
    };
    [
        state.to_owned(),
        process
            .pid
            .map_or_else(|| "-".to_owned(), |p| p.to_string()),
        process.restarts.to_string(),
        process.last_end.clone().unwrap_or_default(),
    ]
}

fn write_chain(out: &mut String, name: &str, chain: &ChainView) {
    let ready = if chain.is_ready() {
        "ready"
    } else {
        "not ready"
    };
    let _ = writeln!(out, "CHAIN {name}: {ready}");
    let Some(status) = &chain.status else { return };
    for condition in &status.conditions {
        let mark = if condition.status { "+" } else { "-" };
        let _ = writeln!(out, "  {mark} {}: {}", condition.kind, condition.message);
    }
    for hop in &status.hops {
        let place = match (&hop.pod, &hop.node) {
            (Some(pod), Some(node)) => format!("{pod} on {node}"),
            _ => "no pod".to_owned(),
        };
        let state = match chain.hops.get(&hop.name) {
            Some(state) if state.is_up() => "up",
            Some(state) if state.bypassed => "down, bypassed",
            Some(_) => "down",
            None => "not known",
        };
        let _ = writeln!(out, "  hop {}: {place}, {state}", hop.name);
    }
    for rule in &status.rules {
        let _ = writeln!(out, "  rule {rule}");
    }
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(|c| (*c).to_owned()).collect()
}

/// Columns as wide as their widest cell, and an empty line behind.
fn table(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |i: usize| {
        rows.iter()
            .filter_map(|r| r.get(i))
            .map(|c| c.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|i| width(i).unwrap_or(0)).collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::lab::pod::{Phase, PodState};

    #[test]
    fn a_table_is_as_wide_as_its_words() {
        let mut status = Status::default();
        let running = ProcessState {
            pid: Some(7),
            restarts: 2,
            held: false,
            last_end: Some("signal: 9".into()),
        };
        status
            .processes
            .insert("agent@node-1".into(), running.clone());
        status.processes.insert(
            "store".into(),
            ProcessState {
                held: true,
                ..ProcessState::default()
            },
        );
        let pod = PodState {
            phase: Phase::Running,
            addresses: vec!["10.1.1.2/32".into()],
            process: running,
            node: "node-1".into(),
            ..PodState::default()
        };
        status.pods.insert("default/client".into(), pod);
        expect![[r#"
            PROCESS       STATE    PID  RESTARTS  LAST END
            agent@node-1  running  7    2         signal: 9
            store         stopped  -    0

            POD             NODE    PHASE    ADDRESS      PID  RESTARTS  REASON
            default/client  node-1  Running  10.1.1.2/32  7    2"#]]
        .assert_eq(&render(&status));
    }
}
