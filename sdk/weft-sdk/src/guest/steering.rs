//! Exports of the `steering-module` world for any [`Steering`].

use crate::bindings::steering_module::exports::weft::control::{lifecycle, steering};
use crate::bindings::steering_module::weft::control::placement;
use crate::steering::{Candidate, Choice, Health, HopView, Share, Steering};
use crate::{Chain, Endpoint};

/// What the export macro implements for its crate.
pub trait Exported {
    /// The author's type.
    type Steering: Steering + Default + 'static;
    /// Crate name.
    const NAME: &'static str;
    /// Crate version.
    const VERSION: &'static str;
    /// Lends the module's only instance.
    fn with<R>(call: impl FnOnce(&mut Self::Steering) -> R) -> R;
}

impl<E: Exported> lifecycle::Guest for E {
    fn configure(config: String) -> Result<lifecycle::About, lifecycle::Fault> {
        super::report_panics();
        E::with(|steering| steering.configure(&config))?;
        Ok(lifecycle::About {
            name: E::NAME.into(),
            version: E::VERSION.into(),
        })
    }
}

impl<E: Exported> steering::Guest for E {
    fn choose(view: placement::HopView) -> Result<placement::Choice, steering::Fault> {
        let view = HopView::from(view);
        Ok(E::with(|steering| steering.choose(&view))?.into())
    }
}

impl From<placement::HopView> for HopView {
    fn from(view: placement::HopView) -> Self {
        let endpoints = |list: Vec<_>| list.into_iter().map(Endpoint::from).collect();
        Self {
            revision: view.revision,
            chain: Chain::from(view.chain),
            hop: view.hop as usize,
            sources: endpoints(view.sources),
            destinations: view.destinations.map(endpoints),
            candidates: view.candidates.into_iter().map(Candidate::from).collect(),
            current: view.current,
        }
    }
}

impl From<placement::Candidate> for Candidate {
    fn from(candidate: placement::Candidate) -> Self {
        Self {
            id: candidate.id,
            node: candidate.node,
            health: match candidate.health {
                placement::Health::Unknown => Health::Unknown,
                placement::Health::Up => Health::Up,
                placement::Health::Down => Health::Down,
                placement::Health::Other(other) => Health::Other(other),
            },
            hops_served: candidate.hops_served,
            labels: candidate.labels,
        }
    }
}

impl From<Choice> for placement::Choice {
    fn from(choice: Choice) -> Self {
        let share = |Share { instance, weight }| placement::Share { instance, weight };
        match choice {
            Choice::NoOpinion => Self::NoOpinion,
            Choice::One(instance) => Self::One(instance),
            Choice::Weighted(shares) => Self::Weighted(shares.into_iter().map(share).collect()),
        }
    }
}
