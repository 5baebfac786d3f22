//! `show memif` and `show tap`.

use std::fmt::{self, Write};

use super::name;
use crate::engine::Engine;

pub(super) fn memif(engine: &Engine, out: &mut String) -> fmt::Result {
    writeln!(out, "sockets\n  {:<3} {:<11} filename", "id", "listener")?;
    for (id, filename) in engine.sockets.iter() {
        let masters = engine.memifs.values().filter(|m| m.request.is_master);
        let listener = match masters.filter(|m| m.request.socket_id == id).count() {
            0 => "no".to_owned(),
            count => format!("yes ({count})"),
        };
        writeln!(out, "  {id:<3} {listener:<11} {filename}")?;
    }
    for (of, memif) in &engine.memifs {
        let request = &memif.request;
        let mode = format!("{:?}", request.mode).to_lowercase();
        writeln!(out, "\ninterface {}", name(engine, *of))?;
        if let Some((app, interface, _)) = &memif.peer {
            writeln!(
                out,
                "  remote-name \"{app}\"\n  remote-interface \"{interface}\""
            )?;
        }
        writeln!(
            out,
            "  socket-id {} id {} mode {mode}",
            request.socket_id, request.id
        )?;
        let role = if request.is_master { "" } else { " slave" };
        let connected = if memif.peer.is_some() {
            " connected"
        } else {
            ""
        };
        writeln!(out, "  flags{role}{connected}")?;
        if let Some((.., ring)) = memif.peer {
            writeln!(out, "  ring-size {ring}")?;
        }
    }
    Ok(())
}

pub(super) fn taps(engine: &Engine, out: &mut String) -> fmt::Result {
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
