//! What `acl-plugin-in-fa` and `acl-plugin-out-fa` share: flows that were reflected pass, others meet the lists.

use crate::acl::{AclAction, AclKey};
use crate::graph::{DropReason, Env};
use crate::id::SwIfIndex;
use crate::interface::Interface;
use crate::session::{Refused, Scope};
use crate::tables::Tables;
use crate::track::{Hook, Kind, Known, Packet};

/// Tells whether a packet may pass the lists of one direction; `None` when it is no IP packet. `len` is its
/// length from the IP header on.
pub(super) fn check(
    env: &Env<'_>,
    interface: &Interface,
    on: SwIfIndex,
    hook: Hook,
    l3: &[u8],
    len: usize,
) -> Option<Result<(), DropReason>> {
    let tables = env.tables;
    let tracked = if tables.acl_tracking.reflects {
        Packet::parse(l3, Scope::new(on.0))
    } else {
        None
    };
    if let Some(packet) = &tracked
        && is_reflected(env, interface, packet, hook)
    {
        return Some(Ok(()));
    }
    let key = AclKey::of(l3)?;
    let verdict = judge(tables, lists(interface, hook), &key, Some(len));
    Some(match (verdict, &tracked) {
        (AclAction::Deny, _) => Err(DropReason::AclDeny),
        (AclAction::PermitReflect, Some(packet)) => {
            let tracking = &tables.acl_tracking;
            let admitted = tracking.flows.admit(packet, hook, tracking.epoch, env.now);
            match admitted {
                Ok(()) | Err(Refused::Busy) => Ok(()),
                Err(Refused::Full | Refused::Crowded | Refused::NoMemory) => {
                    Err(DropReason::FlowsFull)
                }
            }
        }
        (AclAction::Permit | AclAction::PermitReflect, _) => Ok(()),
    })
}

const fn lists(interface: &Interface, hook: Hook) -> &std::sync::Arc<[u32]> {
    match hook {
        Hook::Rx => &interface.acl_in,
        Hook::Tx => &interface.acl_out,
    }
}

/// Tells whether a packet belongs to a flow that a list reflects. As in VPP, ICMP errors do not.
fn is_reflected(env: &Env<'_>, interface: &Interface, packet: &Packet, hook: Hook) -> bool {
    let tracking = &env.tables.acl_tracking;
    let (flows, epoch) = (&tracking.flows, tracking.epoch);
    if matches!(packet.kind, Kind::IcmpError { .. }) {
        return false;
    }
    match flows.look(packet, hook, epoch, env.now) {
        Known::Allowed => true,
        Known::Nothing => false,
        Known::Stale(stale) => {
            let (first, origin) = stale.first();
            let key = AclKey::of_tracked(&first);
            let verdict = judge(env.tables, lists(interface, origin), &key, None);
            if verdict == AclAction::PermitReflect {
                flows.confirm(&stale, epoch, env.now);
                flows.look(packet, hook, epoch, env.now) == Known::Allowed
            } else {
                flows.forget(&stale, env.now);
                false
            }
        }
    }
}

/// Evaluates lists in order; the default is deny. `len` is counted for the rule that matches.
fn judge(tables: &Tables, lists: &[u32], key: &AclKey, len: Option<usize>) -> AclAction {
    let found = lists.iter().find_map(|index| {
        let acl = tables.acls.get(*index)?;
        Some((acl, acl.find(key)?))
    });
    let Some((acl, (at, rule))) = found else {
        return AclAction::Deny;
    };
    if tables.acl_tracking.counters
        && let (Some(counter), Some(len)) = (acl.matches.get(at), len)
    {
        counter.add(len as u64);
    }
    rule.action
}
