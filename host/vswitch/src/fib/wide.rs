//! IPv4: direct tables. A node costs 1 KiB (3 KiB above the third byte) however many prefixes end in it.

use std::sync::Arc;

use super::{Local, Locals, NONE};

/// In an entry of a [`Third`]: the rest of it is an index into the longer prefixes.
const DEEP: u32 = 1 << 31;

/// The node of the first byte.
type First = Inner<Second>;
/// A node of the second byte.
type Second = Inner<Third>;

/// A node above the third byte.
#[derive(Debug, Clone)]
struct Inner<C> {
    best: [u32; 256],
    children: [Option<Arc<C>>; 256],
    locals: Locals,
}

/// A node of the third byte: where most prefixes of a large table end.
#[derive(Debug, Clone)]
struct Third {
    /// The best value, or [`DEEP`] and an index.
    entries: [u32; 256],
    /// The best value here, and the node of the fourth byte.
    deep: Vec<(u32, Arc<Fourth>)>,
    locals: Locals,
}

/// A node of the fourth byte.
#[derive(Debug, Clone)]
struct Fourth {
    best: [u32; 256],
    locals: Locals,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    root: Option<Arc<First>>,
}

impl<C> Default for Inner<C> {
    fn default() -> Self {
        Self {
            best: [NONE; 256],
            children: std::array::from_fn(|_| None),
            locals: Locals::default(),
        }
    }
}

impl Default for Third {
    fn default() -> Self {
        Self {
            entries: [NONE; 256],
            deep: Vec::new(),
            locals: Locals::default(),
        }
    }
}

impl Default for Fourth {
    fn default() -> Self {
        Self {
            best: [NONE; 256],
            locals: Locals::default(),
        }
    }
}

#[inline]
fn entry(of: &[u32; 256], byte: u8) -> u32 {
    of.get(usize::from(byte)).copied().unwrap_or(NONE)
}

#[inline]
const fn or(better: u32, best: u32) -> u32 {
    if better == NONE { best } else { better }
}

#[inline]
fn known(best: u32) -> Option<u32> {
    (best != NONE).then_some(best)
}

impl Table {
    #[inline]
    pub(super) fn lookup(&self, [a, b, c, d]: [u8; 4]) -> Option<u32> {
        let first = self.root.as_deref()?;
        let best = entry(&first.best, a);
        let Some(second) = first.child(a) else {
            return known(best);
        };
        let best = or(entry(&second.best, b), best);
        let Some(third) = second.child(b) else {
            return known(best);
        };
        let found = entry(&third.entries, c);
        if found & DEEP == 0 {
            return known(or(found, best));
        }
        let (here, fourth) = third.deep.get((found & !DEEP) as usize)?;
        known(or(entry(&fourth.best, d), or(*here, best)))
    }

    pub(super) fn insert(&mut self, [a, b, c, d]: [u8; 4], len: u8, value: u32) {
        let first = Arc::make_mut(self.root.get_or_insert_default());
        let local = |len, byte| Local { len, byte, value };
        match len {
            0..=8 => first.set(local(len, a)),
            9..=16 => first.child_or_new(a, |second| second.set(local(len - 8, b))),
            17..=24 => first.child_or_new(a, |second| {
                second.child_or_new(b, |third| third.set(local(len - 16, c)));
            }),
            _ => first.child_or_new(a, |second| {
                second.child_or_new(b, |third| {
                    third.fourth_or_new(c, |fourth| fourth.set(local(len - 24, d)));
                });
            }),
        }
    }

    pub(super) fn remove(&mut self, [a, b, c, d]: [u8; 4], len: u8) -> bool {
        let Some(root) = &mut self.root else {
            return false;
        };
        let first = Arc::make_mut(root);
        match len {
            0..=8 => first.unset(len, a),
            9..=16 => first.in_child(a, Inner::is_empty, |second| second.unset(len - 8, b)),
            17..=24 => first.in_child(a, Inner::is_empty, |second| {
                second.in_child(b, Third::is_empty, |third| third.unset(len - 16, c))
            }),
            _ => first.in_child(a, Inner::is_empty, |second| {
                second.in_child(b, Third::is_empty, |third| {
                    third.in_fourth(c, |fourth| fourth.unset(len - 24, d))
                })
            }),
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.root.as_ref().is_none_or(|root| root.is_empty())
    }
}

/// Puts a prefix into the best values of a node.
fn set(best: &mut [u32; 256], locals: &mut Locals, local: Local) {
    locals.set(local);
    if local.len == 8 {
        // Nothing in this node is longer.
        if let Some(only) = best.get_mut(usize::from(local.byte)) {
            *only = local.value;
        }
    } else {
        *best = locals.lay_out();
    }
}

fn unset(best: &mut [u32; 256], locals: &mut Locals, len: u8, byte: u8) -> bool {
    let removed = locals.remove(len, byte);
    if removed {
        *best = locals.lay_out();
    }
    removed
}

impl<C> Inner<C> {
    #[inline]
    fn child(&self, byte: u8) -> Option<&C> {
        self.children.get(usize::from(byte))?.as_deref()
    }

    fn set(&mut self, local: Local) {
        set(&mut self.best, &mut self.locals, local);
    }

    fn unset(&mut self, len: u8, byte: u8) -> bool {
        unset(&mut self.best, &mut self.locals, len, byte)
    }

    fn is_empty(&self) -> bool {
        self.locals.0.is_empty() && self.children.iter().all(Option::is_none)
    }
}

impl<C: Clone + Default> Inner<C> {
    fn child_or_new(&mut self, byte: u8, change: impl FnOnce(&mut C)) {
        if let Some(child) = self.children.get_mut(usize::from(byte)) {
            change(Arc::make_mut(child.get_or_insert_default()));
        }
    }

    /// Changes a child, and drops it when nothing is left of it.
    fn in_child(
        &mut self,
        byte: u8,
        is_empty: impl FnOnce(&C) -> bool,
        change: impl FnOnce(&mut C) -> bool,
    ) -> bool {
        let Some(place) = self.children.get_mut(usize::from(byte)) else {
            return false;
        };
        let Some(child) = place else { return false };
        let changed = change(Arc::make_mut(child));
        if changed && is_empty(child) {
            *place = None;
        }
        changed
    }
}

impl Third {
    /// Lays prefixes and longer ones out anew.
    fn rebuild(&mut self) {
        let best = self.locals.lay_out();
        let old = std::mem::replace(&mut self.entries, best);
        for ((entry, old), best) in self.entries.iter_mut().zip(old).zip(best) {
            if old & DEEP != 0
                && let Some((here, _)) = self.deep.get_mut((old & !DEEP) as usize)
            {
                *here = best;
                *entry = old;
            }
        }
    }

    fn set(&mut self, local: Local) {
        if self.deep.is_empty() {
            return set(&mut self.entries, &mut self.locals, local);
        }
        self.locals.set(local);
        self.rebuild();
    }

    fn unset(&mut self, len: u8, byte: u8) -> bool {
        let removed = self.locals.remove(len, byte);
        if removed {
            self.rebuild();
        }
        removed
    }

    fn fourth_or_new(&mut self, byte: u8, change: impl FnOnce(&mut Fourth)) {
        let Some(entry) = self.entries.get_mut(usize::from(byte)) else {
            return;
        };
        if *entry & DEEP == 0 {
            let index = u32::try_from(self.deep.len()).unwrap_or(0);
            self.deep.push((*entry, Arc::default()));
            *entry = DEEP | index;
        }
        if let Some((_, fourth)) = self.deep.get_mut((*entry & !DEEP) as usize) {
            change(Arc::make_mut(fourth));
        }
    }

    /// Changes the node of a fourth byte, and drops it when nothing is left of it.
    fn in_fourth(&mut self, byte: u8, change: impl FnOnce(&mut Fourth) -> bool) -> bool {
        let Some(entry) = self.entries.get(usize::from(byte)).copied() else {
            return false;
        };
        let at = (entry & !DEEP) as usize;
        if entry & DEEP == 0 {
            return false;
        }
        let Some((_, fourth)) = self.deep.get_mut(at) else {
            return false;
        };
        let fourth = Arc::make_mut(fourth);
        let changed = change(fourth);
        if changed && fourth.locals.0.is_empty() {
            self.drop_fourth(byte, at);
        }
        changed
    }

    /// Takes a node of a fourth byte out; the last one moves to its place.
    fn drop_fourth(&mut self, byte: u8, at: usize) {
        let (here, _) = self.deep.swap_remove(at);
        let (gone, moved) = (index(at), index(self.deep.len()));
        for entry in &mut self.entries {
            if *entry == DEEP | moved {
                *entry = DEEP | gone;
            }
        }
        if let Some(entry) = self.entries.get_mut(usize::from(byte)) {
            *entry = here;
        }
    }

    fn is_empty(&self) -> bool {
        self.locals.0.is_empty() && self.deep.is_empty()
    }
}

/// A node has at most 256 longer ones.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(0)
}

impl Fourth {
    fn set(&mut self, local: Local) {
        set(&mut self.best, &mut self.locals, local);
    }

    fn unset(&mut self, len: u8, byte: u8) -> bool {
        unset(&mut self.best, &mut self.locals, len, byte)
    }
}
