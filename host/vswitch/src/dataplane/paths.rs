//! What sources say of routes. Lists of paths are kept once: a full table has few different ones.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::route::{Choice, Source};

/// Paths that any number of routes share; one word, unlike a slice.
pub(super) type Paths = Arc<Vec<Choice>>;

/// All lists that routes have.
#[derive(Debug, Default)]
pub(super) struct PathLists(HashSet<Paths>);

impl PathLists {
    /// The list of these choices.
    pub(super) fn share(&mut self, mut choices: Vec<Choice>) -> Paths {
        if let Some(known) = self.0.get(&choices) {
            return Arc::clone(known);
        }
        choices.shrink_to_fit();
        let paths = Arc::new(choices);
        self.0.insert(Arc::clone(&paths));
        paths
    }

    /// Gives a list back that a route no longer has.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the caller's is one of those counted, and goes"
    )]
    pub(super) fn release(&mut self, paths: Paths) {
        // One is the caller's, one is in the set.
        if Arc::strong_count(&paths) == 2 {
            self.0.remove(&paths);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Who made a route, and by which paths: mostly one source, which then costs no memory of its own.
#[derive(Debug)]
pub(super) enum Sources {
    One(Source, Paths),
    #[expect(
        clippy::box_collection,
        reason = "the map itself would make every route a word and a half longer"
    )]
    Several(Box<BTreeMap<Source, Paths>>),
}

impl Sources {
    /// `None` when nobody has any paths.
    pub(super) fn of(mut all: BTreeMap<Source, Paths>) -> Option<Self> {
        if all.len() > 1 {
            return Some(Self::Several(Box::new(all)));
        }
        let (source, paths) = all.pop_first()?;
        Some(Self::One(source, paths))
    }

    pub(super) fn get(&self, of: Source) -> Option<&Paths> {
        match self {
            Self::One(source, paths) => (*source == of).then_some(paths),
            Self::Several(all) => all.get(&of),
        }
    }

    /// The paths that forward.
    pub(super) fn best(&self) -> &[Choice] {
        match self {
            Self::One(_, paths) => paths,
            Self::Several(all) => all.values().next().map_or(&[][..], |paths| paths),
        }
    }

    /// Adds or replaces a source, and gives its paths so far.
    pub(super) fn set(&mut self, of: Source, new: Paths) -> Option<Paths> {
        match self {
            Self::One(source, paths) if *source == of => Some(std::mem::replace(paths, new)),
            Self::One(source, paths) => {
                let all = [(*source, Arc::clone(paths)), (of, new)];
                *self = Self::Several(Box::new(BTreeMap::from(all)));
                None
            }
            Self::Several(all) => all.insert(of, new),
        }
    }

    /// Removes a source that is not the only one, and gives its paths.
    pub(super) fn remove(&mut self, of: Source) -> Option<Paths> {
        let Self::Several(all) = self else {
            return None;
        };
        let gone = all.remove(&of);
        if all.len() == 1
            && let Some((source, paths)) = all.pop_first()
        {
            *self = Self::One(source, paths);
        }
        gone
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Source, &Paths)> {
        let (one, several) = match self {
            Self::One(source, paths) => (Some((*source, paths)), None),
            Self::Several(all) => (None, Some(all.iter().map(|(source, p)| (*source, p)))),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }

    pub(super) fn into_paths(self) -> impl Iterator<Item = Paths> {
        let (one, several) = match self {
            Self::One(_, paths) => (Some(paths), None),
            Self::Several(all) => (None, Some(all.into_values())),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }

    /// All paths of all sources.
    pub(super) fn choices(&self) -> impl Iterator<Item = &Choice> {
        self.iter().flat_map(|(_, paths)| paths.iter())
    }
}
