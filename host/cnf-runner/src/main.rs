//! `weft-cnf`: runs a packet function component between the memif links of its pod.

fn main() -> std::process::ExitCode {
    cnf_runner::run_module()
}
