//! `show cnat ...`.

use std::fmt::{self, Write};

use vswitch::cnat::{Balance, Place, Resolved, SessionInfo};

use super::name;
use crate::engine::Engine;

/// Sessions shown at most.
const SESSIONS_MAX: usize = 50;

pub(super) fn run(engine: &Engine, what: &[&str], out: &mut String) -> fmt::Result {
    match what {
        ["translation", ..] => translations(engine, out),
        ["session", ..] => sessions(engine, out),
        ["snat-policy"] => snat(engine, out),
        _ => writeln!(out, "usage: show cnat translation | session | snat-policy"),
    }
}

fn translations(engine: &Engine, out: &mut String) -> fmt::Result {
    for info in engine.dataplane.cnat_translations() {
        let balance = match info.balance {
            Balance::Default => "default",
            Balance::Maglev => "maglev",
        };
        writeln!(
            out,
            "[{}] {} {} lb:{balance} fhc:{:#x} flows:{}",
            info.id,
            endpoint(engine, &info.vip),
            protocol(info.protocol),
            info.flow_hash,
            info.chosen.packets
        )?;
        for path in &info.paths {
            let (src, dst) = (endpoint(engine, &path.src), endpoint(engine, &path.dst));
            writeln!(out, "{src}->{dst} flags:{:#x}", path.flags)?;
        }
    }
    Ok(())
}

fn protocol(number: u8) -> String {
    match number {
        6 => "TCP".to_owned(),
        17 => "UDP".to_owned(),
        132 => "SCTP".to_owned(),
        number => number.to_string(),
    }
}

fn endpoint(engine: &Engine, resolved: &Resolved) -> String {
    let port = resolved.endpoint.port;
    let address = resolved
        .address
        .map_or("unresolved".to_owned(), |ip| ip.to_string());
    match resolved.endpoint.place {
        Place::Address(_) => format!("{address};{port}"),
        Place::Interface(on, _) => format!("{} ({address});{port}", name(engine, on)),
    }
}

fn sessions(engine: &Engine, out: &mut String) -> fmt::Result {
    let (count, bytes) = engine.dataplane.cnat_session_memory();
    writeln!(out, "{count} sessions, tables of {bytes} bytes")?;
    let mut some = Vec::new();
    engine.dataplane.cnat_sessions(engine.now(), |info| {
        if some.len() < SESSIONS_MAX {
            some.push(info);
        }
    });
    for info in &some {
        session(info, out)?;
    }
    if count > some.len() {
        writeln!(out, "(only the first {SESSIONS_MAX})")?;
    }
    Ok(())
}

fn session(info: &SessionInfo, out: &mut String) -> fmt::Result {
    let (src, src_port, dst, dst_port) = info.to;
    writeln!(
        out,
        "{} protocol {} [{};{} -> {};{}] => [{src};{src_port} -> {dst};{dst_port}] flags {}",
        info.index, info.protocol, info.src, info.src_port, info.dst, info.dst_port, info.flags
    )
}

fn snat(engine: &Engine, out: &mut String) -> fmt::Result {
    for info in engine.dataplane.cnat_snat_addresses() {
        let [fwd, _] = info.fwd_tables;
        writeln!(
            out,
            "Source NAT (table {fwd})\n  ip4: {};0\n  ip6: {};0",
            info.ip4, info.ip6
        )?;
    }
    Ok(())
}
