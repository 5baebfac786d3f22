//! A persistent hash map: a fixed-fan-out hash trie with small buckets at the leaves.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

const BITS: u32 = 5;
const WAYS: usize = 1 << BITS;
const BUCKET_MAX: usize = 8;
const DEPTH_MAX: u32 = 6;

type Children<K, V> = [Option<Arc<Node<K, V>>>; WAYS];

#[derive(Debug, Clone)]
enum Node<K, V> {
    Inner(Box<Children<K, V>>),
    Bucket(Vec<(K, V)>),
}

/// A hash map with a seedless, deterministic hash: keys are chosen by the operator or bounded by limits.
#[derive(Debug, Clone)]
pub struct PMap<K, V> {
    root: Arc<Node<K, V>>,
    len: usize,
}

impl<K, V> Default for PMap<K, V> {
    fn default() -> Self {
        Self {
            root: Arc::new(Node::Bucket(Vec::new())),
            len: 0,
        }
    }
}

/// Multiply-and-rotate over the words of a key.
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        let x = self.0.wrapping_mul(0xff51_afd7_ed55_8ccd);
        x ^ (x >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().fold(0u64, |sum, b| (sum << 8) | u64::from(*b));
            self.write_u64(word);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

fn hash_of<K: Hash>(key: &K) -> u64 {
    let mut hasher = KeyHasher(0);
    key.hash(&mut hasher);
    hasher.finish()
}

const fn slot(hash: u64, depth: u32) -> usize {
    let [a, ..] = (hash >> (BITS * depth)).to_le_bytes();
    a as usize & (WAYS - 1)
}

impl<K: Hash + Eq, V> PMap<K, V> {
    pub fn get(&self, key: &K) -> Option<&V> {
        let hash = hash_of(key);
        let (mut node, mut depth) = (&*self.root, 0);
        loop {
            match node {
                Node::Bucket(items) => return items.iter().find(|(k, _)| k == key).map(|(_, v)| v),
                Node::Inner(children) => {
                    node = children.get(slot(hash, depth))?.as_deref()?;
                    depth += 1;
                }
            }
        }
    }

    pub const fn len(&self) -> usize {
        self.len
    }

    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Visits all entries, in an order that depends on the keys only.
    pub fn for_each(&self, mut visit: impl FnMut(&K, &V)) {
        let mut stack = vec![&*self.root];
        while let Some(node) = stack.pop() {
            match node {
                Node::Bucket(items) => items.iter().for_each(|(k, v)| visit(k, v)),
                Node::Inner(children) => {
                    stack.extend(children.iter().rev().filter_map(|c| c.as_deref()));
                }
            }
        }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> PMap<K, V> {
    /// Adds or replaces, and gives the value that was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let hash = hash_of(&key);
        let old = insert(&mut self.root, hash, 0, key, value);
        self.len += usize::from(old.is_none());
        old
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.get(key)?;
        let hash = hash_of(key);
        let (mut node, mut depth) = (&mut self.root, 0);
        loop {
            match Arc::make_mut(node) {
                Node::Bucket(items) => {
                    let at = items.iter().position(|(k, _)| k == key)?;
                    self.len -= 1;
                    return Some(items.swap_remove(at).1);
                }
                Node::Inner(children) => {
                    node = children.get_mut(slot(hash, depth))?.as_mut()?;
                    depth += 1;
                }
            }
        }
    }
}

fn insert<K: Hash + Eq + Clone, V: Clone>(
    node: &mut Arc<Node<K, V>>,
    hash: u64,
    depth: u32,
    key: K,
    value: V,
) -> Option<V> {
    let node = Arc::make_mut(node);
    if let Node::Bucket(items) = node {
        if let Some((_, v)) = items.iter_mut().find(|(k, _)| *k == key) {
            return Some(std::mem::replace(v, value));
        }
        if items.len() < BUCKET_MAX || depth >= DEPTH_MAX {
            items.push((key, value));
            return None;
        }
        let items = std::mem::take(items);
        *node = Node::Inner(Box::new(std::array::from_fn(|_| None)));
        for (k, v) in items {
            let hash = hash_of(&k);
            insert_child(node, hash, depth, k, v);
        }
    }
    insert_child(node, hash, depth, key, value)
}

fn insert_child<K: Hash + Eq + Clone, V: Clone>(
    node: &mut Node<K, V>,
    hash: u64,
    depth: u32,
    key: K,
    value: V,
) -> Option<V> {
    let Node::Inner(children) = node else {
        return None;
    };
    let child = children.get_mut(slot(hash, depth))?;
    insert(
        child.get_or_insert_with(|| Arc::new(Node::Bucket(Vec::new()))),
        hash,
        depth + 1,
        key,
        value,
    )
}
