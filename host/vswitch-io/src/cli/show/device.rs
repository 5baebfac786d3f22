//! `show memif` and `show tap`.

use std::fmt::{self, Write};

use super::name;
use crate::engine::Engine;

pub(super) fn memif(engine: &Engine, out: &mut String) -> fmt::Result {
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
