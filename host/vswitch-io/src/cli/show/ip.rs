//! `show ip fib`, `show ip6 fib`, `show ip neighbors`.

use std::fmt::{self, Write};

use vswitch::flow_hash::flow_hash_names;
use vswitch::route::{PathKind, RouteInfo, RoutePath};
use vswitch::{Family, Prefix};

use super::name;
use crate::engine::Engine;

const USAGE: &str = "usage: show ip|ip6 fib [table <id>] [<address>[/<length>]]";

/// All routes, those of a table, or the one that an address takes.
pub(super) fn fib(engine: &Engine, family: Family, what: &[&str], out: &mut String) -> fmt::Result {
    let (only, rest) = match what {
        ["table", id, rest @ ..] => (id.parse::<u32>().ok(), rest),
        rest => (None, rest),
    };
    let wanted = match rest {
        [] => None,
        [text] => match prefix(text).filter(|p| p.family() == family) {
            Some(prefix) => Some(prefix),
            None => return writeln!(out, "{USAGE}"),
        },
        _ => return writeln!(out, "{USAGE}"),
    };
    if what.first() == Some(&"table") && only.is_none() {
        return writeln!(out, "{USAGE}");
    }
    let tables = engine.dataplane.ip_tables().into_iter();
    let is_shown = |id: u32| only.is_none_or(|only| only == id);
    for table in tables.filter(|t| t.family == family && is_shown(t.table_id)) {
        writeln!(
            out,
            "{}, fib_index:{}, flow hash:[{}]",
            table.name,
            table.table_id,
            flow_hash_names(table.flow_hash)
        )?;
        let routes = match wanted {
            None => engine.dataplane.ip_routes(family, table.table_id),
            Some(prefix) => engine
                .dataplane
                .ip_route_lookup(table.table_id, prefix, false)
                .into_iter()
                .collect(),
        };
        for found in routes {
            route(engine, family, &found, out)?;
        }
    }
    Ok(())
}

fn prefix(text: &str) -> Option<Prefix> {
    match text.parse() {
        Ok(ip) => Some(Prefix::host(ip)),
        Err(_) => text.parse().ok(),
    }
}

fn route(engine: &Engine, family: Family, route: &RouteInfo, out: &mut String) -> fmt::Result {
    let version = if family == Family::V4 { "ip4" } else { "ip6" };
    writeln!(out, "{}", route.prefix)?;
    writeln!(out, "  unicast-{version}-chain")?;
    writeln!(
        out,
        "  [@0]: dpo-load-balance: [proto:{version} index:{} buckets:{}]",
        route.stats_index,
        route.paths.len().max(1)
    )?;
    if route.paths.is_empty() {
        writeln!(out, "    [0] [@0]: dpo-drop {version}")?;
    }
    for (at, path) in route.paths.iter().enumerate() {
        writeln!(out, "    [{at}] [@0]: {}", describe(engine, path))?;
    }
    Ok(())
}

pub(super) fn describe(engine: &Engine, path: &RoutePath) -> String {
    let version = if path.family == Family::V4 {
        ("ip4", "ipv4")
    } else {
        ("ip6", "ipv6")
    };
    let on = name(engine, path.sw_if_index);
    let mut text = match path.kind {
        PathKind::Local if path.sw_if_index.is_none() => format!("dpo-receive {}", version.0),
        PathKind::Local => format!("dpo-receive: {on}"),
        PathKind::Drop => format!("dpo-drop {}", version.0),
        PathKind::IcmpUnreach => format!("unreachable {}", version.0),
        PathKind::IcmpProhibit => format!("prohibited {}", version.0),
        PathKind::Normal => match (path.next_hop.is_unspecified(), path.sw_if_index.is_none()) {
            (false, false) => {
                let known = engine
                    .dataplane
                    .ip_neighbors(path.family, Some(path.sw_if_index))
                    .into_iter()
                    .find(|n| n.ip == path.next_hop);
                match known {
                    Some(n) => format!("{} via {} {on}: {}", version.1, path.next_hop, n.mac),
                    None => format!("arp-{}: via {} {on}", version.1, path.next_hop),
                }
            }
            (true, false) => format!("{}-glean: {on}", version.1),
            (false, true) => format!("via {} in table {}", path.next_hop, path.table_id),
            (true, true) => format!("dst-address, unicast lookup in table {}", path.table_id),
        },
    };
    if path.weight != 1 || path.preference != 0 {
        text.push_str(&format!(" weight={} pref={}", path.weight, path.preference));
    }
    text
}

pub(super) fn tables(engine: &Engine, family: Family, out: &mut String) -> fmt::Result {
    let all = engine.dataplane.ip_tables().into_iter();
    for (at, table) in all.filter(|t| t.family == family).enumerate() {
        writeln!(out, "[{at}] table_id:{} {}", table.table_id, table.name)?;
    }
    Ok(())
}

pub(super) fn neighbors(engine: &Engine, families: &[Family], out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "{:^14}{:^42}{:^8}{:^22}Interface",
        "Age", "IP", "Flags", "Ethernet"
    )?;
    let now = engine.now();
    for family in families {
        for info in engine.dataplane.ip_neighbors(*family, None) {
            let age = now.0.saturating_sub(info.updated.0) / 1_000_000;
            let age = format!("{}.{:04}", age / 1000, age % 1000 * 10);
            let is_static = if info.flags.is_static { "S" } else { "D" };
            let no_route = if info.flags.no_fib_entry { "N" } else { "" };
            let flags = format!("{is_static}{no_route}");
            writeln!(
                out,
                "{age:>12}  {:>40}  {flags:^8}{:^22}{}",
                info.ip.to_string(),
                info.mac.to_string(),
                name(engine, info.sw_if_index)
            )?;
        }
    }
    Ok(())
}

pub(super) fn path_mtus(engine: &Engine, out: &mut String) -> fmt::Result {
    for (at, (table_id, to, mtu)) in engine.dataplane.ip_path_mtus().enumerate() {
        writeln!(out, "[{at}] [tbl:[{table_id}]] {to} pmtu:[cfg:{mtu}]")?;
    }
    Ok(())
}
