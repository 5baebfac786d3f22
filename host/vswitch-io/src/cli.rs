//! The debug CLI behind `cli_inband`: what an operator asks a dataplane, answered as text in the shape of VPP's.

mod filter;
mod pcap;
mod show;
mod sr;

use vswitch::trace::TraceSpec;

use crate::api::trace::{inputs, node_index};
use crate::engine::Engine;
use crate::worker::mailbox::TraceCommand;

/// Packets of one `trace add` at most.
const TRACE_MAX: u32 = 10_000;
const COMMANDS: &str = "show | clear | trace add | pcap trace | classify filter | sr | set sr encaps | adjacency counters";
const CLEAR: &str =
    "clear trace | interfaces | errors | node counters | runtime | sr localsid-counters | l2fib";

/// Runs a command line; errors are text too, as in VPP.
pub fn run(engine: &mut Engine, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["show" | "sh", what @ ..] => show::run(engine, what),
        ["trace", "add", node, count, filter @ ..] => trace(engine, node, count, filter),
        ["trace", "add", ..] => {
            "usage: trace add <input node|interface> <count> [filter]\n".to_owned()
        }
        ["pcap", "trace", what @ ..] => pcap::run(engine, what),
        ["classify", "filter", what @ ..] => filter::run(engine, what),
        ["sr", what @ ..] => sr::run(engine, what),
        ["set", "sr", "encaps", what @ ..] => sr::set(engine, what),
        ["clear", what @ ..] => clear(engine, what),
        ["adjacency", "counters", "enable"] => adjacency_counters(engine, true),
        ["adjacency", "counters", "disable"] => adjacency_counters(engine, false),
        [] => String::new(),
        _ => unknown(&words, 0, COMMANDS),
    }
}

/// As in VPP they are not counted at first.
fn adjacency_counters(engine: &mut Engine, on: bool) -> String {
    engine.dataplane.count_adjacencies(on);
    String::new()
}

/// VPP names the commands that it understood, then what it did not; what there is follows.
fn unknown(words: &[&str], understood: usize, known_here: &str) -> String {
    let (known, rest) = words.split_at(understood.min(words.len()));
    let known = known.join(" ");
    let colon = if known.is_empty() { "" } else { ": " };
    format!(
        "{known}{colon}unknown input `{}'\nhint: {known_here}\n",
        rest.join(" ")
    )
}

fn clear(engine: &mut Engine, what: &[&str]) -> String {
    let dataplane = &mut engine.dataplane;
    match what {
        ["trace"] => {
            engine.trace(&TraceCommand::Stop);
            engine.trace(&TraceCommand::Clear);
        }
        ["interfaces" | "interface" | "int"] => {
            let all: Vec<_> = dataplane.interfaces().map(|i| i.sw_if_index).collect();
            all.into_iter().for_each(|on| dataplane.clear_counters(on));
        }
        ["errors" | "error"] | ["node", "counters"] => {
            let workers = dataplane.worker_counters().iter();
            workers.for_each(|counters| counters.clear_errors());
        }
        ["sr", "localsid-counters"] => dataplane.sr_clear_localsid_counters(),
        ["l2fib"] => dataplane.l2fib_flush_all(),
        ["runtime" | "run"] => {
            let workers = dataplane.worker_counters().iter();
            workers.for_each(|counters| counters.clear_nodes());
        }
        _ => return unknown(&[&["clear"], what].concat(), 1, CLEAR),
    }
    String::new()
}

/// The name of an interface traces its packets, that of an input node those of its devices.
fn trace(engine: &Engine, node: &str, count: &str, filter: &[&str]) -> String {
    let Ok(count) = count.parse::<u32>() else {
        return format!("`{count}` is not a number of packets\n");
    };
    let of_node = |index| inputs(engine, index).ok();
    let only = match engine.dataplane.interface_by_name(node) {
        Some(on) => vec![on],
        None => match node_index(node).and_then(of_node) {
            Some(only) => only,
            None => return format!("trace add: unknown node or interface `{node}'\n"),
        },
    };
    engine.trace(&TraceCommand::Start(TraceSpec {
        max: count.min(TRACE_MAX),
        only,
        filter: engine.packet_filter.filter(|_| filter == ["filter"]),
    }));
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_named_as_vpp_does() {
        let answer = |words: &[&str], understood| unknown(words, understood, "that");
        assert_eq!(
            answer(&["foo", "bar"], 0),
            "unknown input `foo bar'\nhint: that\n"
        );
        assert_eq!(
            answer(&["show", "foo"], 1),
            "show: unknown input `foo'\nhint: that\n"
        );
    }
}
