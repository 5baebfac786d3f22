//! A choice is a claim until it has been checked here.

use std::collections::BTreeSet;

use weft_sdk::{Candidate, Choice, Health, HopView, Share};

use crate::answer::{lower_chain, lower_endpoint};
use crate::bindings::steering::weft::control::placement;
use crate::fault::ChoiceError;

/// Takes a choice that the host can follow: it names candidates of the view, each once.
pub(super) fn check(choice: placement::Choice, view: &HopView) -> Result<Choice, ChoiceError> {
    let known = |instance: String| match view.candidates.iter().any(|c| c.id == instance) {
        true => Ok(instance),
        false => Err(ChoiceError::UnknownInstance(shorten(instance))),
    };
    match choice {
        placement::Choice::NoOpinion => Ok(Choice::NoOpinion),
        placement::Choice::One(instance) => known(instance).map(Choice::One),
        placement::Choice::Other(what) => Err(ChoiceError::Unknown(shorten(what))),
        placement::Choice::Weighted(shares) if shares.is_empty() => Err(ChoiceError::Empty),
        placement::Choice::Weighted(shares) => {
            let mut seen = BTreeSet::new();
            let mut checked = Vec::with_capacity(view.candidates.len());
            // An answer longer than the candidates names a stranger or a candidate twice.
            for placement::Share { instance, weight } in shares {
                let instance = known(instance)?;
                if weight == 0 {
                    return Err(ChoiceError::NoWeight(instance));
                }
                if !seen.insert(instance.clone()) {
                    return Err(ChoiceError::Twice(instance));
                }
                checked.push(Share { instance, weight });
            }
            Ok(Choice::Weighted(checked))
        }
    }
}

/// What is quoted of a bad answer.
fn shorten(mut text: String) -> String {
    const BYTES_MAX: usize = 128;
    text.truncate(text.floor_char_boundary(BYTES_MAX));
    text.retain(|c| !c.is_control());
    text
}

/// Writes a view in the contract's words.
pub(super) fn lower(view: &HopView) -> placement::HopView {
    let endpoints = |list: &Vec<_>| list.iter().map(lower_endpoint).collect::<Vec<_>>();
    placement::HopView {
        revision: view.revision,
        chain: lower_chain(&view.chain),
        hop: u32::try_from(view.hop).unwrap_or(u32::MAX),
        sources: endpoints(&view.sources),
        destinations: view.destinations.as_ref().map(endpoints),
        candidates: view.candidates.iter().map(lower_candidate).collect(),
        current: view.current.clone(),
    }
}

fn lower_candidate(candidate: &Candidate) -> placement::Candidate {
    placement::Candidate {
        id: candidate.id.clone(),
        node: candidate.node.clone(),
        health: match &candidate.health {
            Health::Unknown => placement::Health::Unknown,
            Health::Up => placement::Health::Up,
            Health::Down => placement::Health::Down,
            Health::Other(other) => placement::Health::Other(other.clone()),
        },
        hops_served: candidate.hops_served,
        labels: candidate.labels.clone(),
        extras: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> HopView {
        let candidate = |id: &str| Candidate {
            id: id.into(),
            ..Candidate::default()
        };
        HopView {
            candidates: vec![candidate("a"), candidate("b")],
            ..HopView::default()
        }
    }

    fn weighted(shares: &[(&str, u32)]) -> placement::Choice {
        let share = |(instance, weight): &(&str, u32)| placement::Share {
            instance: (*instance).to_owned(),
            weight: *weight,
        };
        placement::Choice::Weighted(shares.iter().map(share).collect())
    }

    #[test]
    fn a_good_choice_is_taken_as_it_is() {
        let one = placement::Choice::One("b".to_owned());
        assert_eq!(check(one, &view()), Ok(Choice::One("b".to_owned())));
        let none = check(placement::Choice::NoOpinion, &view());
        assert_eq!(none, Ok(Choice::NoOpinion));
        let both = check(weighted(&[("b", 1), ("a", u32::MAX)]), &view());
        let share = |instance: &str, weight| Share {
            instance: instance.to_owned(),
            weight,
        };
        let expected = vec![share("b", 1), share("a", u32::MAX)];
        assert_eq!(both, Ok(Choice::Weighted(expected)));
    }

    #[test]
    fn a_choice_nobody_can_follow_is_refused_with_its_reason() {
        let long = "x".repeat(5000);
        for (choice, reason) in [
            (
                placement::Choice::One("c".to_owned()),
                "`c` is no candidate",
            ),
            (placement::Choice::One(String::new()), "`` is no candidate"),
            (placement::Choice::One(long), &*"x".repeat(128)),
            (
                placement::Choice::Other("spread".to_owned()),
                "`spread` is not known",
            ),
            (weighted(&[]), "no candidate at all"),
            (weighted(&[("a", 1), ("c", 1)]), "`c` is no candidate"),
            (weighted(&[("a", 1), ("a", 1)]), "`a` appears twice"),
            (weighted(&[("a", 1), ("b", 0)]), "`b` has no weight"),
        ] {
            let error = check(choice, &view()).expect_err(reason).to_string();
            assert!(error.contains(reason) && error.len() < 300, "{error}");
        }
    }
}
