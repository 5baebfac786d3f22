//! The `show` commands, one file per subject.

mod acl;
mod classify;
mod cnat;
mod device;
mod function;
mod interface;
mod ip;
mod l2;
mod node;
mod policy;
mod sr;

use std::fmt::Write;

use vswitch::{Family, SwIfIndex};

use crate::engine::Engine;

const SHOW: &str = "show version | threads | clock | ip pmtu | interface [address | rx-placement | <name>] | hardware-interfaces | \
     mode | function | tap | memif | ip table | ip fib | ip6 fib | ip neighbors | bridge-domain | l2fib | vxlan tunnel | \
     acl-plugin acl | acl-plugin interface | acl-plugin sessions | acl-plugin macip acl | acl-plugin macip interface | \
     classify tables [verbose] | inacl type ip4 | ip6 | l2 | abf policy | abf attach | \
     npol interfaces | policies | rules | ipsets | flows | cnat translation | session | snat-policy | \
     sr localsids | policies | steering-policies | encaps source addr | errors | node counters | runtime | trace | buffers | \
     api plugin";

pub(super) fn run(engine: &Engine, what: &[&str]) -> String {
    let mut out = String::new();
    let to = &mut out;
    let written = match what {
        ["version", ..] => writeln!(to, "weft-vswitch v{}", env!("CARGO_PKG_VERSION")),
        ["interface" | "int", "address" | "addr", ..] => interface::addresses(engine, to),
        ["interface" | "int", "placement" | "rx-placement"] | ["placement"] => {
            interface::placement(engine, to)
        }
        ["interface" | "int", names @ ..] => interface::counters(engine, names, to),
        ["hardware-interfaces" | "hardware", ..] => interface::hardware(engine, to),
        ["mode", ..] => interface::modes(engine, to),
        ["ip" | "ip4", "table", ..] => ip::tables(engine, Family::V4, to),
        ["ip6", "table", ..] => ip::tables(engine, Family::V6, to),
        ["threads"] => node::threads(engine, to),
        ["clock", ..] => node::clock(engine, to),
        ["buffers"] => node::buffers(engine, to),
        ["api", "plugin"] => node::modules(to),
        ["errors" | "error" | "err"] | ["node", "counters"] => node::errors(engine, to),
        ["runtime" | "run", ..] => node::runtime(engine, to),
        ["trace", ..] => node::trace(engine, to),
        ["ip", "pmtu" | "path-mtu", ..] => ip::path_mtus(engine, to),
        ["ip", "fib", what @ ..] => ip::fib(engine, Family::V4, what, to),
        ["ip6", "fib", what @ ..] => ip::fib(engine, Family::V6, what, to),
        ["ip" | "ip4", "neighbors" | "neighbor"] => {
            ip::neighbors(engine, &[Family::V4, Family::V6], to)
        }
        ["ip6", "neighbors" | "neighbor"] => ip::neighbors(engine, &[Family::V6], to),
        ["bridge-domain", what @ ..] => l2::bridges(engine, what, to),
        ["l2fib", what @ ..] => l2::l2fib(engine, what, to),
        ["vxlan", ..] => l2::vxlan(engine, to),
        ["acl-plugin", "sessions"] => policy::acl_sessions(engine, to),
        ["acl-plugin", "macip", "interface"] => classify::macip_interfaces(engine, to),
        ["acl-plugin", "macip", ..] => classify::macip_lists(engine, to),
        ["classify", "tables" | "table", how @ ..] => classify::tables(engine, how, to),
        ["inacl", "type", kind] => classify::input(engine, kind, to),
        ["acl-plugin", "interface", ..] => acl::interfaces(engine, to),
        ["acl-plugin", ..] => acl::lists(engine, to),
        ["abf", "policy", ..] => acl::policies(engine, to),
        ["abf", "attach", ..] => acl::attachments(engine, to),
        ["npol", what @ ..] => policy::npol(engine, what, to),
        ["cnat", what @ ..] => cnat::run(engine, what, to),
        ["sr", what @ ..] => sr::run(engine, what, to),
        ["function", what @ ..] => function::run(engine, what, to),
        ["memif", ..] => device::memif(engine, to),
        ["tap", ..] => device::taps(engine, to),
        _ => {
            return super::unknown(&[&["show"], what].concat(), 1, SHOW);
        }
    };
    if written.is_err() {
        out.push_str("(cut)\n");
    }
    out
}

fn name(engine: &Engine, sw_if_index: SwIfIndex) -> &str {
    engine
        .dataplane
        .interface(sw_if_index)
        .map_or("DELETED", |info| info.name.as_str())
}

fn up(is_up: bool) -> &'static str {
    if is_up { "up" } else { "down" }
}

fn on(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}
