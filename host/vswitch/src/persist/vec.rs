//! A persistent sparse array: a radix tree with 64-way nodes.

use std::sync::Arc;

const BITS: u32 = 6;
const WAYS: usize = 1 << BITS;

#[derive(Debug, Clone)]
enum Node<T> {
    Inner(Box<[Option<Arc<Node<T>>>; WAYS]>),
    Leaf(Box<[Option<T>; WAYS]>),
}

impl<T> Node<T> {
    fn new(height: u32) -> Self {
        if height == 0 {
            Self::Leaf(Box::new(std::array::from_fn(|_| None)))
        } else {
            Self::Inner(Box::new(std::array::from_fn(|_| None)))
        }
    }
}

/// A sparse array indexed by `u32`.
#[derive(Debug, Clone)]
pub struct PVec<T> {
    root: Option<Arc<Node<T>>>,
    height: u32,
    bound: u32,
}

impl<T> Default for PVec<T> {
    fn default() -> Self {
        Self {
            root: None,
            height: 0,
            bound: 0,
        }
    }
}

const fn slot(index: u32, height: u32) -> usize {
    (index >> (BITS * height)) as usize & (WAYS - 1)
}

const fn capacity(height: u32) -> u64 {
    1 << (BITS * (height + 1))
}

impl<T> PVec<T> {
    pub fn get(&self, index: u32) -> Option<&T> {
        if u64::from(index) >= capacity(self.height) {
            return None;
        }
        let mut node = self.root.as_deref()?;
        let mut height = self.height;
        loop {
            match node {
                Node::Leaf(items) => return items.get(slot(index, 0))?.as_ref(),
                Node::Inner(children) => {
                    node = children.get(slot(index, height))?.as_deref()?;
                    height -= 1;
                }
            }
        }
    }

    /// One more than the highest index ever set.
    pub const fn bound(&self) -> u32 {
        self.bound
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..self.bound).filter_map(|i| Some((i, self.get(i)?)))
    }
}

impl<T: Clone> PVec<T> {
    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.get(index)?;
        self.slot_mut(index).as_mut()
    }

    pub fn set(&mut self, index: u32, value: T) {
        *self.slot_mut(index) = Some(value);
    }

    pub fn remove(&mut self, index: u32) -> Option<T> {
        self.get(index)?;
        self.slot_mut(index).take()
    }

    #[expect(
        clippy::expect_used,
        reason = "slot() is below WAYS and node kinds follow the height"
    )]
    fn slot_mut(&mut self, index: u32) -> &mut Option<T> {
        self.bound = self.bound.max(index.saturating_add(1));
        while u64::from(index) >= capacity(self.height) {
            self.height += 1;
            if let Some(old) = self.root.take() {
                let mut children: Box<[Option<Arc<Node<T>>>; WAYS]> =
                    Box::new(std::array::from_fn(|_| None));
                if let Some(first) = children.first_mut() {
                    *first = Some(old);
                }
                self.root = Some(Arc::new(Node::Inner(children)));
            }
        }
        let mut height = self.height;
        let mut node = self.root.get_or_insert_with(|| Arc::new(Node::new(height)));
        loop {
            match Arc::make_mut(node) {
                Node::Leaf(items) => {
                    return items.get_mut(slot(index, 0)).expect("slot is below WAYS");
                }
                Node::Inner(children) => {
                    let child = children
                        .get_mut(slot(index, height))
                        .expect("slot is below WAYS");
                    height -= 1;
                    node = child.get_or_insert_with(|| Arc::new(Node::new(height)));
                }
            }
        }
    }
}
