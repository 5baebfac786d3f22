//! From what is to what should be: the least operations, in an order that works.
//!
//! Deletions come first, last made first; then creations and changes, needs first. An object that
//! leans on something that goes away is itself taken down before and put up again after.

use std::collections::BTreeSet;

use crate::object::{Key, Object, Objects};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Create { key: Key, object: Object },
    Update { key: Key, from: Object, to: Object },
    Delete { key: Key, object: Object },
}

impl Op {
    /// The object that it is about.
    pub const fn key(&self) -> &Key {
        match self {
            Self::Create { key, .. } | Self::Update { key, .. } | Self::Delete { key, .. } => key,
        }
    }

    /// Does to `objects` what the dataplane does to itself.
    pub fn apply(&self, objects: &mut Objects) {
        match self {
            Self::Create { key, object } => objects.insert(key.clone(), object.clone()),
            Self::Update { key, to, .. } => objects.insert(key.clone(), to.clone()),
            Self::Delete { key, .. } => objects.remove(key),
        };
    }
}

/// All that differs.
pub fn diff(desired: &Objects, observed: &Objects) -> Vec<Op> {
    let keys = desired.keys().chain(observed.keys()).cloned().collect();
    diff_keys(desired, observed, &keys)
}

/// What differs among `keys`, and what leans on it.
pub fn diff_keys(desired: &Objects, observed: &Objects, keys: &BTreeSet<Key>) -> Vec<Op> {
    let doomed = doomed(desired, observed, keys);
    let mut ops: Vec<Op> = doomed
        .iter()
        .rev()
        .filter_map(|key| {
            let object = observed.get(key)?.clone();
            Some(Op::Delete {
                key: key.clone(),
                object,
            })
        })
        .collect();
    for key in keys.union(&doomed) {
        let Some(to) = desired.get(key).cloned() else {
            continue;
        };
        let key = key.clone();
        match observed.get(&key).filter(|_| !doomed.contains(&key)) {
            None => ops.push(Op::Create { key, object: to }),
            Some(from) if *from != to => ops.push(Op::Update {
                from: from.clone(),
                key,
                to,
            }),
            Some(_) => {}
        }
    }
    ops
}

/// Observed objects that have to go, for good or to be made anew.
fn doomed(desired: &Objects, observed: &Objects, keys: &BTreeSet<Key>) -> BTreeSet<Key> {
    let mut doomed: BTreeSet<Key> = keys
        .iter()
        .filter(|key| {
            let (is, should) = (observed.get(*key), desired.get(*key));
            is.is_some_and(|is| !should.is_some_and(|should| is.can_become(should)))
        })
        .cloned()
        .collect();
    // Needs always have a smaller key, so one pass in key order reaches everything above. Only the
    // kinds below can be leaned on.
    if doomed.iter().any(can_be_leaned_on) {
        for (key, object) in observed {
            if object.needs(key).iter().any(|need| doomed.contains(need)) {
                doomed.insert(key.clone());
            }
        }
    }
    doomed
}

const fn can_be_leaned_on(key: &Key) -> bool {
    matches!(
        key,
        Key::MemifSocket(_)
            | Key::Acl(_)
            | Key::Interface(_)
            | Key::Bridge(_)
            | Key::L2(_)
            | Key::Policy(_)
    )
}

#[cfg(test)]
mod tests;
