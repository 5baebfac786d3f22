//! ACL-based forwarding: the first attached policy whose list permits the packet takes it, past the lookup.

use super::resolve;
use crate::acl::{AclAction, AclKey};
use crate::feature::InputFeature;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};
use crate::id::Family;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.tables.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let Some(key) = AclKey::of(frame.l3()) else {
        return Next::Drop(DropReason::BadVersion);
    };
    let family = Family::of(key.flow.dst);
    let policies = match family {
        Family::V4 => &interface.abf4,
        Family::V6 => &interface.abf6,
    };
    for policy in policies.iter() {
        let verdict = env
            .tables
            .acls
            .get(policy.acl_index)
            .and_then(|acl| acl.evaluate(&key));
        if matches!(verdict, Some(AclAction::Permit | AclAction::PermitReflect))
            && let Some(choices) = env.tables.load_balance(policy.load_balance)
        {
            return resolve::through(env, frame, choices, key.flow.dst);
        }
    }
    Next::To(interface.input(family).after(InputFeature::Abf, family))
}
