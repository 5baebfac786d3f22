//! Applies the input access lists of an interface: first match wins, no match denies.

use super::l2_switch;
use crate::acl::{AclAction, AclKey};
use crate::feature::InputFeature;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};
use crate::id::Family;
use crate::interface::L2Config;
use crate::tables::Tables;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.tables.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let switched = matches!(
        interface.l2,
        L2Config::Xconnect(_) | L2Config::Bridge { bvi: false, .. }
    );
    let key = AclKey::of(frame.l3());
    match key {
        // ARP and other non-IP frames cross a bridge unfiltered, as in the acl plugin.
        None if switched => {}
        None => return Next::Drop(DropReason::BadVersion),
        Some(key) if !permits(env.tables, &interface.acl_in, &key) => {
            return Next::Drop(DropReason::AclDeny);
        }
        Some(_) => {}
    }
    if switched {
        return l2_switch::switch(env, interface, frame);
    }
    let family = if frame.l3().first().is_some_and(|b| b >> 4 == 6) {
        Family::V6
    } else {
        Family::V4
    };
    Next::To(interface.input(family).after(InputFeature::Acl, family))
}

/// Evaluates lists in order; the default is deny.
pub(super) fn permits(tables: &Tables, lists: &[u32], key: &AclKey) -> bool {
    let verdict = lists
        .iter()
        .find_map(|index| tables.acls.get(*index)?.evaluate(key));
    matches!(verdict, Some(AclAction::Permit | AclAction::PermitReflect))
}
