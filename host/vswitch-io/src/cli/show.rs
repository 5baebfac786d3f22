//! The `show` commands.

mod cnat;
mod policy;
mod sr;

use std::fmt::{self, Write};

use vswitch::interface::{InterfaceInfo, L2Config};
use vswitch::route::RoutePath;
use vswitch::{Family, SwIfIndex};

use crate::engine::Engine;

pub(super) const USAGE: &str = "show version | interface | hardware-interfaces | interface address | errors | runtime | \
     ip fib | ip6 fib | ip neighbors | bridge-domain | l2fib | vxlan tunnel | acl-plugin acl | acl-plugin sessions | npol | cnat translation | cnat session | cnat snat-policy | sr localsids | sr policies | sr steering-policies | memif | tap | trace | \
     placement; trace add <input> <count>; clear trace | interfaces";

pub(super) fn run(engine: &Engine, what: &[&str]) -> String {
    let mut out = String::new();
    let written = match what {
        ["version"] => writeln!(out, "weft-vswitch v{}", env!("CARGO_PKG_VERSION")),
        ["interface" | "int", "address" | "addr"] => addresses(engine, &mut out),
        ["interface" | "int", "placement" | "rx-placement"] | ["placement"] => {
            placement(engine, &mut out)
        }
        ["interface" | "int", ..] => interfaces(engine, &mut out),
        ["hardware-interfaces" | "hardware", ..] => hardware(engine, &mut out),
        ["errors" | "error"] => errors(engine, &mut out),
        ["runtime" | "run"] => runtime(engine, &mut out),
        ["ip", "fib", ..] => fib(engine, Family::V4, &mut out),
        ["ip6", "fib", ..] => fib(engine, Family::V6, &mut out),
        ["ip" | "ip6", "neighbors" | "neighbor"] => neighbors(engine, &mut out),
        ["bridge-domain", ..] => bridges(engine, &mut out),
        ["l2fib", ..] => l2fib(engine, &mut out),
        ["vxlan", ..] => vxlan(engine, &mut out),
        ["acl-plugin", "sessions"] => policy::acl_sessions(engine, &mut out),
        ["cnat", what @ ..] => cnat::run(engine, what, &mut out),
        ["npol", what @ ..] => policy::npol(engine, what, &mut out),
        ["acl-plugin", ..] => acls(engine, &mut out),
        ["sr", what @ ..] => sr::run(engine, what, &mut out),
        ["memif", ..] => memif(engine, &mut out),
        ["tap", ..] => taps(engine, &mut out),
        ["trace", ..] => trace(engine, &mut out),
        _ => writeln!(
            out,
            "unknown input `show {}`\nhint: {USAGE}",
            what.join(" ")
        ),
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
        .map_or("?", |info| info.name.as_str())
}

fn up(is_up: bool) -> &'static str {
    if is_up { "up" } else { "down" }
}

fn interfaces(engine: &Engine, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "{:<32}{:>5} {:>6} {:>6}   {:<20}{:>16}",
        "Name", "Idx", "State", "MTU", "Counter", "Count"
    )?;
    for info in engine.dataplane.interfaces() {
        let state = up(info.admin_up);
        write!(
            out,
            "{:<32}{:>5} {:>6} {:>6}",
            info.name, info.sw_if_index.0, state, info.mtu[0]
        )?;
        let counters = engine.dataplane.interface_counters(info.sw_if_index);
        let rows = [
            ("rx packets", counters.rx.packets),
            ("rx bytes", counters.rx.bytes),
            ("tx packets", counters.tx.packets),
            ("tx bytes", counters.tx.bytes),
            ("drops", counters.drops),
            ("rx-error", counters.rx_errors),
            ("tx-error", counters.tx_errors),
            ("ip4", counters.ip4),
            ("ip6", counters.ip6),
        ];
        let mut indent = 3;
        for (what, count) in rows.into_iter().filter(|(_, count)| *count > 0) {
            writeln!(out, "{:indent$}{what:<20}{count:>16}", "")?;
            indent = 54;
        }
        if indent == 3 {
            writeln!(out)?;
        }
    }
    Ok(())
}

fn hardware(engine: &Engine, out: &mut String) -> fmt::Result {
    for info in engine.dataplane.interfaces() {
        writeln!(
            out,
            "{:<32}{:>5} link {:<5} {}",
            info.name,
            info.sw_if_index.0,
            up(info.link_up),
            info.dev_type
        )?;
        writeln!(
            out,
            "  Ethernet address {}, device MTU {}",
            info.mac, info.link_mtu
        )?;
        for (_, queue, worker) in engine
            .placements()
            .filter(|(of, _, _)| *of == info.sw_if_index)
        {
            writeln!(out, "  rx queue {queue} on worker {worker}")?;
        }
        if !info.tag.is_empty() {
            writeln!(out, "  tag {}", info.tag)?;
        }
    }
    Ok(())
}

fn addresses(engine: &Engine, out: &mut String) -> fmt::Result {
    for info in engine.dataplane.interfaces() {
        writeln!(
            out,
            "{} ({}):{}",
            info.name,
            up(info.admin_up),
            l2(engine, info)
        )?;
        for address in &info.addresses {
            let table = info.table(Family::of(address.addr));
            writeln!(out, "  L3 {address} table {table}")?;
        }
        if let Some(lender) = info.unnumbered {
            writeln!(out, "  unnumbered, use {}", name(engine, lender))?;
        }
    }
    Ok(())
}

fn l2(engine: &Engine, info: &InterfaceInfo) -> String {
    match info.l2 {
        L2Config::L3 => String::new(),
        L2Config::Xconnect(to) => format!(" L2 xconnect {}", name(engine, to)),
        L2Config::Bridge { bvi: true, .. } => " L2 bridge BVI".to_owned(),
        L2Config::Bridge { .. } => " L2 bridge".to_owned(),
        L2Config::SrPolicy(_) => " SR steering".to_owned(),
        L2Config::SrProxy(_) => " SR proxy".to_owned(),
    }
}

fn placement(engine: &Engine, out: &mut String) -> fmt::Result {
    for (of, queue, worker) in engine.placements() {
        writeln!(
            out,
            "worker {worker}: {} queue {queue} (adaptive)",
            name(engine, of)
        )?;
    }
    Ok(())
}

fn errors(engine: &Engine, out: &mut String) -> fmt::Result {
    writeln!(out, "{:>10} {:<28} Reason", "Count", "Node")?;
    for error in engine
        .dataplane
        .error_counters()
        .into_iter()
        .filter(|error| error.count > 0)
    {
        writeln!(
            out,
            "{:>10} {:<28} {}",
            error.count, error.node, error.reason
        )?;
    }
    let (panics, lost) = engine.mishaps();
    if panics + lost > 0 {
        writeln!(out, "{panics:>10} {:<28} panics", "worker")?;
        writeln!(out, "{lost:>10} {:<28} notices lost", "worker")?;
    }
    Ok(())
}

fn runtime(engine: &Engine, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "{:<28}{:>14}{:>14}{:>14}",
        "Name", "Calls", "Vectors", "Vectors/Call"
    )?;
    for node in engine
        .dataplane
        .node_counters()
        .into_iter()
        .filter(|node| node.calls > 0)
    {
        let hundredths = node.vectors * 100 / node.calls;
        let rate = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        writeln!(
            out,
            "{:<28}{:>14}{:>14}{rate:>14}",
            node.name, node.calls, node.vectors
        )?;
    }
    Ok(())
}

fn fib(engine: &Engine, family: Family, out: &mut String) -> fmt::Result {
    for table in engine
        .dataplane
        .ip_tables()
        .into_iter()
        .filter(|table| table.family == family)
    {
        writeln!(out, "table {} {}", table.table_id, table.name)?;
        for route in engine.dataplane.ip_routes(family, table.table_id) {
            writeln!(out, "{}", route.prefix)?;
            for path in &route.paths {
                writeln!(out, "  {}", describe(engine, path))?;
            }
        }
    }
    Ok(())
}

fn describe(engine: &Engine, path: &RoutePath) -> String {
    let mut text = format!("{:?}", path.kind).to_lowercase();
    if !path.next_hop.is_unspecified() {
        text.push_str(&format!(" via {}", path.next_hop));
    }
    if path.sw_if_index.is_none() {
        text.push_str(&format!(" table {}", path.table_id));
    } else {
        text.push_str(&format!(" on {}", name(engine, path.sw_if_index)));
    }
    if path.weight != 1 || path.preference != 0 {
        text.push_str(&format!(
            " weight {} preference {}",
            path.weight, path.preference
        ));
    }
    text
}

fn neighbors(engine: &Engine, out: &mut String) -> fmt::Result {
    let now = engine.now();
    for family in [Family::V4, Family::V6] {
        for info in engine.dataplane.ip_neighbors(family, None) {
            let age = now.0.saturating_sub(info.updated.0) / 1_000_000_000;
            let kind = if info.flags.is_static { "S" } else { "D" };
            let on = name(engine, info.sw_if_index);
            writeln!(
                out,
                "{age:>8} s  {kind}  {:<40}{}  {on}",
                info.ip.to_string(),
                info.mac
            )?;
        }
    }
    Ok(())
}

fn bridges(engine: &Engine, out: &mut String) -> fmt::Result {
    for bridge in engine.dataplane.bridge_domains() {
        let spec = &bridge.spec;
        write!(
            out,
            "bd {} age {} learn {} flood {}",
            bridge.bd_id, spec.mac_age, spec.learn, spec.flood
        )?;
        writeln!(
            out,
            " uu-flood {} forward {} tag `{}`",
            spec.uu_flood, spec.forward, spec.tag
        )?;
        for (member, shg) in &bridge.members {
            let role = if bridge.bvi == Some(*member) {
                " BVI"
            } else {
                ""
            };
            writeln!(
                out,
                "  {} ({}) shg {shg}{role}",
                name(engine, *member),
                member.0
            )?;
        }
    }
    Ok(())
}

fn l2fib(engine: &Engine, out: &mut String) -> fmt::Result {
    for bridge in engine.dataplane.bridge_domains() {
        for entry in engine.dataplane.l2fib(bridge.bd_id) {
            let kind = if entry.flags.static_mac {
                "static"
            } else {
                "learned"
            };
            writeln!(
                out,
                "{} bd {} {kind} {}",
                entry.mac,
                entry.bd_id,
                name(engine, entry.sw_if_index)
            )?;
        }
    }
    Ok(())
}

fn vxlan(engine: &Engine, out: &mut String) -> fmt::Result {
    for (of, spec) in engine.dataplane.vxlan_tunnels() {
        writeln!(
            out,
            "{} src {} dst {} vni {}",
            name(engine, of),
            spec.src,
            spec.dst,
            spec.vni
        )?;
    }
    Ok(())
}

fn acls(engine: &Engine, out: &mut String) -> fmt::Result {
    for acl in engine.dataplane.acls() {
        writeln!(
            out,
            "acl-index {} count {} tag {{{}}}",
            acl.acl_index,
            acl.rules.len(),
            acl.tag
        )?;
        for (number, rule) in acl.rules.iter().enumerate() {
            write!(
                out,
                "  {number}: {:?} src {} dst {} proto {}",
                rule.action, rule.src, rule.dst, rule.proto
            )?;
            write!(
                out,
                " sport {}-{}",
                rule.src_ports.first, rule.src_ports.last
            )?;
            writeln!(
                out,
                " dport {}-{}",
                rule.dst_ports.first, rule.dst_ports.last
            )?;
        }
    }
    for (of, input, output) in engine.dataplane.acl_interface_lists() {
        writeln!(
            out,
            "{}: input {input:?} output {output:?}",
            name(engine, of)
        )?;
    }
    Ok(())
}

fn memif(engine: &Engine, out: &mut String) -> fmt::Result {
    for (id, filename) in engine.sockets.iter() {
        writeln!(out, "socket {id} {filename}")?;
    }
    for (of, memif) in &engine.memifs {
        let role = if memif.request.is_master {
            "master"
        } else {
            "slave"
        };
        let state = memif.peer.as_ref().map_or_else(
            || "not connected".to_owned(),
            |(app, interface, ring)| format!("connected to `{app}` `{interface}` ring-size {ring}"),
        );
        writeln!(
            out,
            "interface {} {role} {:?} id {} {state}",
            name(engine, *of),
            memif.request.mode,
            memif.request.id
        )?;
    }
    Ok(())
}

fn taps(engine: &Engine, out: &mut String) -> fmt::Result {
    for (of, tap) in &engine.taps {
        let (host, queues) = (&tap.host, tap.tap.queues().len());
        write!(
            out,
            "interface {} host `{}`",
            name(engine, *of),
            host.host_if_name
        )?;
        writeln!(
            out,
            " namespace `{}` queues {queues} mtu {}",
            host.host_namespace,
            tap.tap.host().mtu
        )?;
    }
    Ok(())
}

fn trace(engine: &Engine, out: &mut String) -> fmt::Result {
    for (worker, packets) in engine.traced().into_iter().enumerate() {
        writeln!(
            out,
            "------------------- worker {worker} -------------------"
        )?;
        if packets.is_empty() {
            writeln!(out, "No packets in trace buffer")?;
        }
        for (number, packet) in packets.iter().enumerate() {
            writeln!(out, "Packet {}\n\n{packet}", number + 1)?;
        }
    }
    Ok(())
}
