//! `show bridge-domain`, `show l2fib`, `show vxlan tunnel`.

use std::fmt::{self, Write};

use vswitch::bridge::{BridgeInfo, L2FibEntry, LEARN_LIMIT_DEFAULT, MACS_MAX};

use super::{name, on};
use crate::engine::Engine;

/// All domains, or one; `detail` lists the ports.
pub(super) fn bridges(engine: &Engine, what: &[&str], out: &mut String) -> fmt::Result {
    let only: Option<u32> = what.first().and_then(|id| id.parse().ok());
    let is_detailed = what.iter().any(|word| matches!(*word, "detail" | "int"));
    let is_wanted = |b: &BridgeInfo| only.is_none_or(|id| id == b.bd_id);
    let all: Vec<_> = engine
        .dataplane
        .bridge_domains()
        .filter(is_wanted)
        .collect();
    if all.is_empty() {
        return match only {
            Some(id) => writeln!(out, "show bridge-domain: No such bridge domain {id}"),
            None => writeln!(out, "no bridge-domains in use"),
        };
    }
    heading(out)?;
    for (at, bridge) in all.iter().enumerate() {
        domain(engine, bridge, at, out)?;
        if is_detailed {
            ports(engine, bridge, out)?;
        }
    }
    Ok(())
}

fn heading(out: &mut String) -> fmt::Result {
    for (title, width) in [
        ("BD-ID", 8),
        ("Index", 8),
        ("BSN", 6),
        ("Age(min)", 10),
        ("Learning", 10),
        ("U-Forwrd", 10),
        ("UU-Flood", 10),
        ("Flooding", 10),
        ("ARP-Term", 10),
        ("arp-ufwd", 10),
        ("Learn-co", 10),
        ("Learn-li", 10),
    ] {
        write!(out, "{title:^width$}")?;
    }
    writeln!(out, "  BVI-Intf")
}

fn domain(engine: &Engine, bridge: &BridgeInfo, at: usize, out: &mut String) -> fmt::Result {
    let spec = &bridge.spec;
    let age = match spec.mac_age {
        0 => "off".to_owned(),
        minutes => minutes.to_string(),
    };
    let unknown = match (bridge.uu_fwd, spec.uu_flood) {
        (Some(port), _) => name(engine, port),
        (None, true) => "flood",
        (None, false) => "drop",
    };
    let entries = engine.dataplane.l2fib(bridge.bd_id);
    let learned = entries.iter().filter(|e| !e.flags.static_mac).count();
    write!(out, "{:^8}{at:^8}{:^6}{age:^10}", bridge.bd_id, 0)?;
    write!(out, "{:^10}{:^10}", on(spec.learn), on(spec.forward))?;
    write!(out, "{unknown:^10}{:^10}", on(spec.flood))?;
    write!(out, "{:^10}{:^10}", on(spec.arp_term), on(spec.arp_ufwd))?;
    let bvi = bridge.bvi.map_or("N/A", |bvi| name(engine, bvi));
    let limit = spec.learn_limit.unwrap_or(LEARN_LIMIT_DEFAULT);
    writeln!(out, "{learned:^10}{limit:^10}  {bvi}")?;
    if !spec.tag.is_empty() {
        writeln!(out, "  BD-Tag: {}", spec.tag)?;
    }
    Ok(())
}

fn ports(engine: &Engine, bridge: &BridgeInfo, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "\n{:^30}{:^8}{:^5}{:^5}{:^9}",
        "Interface", "If-idx", "SHG", "BVI", "TxFlood"
    )?;
    for (member, shg) in &bridge.members {
        let bvi = if bridge.bvi == Some(*member) {
            "*"
        } else {
            "-"
        };
        let flood = if bridge.uu_fwd == Some(*member) {
            "-"
        } else {
            "*"
        };
        writeln!(
            out,
            "{:>29} {:^8}{shg:^5}{bvi:^5}{flood:^9}",
            name(engine, *member),
            member.0
        )?;
    }
    writeln!(out)
}

/// The number of entries; `verbose` or `all` lists them.
pub(super) fn l2fib(engine: &Engine, what: &[&str], out: &mut String) -> fmt::Result {
    let only: Option<u32> = match what {
        [.., "bd_id", id] => id.parse().ok(),
        _ => None,
    };
    let bridges = engine.dataplane.bridge_domains();
    let wanted = bridges.filter(|b| only.is_none_or(|id| id == b.bd_id));
    let all: Vec<_> = wanted
        .flat_map(|b| engine.dataplane.l2fib(b.bd_id))
        .collect();
    if what.is_empty() || all.is_empty() {
        return totals(&all, out);
    }
    writeln!(
        out,
        "{:^20}{:^8}{:^8}{:^8}{:^8}{:^5}Interface-Name",
        "Mac-Address", "BD-ID", "If-Idx", "static", "filter", "bvi"
    )?;
    let mark = |is_set| if is_set { "*" } else { "-" };
    for entry in &all {
        let flags = entry.flags;
        let port = match entry.sw_if_index {
            index if index.is_none() => "-1".to_owned(),
            index => index.0.to_string(),
        };
        let shown = if flags.filter_mac {
            "N/A"
        } else {
            name(engine, entry.sw_if_index)
        };
        writeln!(
            out,
            "{:^20}{:^8}{port:^8}{:^8}{:^8}{:^5}{shown}",
            entry.mac.to_string(),
            entry.bd_id,
            mark(flags.static_mac),
            mark(flags.filter_mac),
            mark(flags.bvi_mac),
        )?;
    }
    totals(&all, out)
}

fn totals(all: &[L2FibEntry], out: &mut String) -> fmt::Result {
    let learned = all.iter().filter(|e| !e.flags.static_mac).count();
    writeln!(
        out,
        "L2FIB total/learned entries: {}/{learned}  Learn limit: {MACS_MAX}",
        all.len()
    )
}

pub(super) fn vxlan(engine: &Engine, out: &mut String) -> fmt::Result {
    let mut is_any = false;
    for (index, spec) in engine.dataplane.vxlan_tunnels() {
        let (src_port, dst_port) = (spec.src_port, spec.dst_port);
        let or_default = |port| if port == 0 { 4789 } else { port };
        let instance = spec.instance.unwrap_or_default();
        writeln!(
            out,
            "[{instance}] instance {instance} src {} dst {} src_port {} dst_port {} vni {} fib-idx {} sw-if-idx {}{}",
            spec.src,
            spec.dst,
            or_default(src_port),
            or_default(dst_port),
            spec.vni,
            spec.encap_table,
            index.0,
            if spec.is_l3 { " l3" } else { "" }
        )?;
        is_any = true;
    }
    if is_any {
        Ok(())
    } else {
        writeln!(out, "No vxlan tunnels configured...")
    }
}
