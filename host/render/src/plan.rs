//! The desired state in parts, so that an event only renders what it touches.

use std::collections::{BTreeMap, BTreeSet};

use model::{NodeName, ObjectName};

use crate::object::{Key, Objects};

/// What a part of the desired state is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Base,
    Peer(NodeName),
    /// A container.
    Pod(String),
    Chain(ObjectName),
    /// What classifiers drop, of all chains.
    Drops,
}

/// All desired objects. Parts own disjoint keys.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    parts: BTreeMap<Part, BTreeSet<Key>>,
    objects: Objects,
}

impl Plan {
    pub const fn objects(&self) -> &Objects {
        &self.objects
    }

    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.keys()
    }

    /// The objects of one part.
    pub fn keys_of(&self, part: &Part) -> BTreeSet<Key> {
        self.parts.get(part).cloned().unwrap_or_default()
    }

    /// Exchanges one part (for nothing, to remove it); answers the keys that changed.
    pub fn replace(&mut self, part: Part, objects: Objects) -> BTreeSet<Key> {
        let old = self.parts.remove(&part).unwrap_or_default();
        let mut changed = BTreeSet::new();
        for key in old {
            if !objects.contains_key(&key) {
                self.objects.remove(&key);
                changed.insert(key);
            }
        }
        if !objects.is_empty() {
            self.parts.insert(part, objects.keys().cloned().collect());
        }
        for (key, object) in objects {
            if self.objects.get(&key) != Some(&object) {
                self.objects.insert(key.clone(), object);
                changed.insert(key);
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Object;

    #[test]
    fn replacing_a_part_names_only_what_changed() {
        let route = |n: u8| Key::Route(format!("10.0.0.{n}/32").parse().unwrap());
        let objects = |keys: &[u8]| -> Objects {
            keys.iter().map(|n| (route(*n), Object::Address)).collect()
        };
        let mut plan = Plan::default();
        plan.replace(Part::Pod("a".to_owned()), objects(&[1, 2]));
        plan.replace(Part::Pod("b".to_owned()), objects(&[3]));
        let changed = plan.replace(Part::Pod("a".to_owned()), objects(&[2, 4]));
        assert_eq!(changed, BTreeSet::from([route(1), route(4)]));
        assert_eq!(*plan.objects(), objects(&[2, 3, 4]));
        plan.replace(Part::Pod("a".to_owned()), Objects::new());
        assert_eq!(plan.parts().count(), 1);
    }
}
