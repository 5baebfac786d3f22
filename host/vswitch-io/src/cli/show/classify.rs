//! `show classify tables`, `show inacl type`, `show acl-plugin macip acl` and `interface`.

use std::fmt::{self, Write};

use vswitch::Family;
use vswitch::acl::AclAction;
use vswitch::classify::{Action, NONE, SessionInfo};

use super::name;
use crate::engine::Engine;

pub(super) fn tables(engine: &Engine, how: &[&str], out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "{:>10}{:>10}{:>10}{:>10}",
        "TableIdx", "Sessions", "NextTbl", "NextNode"
    )?;
    for table in engine.dataplane.classify_tables() {
        let (next, miss) = (number(table.spec.next_table), number(table.spec.miss_next));
        writeln!(
            out,
            "{:>10}{:>10}{next:>10}{miss:>10}",
            table.index, table.sessions
        )?;
        write!(
            out,
            "  skip {} match {} mask ",
            table.spec.skip,
            table.spec.mask.len() / 16
        )?;
        hex(&table.spec.mask, out)?;
        match table.spec.from_current {
            Some(offset) => writeln!(out, " use current data offset {offset}")?,
            None => writeln!(out)?,
        }
        if let ["verbose" | "v", ..] = how {
            for session in engine.dataplane.classify_sessions(table.index) {
                describe(&session, out)?;
            }
        }
    }
    Ok(())
}

fn describe(session: &SessionInfo, out: &mut String) -> fmt::Result {
    let verdict = if session.hit_next == 0 {
        "deny"
    } else {
        "permit"
    };
    write!(out, "    {verdict} opaque {} ", number(session.opaque))?;
    match session.action {
        Action::None => write!(out, "action none")?,
        Action::SetFib {
            family: Family::V4,
            table_id,
        } => write!(out, "action set-ip4-fib-id {table_id}")?,
        Action::SetFib {
            family: Family::V6,
            table_id,
        } => write!(out, "action set-ip6-fib-id {table_id}")?,
        Action::SetMetadata(value) => write!(out, "action set-metadata {value}")?,
    }
    write!(out, " hits {} match ", session.hits)?;
    hex(&session.matched, out)?;
    writeln!(out)
}

fn number(value: u32) -> String {
    if value == NONE {
        "-1".to_owned()
    } else {
        value.to_string()
    }
}

fn hex(bytes: &[u8], out: &mut String) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
}

pub(super) fn input(engine: &Engine, kind: &str, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "{:>10}{:>20}\t\tInterface name",
        "Intfc idx", "Classify table"
    )?;
    for info in engine.dataplane.interfaces() {
        let table = match kind {
            "ip4" => info.classify_in.ip4,
            "ip6" => info.classify_in.ip6,
            _ => info.classify_in.l2,
        };
        if let Some(table) = table {
            writeln!(
                out,
                "{:>10}{table:>20}\t\t{}",
                info.sw_if_index.0, info.name
            )?;
        }
    }
    Ok(())
}

pub(super) fn macip_lists(engine: &Engine, out: &mut String) -> fmt::Result {
    for list in engine.dataplane.macip_acls() {
        let count = list.rules.len();
        writeln!(
            out,
            "MACIP acl_index: {}, count: {count} tag {{{}}}",
            list.acl_index, list.tag
        )?;
        for (number, rule) in list.rules.iter().enumerate() {
            let action = match rule.action {
                AclAction::Deny => "deny",
                AclAction::Permit | AclAction::PermitReflect => "permit",
            };
            let (mac, mask) = (rule.mac, rule.mac_mask);
            writeln!(
                out,
                "    rule {number}: {action} ip {} mac {mac} mask {mask}",
                rule.src
            )?;
        }
        let users = engine.dataplane.macip_acl_interfaces();
        let users: Vec<_> = users
            .filter(|(_, of)| *of == list.acl_index)
            .map(|(on, _)| on.to_string())
            .collect();
        if !users.is_empty() {
            writeln!(out, "  applied on sw_if_index(s): {}", users.join(", "))?;
        }
    }
    Ok(())
}

pub(super) fn macip_interfaces(engine: &Engine, out: &mut String) -> fmt::Result {
    for (on, list) in engine.dataplane.macip_acl_interfaces() {
        writeln!(out, "  sw_if_index {on} ({}): {list}", name(engine, on))?;
    }
    Ok(())
}
