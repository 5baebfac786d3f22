//! `show acl-plugin acl`, `show acl-plugin interface`, `show abf policy`, `show abf attach`.

use std::fmt::{self, Write};

use vswitch::acl::AclAction;
use vswitch::{Family, SwIfIndex};

use super::{ip, name};
use crate::engine::Engine;

pub(super) fn lists(engine: &Engine, out: &mut String) -> fmt::Result {
    let applied = engine.dataplane.acl_interface_lists();
    for acl in engine.dataplane.acls() {
        writeln!(
            out,
            "acl-index {} count {} tag {{{}}}",
            acl.acl_index,
            acl.rules.len(),
            acl.tag
        )?;
        for (number, rule) in acl.rules.iter().enumerate() {
            let version = match rule.src.family() {
                Family::V4 => "ipv4",
                Family::V6 => "ipv6",
            };
            let action = match rule.action {
                AclAction::Deny => "deny",
                AclAction::Permit => "permit",
                AclAction::PermitReflect => "permit+reflect",
            };
            write!(
                out,
                "{number:>11}: {version} {action} src {} dst {} proto {}",
                rule.src, rule.dst, rule.proto
            )?;
            for (side, ports) in [("sport", rule.src_ports), ("dport", rule.dst_ports)] {
                write!(out, " {side} {}", ports.first)?;
                if ports.first != ports.last {
                    write!(out, "-{}", ports.last)?;
                }
            }
            if rule.tcp_mask != 0 {
                write!(out, " tcpflags {} mask {}", rule.tcp_value, rule.tcp_mask)?;
            }
            writeln!(out)?;
        }
        type Lists = (SwIfIndex, Vec<u32>, Vec<u32>);
        for (direction, of) in [
            ("inbound", (|l| &l.1) as fn(&Lists) -> &Vec<u32>),
            ("outbound", |l| &l.2),
        ] {
            let on = applied.iter().filter(|l| of(l).contains(&acl.acl_index));
            let on: Vec<_> = on.map(|l| l.0.to_string()).collect();
            if !on.is_empty() {
                writeln!(
                    out,
                    "  applied {direction} on sw_if_index: {}",
                    on.join(", ")
                )?;
            }
        }
        let policies = engine.dataplane.abf_policies();
        let used = policies.iter().filter(|p| p.acl_index == acl.acl_index);
        let used: Vec<_> = used.map(|p| p.policy_id.to_string()).collect();
        if !used.is_empty() {
            writeln!(
                out,
                "  used in lookup context of abf policy: {}",
                used.join(", ")
            )?;
        }
    }
    Ok(())
}

pub(super) fn interfaces(engine: &Engine, out: &mut String) -> fmt::Result {
    for (of, input, output) in engine.dataplane.acl_interface_lists() {
        writeln!(out, "sw_if_index {of} ({}):", name(engine, of))?;
        for (direction, lists) in [("input", input), ("output", output)] {
            if !lists.is_empty() {
                let lists: Vec<_> = lists.iter().map(ToString::to_string).collect();
                writeln!(out, "  {direction} acl(s): {}", lists.join(", "))?;
            }
        }
    }
    Ok(())
}

pub(super) fn policies(engine: &Engine, out: &mut String) -> fmt::Result {
    for (at, policy) in engine.dataplane.abf_policies().iter().enumerate() {
        writeln!(
            out,
            "abf:[{at}]: policy:{} acl:{}",
            policy.policy_id, policy.acl_index
        )?;
        for (at, path) in policy.paths.iter().enumerate() {
            writeln!(out, "     path:[{at}] {}", ip::describe(engine, path))?;
        }
    }
    Ok(())
}

pub(super) fn attachments(engine: &Engine, out: &mut String) -> fmt::Result {
    for attachment in engine.dataplane.abf_attachments() {
        let version = match attachment.family {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        };
        writeln!(
            out,
            "{}: {version} abf-interface-attach: policy:{} priority:{}",
            name(engine, attachment.sw_if_index),
            attachment.policy_id,
            attachment.priority
        )?;
    }
    Ok(())
}
