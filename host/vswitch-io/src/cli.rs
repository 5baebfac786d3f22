//! The debug CLI behind `cli_inband`: what an operator asks a dataplane, answered as text.

mod show;
mod sr;

use crate::engine::Engine;
use crate::worker::mailbox::TraceCommand;

/// Packets of one `trace add` at most.
const TRACE_MAX: u32 = 10_000;

/// Runs a command line; errors are text too, as in VPP.
pub fn run(engine: &mut Engine, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["show", what @ ..] => show::run(engine, what),
        ["trace", "add", node, count] => trace(engine, node, count),
        ["trace", "add", ..] => "usage: trace add <input node|interface> <count>\n".to_owned(),
        ["sr", words @ ..] => sr::run(engine, words),
        ["set", "sr", "encaps", words @ ..] => sr::set(engine, words),
        ["clear", "sr", "localsid-counters"] => {
            engine.dataplane.sr_clear_localsid_counters();
            String::new()
        }
        ["clear", "trace"] => {
            engine.trace(&TraceCommand::Stop);
            engine.trace(&TraceCommand::Clear);
            String::new()
        }
        ["clear", "interfaces"] => {
            let all: Vec<_> = engine
                .dataplane
                .interfaces()
                .map(|info| info.sw_if_index)
                .collect();
            for sw_if_index in all {
                engine.dataplane.clear_counters(sw_if_index);
            }
            String::new()
        }
        _ => format!("unknown input `{line}`\nhint: {}\n", show::USAGE),
    }
}

/// The name of an interface traces its packets; any other name, such as VPP's input nodes, traces all.
fn trace(engine: &Engine, node: &str, count: &str) -> String {
    let Ok(count) = count.parse::<u32>() else {
        return format!("`{count}` is not a number of packets\n");
    };
    let only = engine.dataplane.interface_by_name(node);
    engine.trace(&TraceCommand::Start {
        max: count.min(TRACE_MAX),
        only,
    });
    String::new()
}
