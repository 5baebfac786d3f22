//! iperf3 between two network namespaces.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use crate::process::{Daemon, Place, checked, output};

const PORT: &str = "5201";

/// Gbit/s that the server received in one TCP stream of `seconds`.
pub(crate) fn tcp(
    client: &str,
    server: &str,
    address: &str,
    seconds: f64,
    log: &Path,
) -> anyhow::Result<f64> {
    let mut command = Place::core(1).command(Some(server), "iperf3");
    command.args(["--server", "--one-off", "--port", PORT]);
    let mut daemon = Daemon::start(&mut command, log)?;
    daemon.until("an iperf3 server", || listens(server).then_some(()))?;
    let mut command = Place::core(0).command(Some(client), "iperf3");
    command.args([
        "--client", address, "--port", PORT, "--json", "--omit", "0.2",
    ]);
    command.args(["--time", &format!("{:.0}", seconds.max(1.0))]);
    let run = command.output().context("start iperf3")?;
    let text = String::from_utf8_lossy(&run.stdout);
    // It ends with an error code when it has an error to tell, and tells it as JSON.
    parse(&text).or_else(|error| checked(&command, &run).and(Err(error)))
}

fn listens(namespace: &str) -> bool {
    let mut command = Place::ANYWHERE.command(Some(namespace), "ss");
    output(command.args(["-Hltn", &format!("sport = :{PORT}")]))
        .is_ok_and(|text| !text.trim().is_empty())
}

/// Gbit/s at the receiver, of the client's JSON report.
fn parse(text: &str) -> anyhow::Result<f64> {
    let value: Value = serde_json::from_str(text).context("read the report of iperf3")?;
    if let Some(error) = value.get("error").and_then(Value::as_str) {
        anyhow::bail!("iperf3: {error}");
    }
    let bits = value
        .pointer("/end/sum_received/bits_per_second")
        .and_then(Value::as_f64);
    Ok(bits.context("iperf3 reports no received rate")? / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_the_receivers() {
        let text = r#"{"start":{"version":"iperf 3.12"},"intervals":[],"end":{
            "sum_sent":{"bytes":9000,"bits_per_second":2.5e10,"retransmits":3},
            "sum_received":{"bytes":8000,"bits_per_second":11837465912.5}}}"#;
        assert_eq!(parse(text).unwrap(), 11.837_465_912_5);
    }

    #[test]
    fn errors_are_told() {
        let cases = [
            (
                r#"{"start":{},"error":"unable to connect to server: Connection refused"}"#,
                "Connection refused",
            ),
            (r#"{"end":{}}"#, "no received rate"),
            ("iperf3: error", "read the report"),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
