//! `show interface`, `show interface address`, `show hardware-interfaces`, `show interface rx-placement`.

use std::fmt::{self, Write};

use vswitch::Family;
use vswitch::interface::{InterfaceInfo, L2Config};

use super::{name, up};
use crate::device::inlet::RxMode;
use crate::engine::Engine;

/// All interfaces, or those that are named.
pub(super) fn counters(engine: &Engine, names: &[&str], out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "{:^33}{:^7}{:^8}{:^23}{:>12}{:>18}",
        "Name", "Idx", "State", "MTU (L3/IP4/IP6/MPLS)", "Counter", "Count"
    )?;
    for info in engine.dataplane.interfaces() {
        if !names.is_empty() && !names.contains(&info.name.as_str()) {
            continue;
        }
        let [l3, ip4, ip6, mpls] = info.mtu;
        let mtu = format!("{l3}/{ip4}/{ip6}/{mpls}");
        write!(
            out,
            "{:<33}{:^7}{:^8}{mtu:^23}",
            info.name,
            info.sw_if_index.0,
            up(info.admin_up)
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
        let mut indent = 5;
        for (what, count) in rows.into_iter().filter(|(_, count)| *count > 0) {
            writeln!(out, "{:indent$}{what:<20}{count:>16}", "")?;
            indent = 76;
        }
        if indent == 5 {
            writeln!(out)?;
        }
    }
    Ok(())
}

pub(super) fn hardware(engine: &Engine, out: &mut String) -> fmt::Result {
    writeln!(out, "{:^32}{:>6}{:^7} Hardware", "Name", "Idx", "Link")?;
    for info in engine.dataplane.interfaces() {
        writeln!(
            out,
            "{:<32}{:>6}{:^7} {}",
            info.name,
            info.sw_if_index.0,
            up(info.link_up),
            info.name
        )?;
        writeln!(out, "  Link speed: unknown")?;
        if info.dev_type != "local" {
            writeln!(out, "  Ethernet address {}", info.mac)?;
        }
        writeln!(
            out,
            "  {} device, max frame {}",
            info.dev_type, info.link_mtu
        )?;
        for (_, queue, worker) in engine
            .placements()
            .filter(|(of, _, _)| *of == info.sw_if_index)
        {
            writeln!(out, "    rx queue {queue} on worker {worker}")?;
        }
        if !info.tag.is_empty() {
            writeln!(out, "  tag {}", info.tag)?;
        }
    }
    Ok(())
}

pub(super) fn addresses(engine: &Engine, out: &mut String) -> fmt::Result {
    for info in engine.dataplane.interfaces() {
        let state = if info.admin_up { "up" } else { "dn" };
        writeln!(out, "{} ({state}):", info.name)?;
        l2(engine, info, out)?;
        if let Some(lender) = info.unnumbered {
            writeln!(out, "  unnumbered, use {}", name(engine, lender))?;
        }
        for address in &info.addresses {
            let family = Family::of(address.addr);
            let version = if family == Family::V4 { "ip4" } else { "ip6" };
            match info.table(family) {
                0 => writeln!(out, "  L3 {address}")?,
                table => writeln!(out, "  L3 {address} {version} table-id {table}")?,
            }
        }
    }
    Ok(())
}

fn l2(engine: &Engine, info: &InterfaceInfo, out: &mut String) -> fmt::Result {
    match info.l2 {
        L2Config::L3 => Ok(()),
        L2Config::Xconnect(to) => writeln!(out, "  L2 xconnect {}", name(engine, to)),
        L2Config::Bridge { bridge, shg, bvi } => {
            let bd_id = bridge_of(engine, info);
            let bvi = if bvi { " bvi" } else { "" };
            writeln!(out, "  L2 bridge bd-id {bd_id} idx {bridge} shg {shg}{bvi}")
        }
        L2Config::SrPolicy(_) => writeln!(out, "  SR steering"),
        L2Config::SrProxy(_) => writeln!(out, "  SR proxy"),
    }
}

/// One line per interface: routed, bridged or connected.
pub(super) fn modes(engine: &Engine, out: &mut String) -> fmt::Result {
    for info in engine.dataplane.interfaces() {
        match info.l2 {
            L2Config::L3 => writeln!(out, "l3 {}  ", info.name)?,
            L2Config::Xconnect(to) => {
                writeln!(out, "l2 xconnect {} {}", info.name, name(engine, to))?;
            }
            L2Config::Bridge { shg, bvi, .. } => {
                let bd_id = bridge_of(engine, info);
                let bvi = if bvi { " bvi" } else { "" };
                writeln!(out, "l2 bridge {} bd_id {bd_id}{bvi} shg {shg}", info.name)?;
            }
            L2Config::SrPolicy(_) | L2Config::SrProxy(_) => {
                writeln!(out, "l2 sr {}  ", info.name)?;
            }
        }
    }
    Ok(())
}

fn bridge_of(engine: &Engine, info: &InterfaceInfo) -> u32 {
    let is_member =
        |b: &vswitch::bridge::BridgeInfo| b.members.iter().any(|(on, _)| *on == info.sw_if_index);
    let domain = engine.dataplane.bridge_domains().find(is_member);
    domain.map_or(0, |b| b.bd_id)
}

pub(super) fn placement(engine: &Engine, out: &mut String) -> fmt::Result {
    let mut all: Vec<_> = engine.placements().collect();
    all.sort_by_key(|(of, queue, worker)| (*worker, of.0, *queue));
    let mut last = None;
    for (of, queue, worker) in all {
        if last != Some(worker) {
            writeln!(out, "Thread {} (worker-{worker}):", worker + 1)?;
            last = Some(worker);
        }
        let mode = match engine.rx_mode(of, queue) {
            RxMode::Polling => "polling",
            RxMode::Interrupt => "interrupt",
            RxMode::Adaptive => "adaptive",
        };
        writeln!(out, "    {} queue {queue} ({mode})", name(engine, of))?;
    }
    Ok(())
}
