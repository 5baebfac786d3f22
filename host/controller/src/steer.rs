//! Asks steering modules who serves the hops that have several candidates.
//!
//! A module that gives no answer moves nothing: the hop keeps its pod while that fits, as in a chain without
//! steering.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{ChainSpec, HopSpec, ObjectName, SteeringSpec};
use weft_sdk::{Candidate, Choice, Health, HopView, Share};

use crate::facts::{Facts, LeftDown};
use crate::modules::{ModuleError, Modules, Stamp};
use crate::plan::{self, Picks};
use crate::view;

/// Candidates that a module is asked about; more are left out, last by name.
const CANDIDATES_MAX: usize = 1024;

/// How long a pod that was left because it was down counts as down, the first time. Nobody looks at it meanwhile, and a
/// chain that goes back to one that is still down loses what it is sent until that is seen.
const LEFT_DOWN_MIN: Duration = Duration::from_secs(5);
/// The longest such time: it doubles with each return that ends as the one before. A pod that served longer than this
/// begins anew.
const LEFT_DOWN_MAX: Duration = Duration::from_secs(320);

/// Decides who serves a hop.
pub trait Steer {
    /// The choice for one hop of `chain`.
    ///
    /// # Errors
    /// [`ModuleError`]; the choice in force stays.
    fn steer(
        &mut self,
        chain: &ObjectName,
        spec: &SteeringSpec,
        view: HopView,
    ) -> Result<Choice, ModuleError>;

    /// Figures of the modules that the chain names, one line each.
    fn figures(&self, spec: &ChainSpec) -> Vec<String>;

    /// Forgets what was said about chains that are gone.
    fn forget(&mut self, is_gone: impl Fn(&ObjectName) -> bool);
}

/// The last answer about each hop.
pub(crate) type Answers = BTreeMap<(ObjectName, String), Answer>;

/// What a module said, and to which question.
pub(crate) struct Answer {
    stamp: Stamp,
    module: String,
    config: String,
    view: HopView,
    choice: Result<Choice, ModuleError>,
}

impl Steer for Modules {
    fn steer(
        &mut self,
        chain: &ObjectName,
        spec: &SteeringSpec,
        view: HopView,
    ) -> Result<Choice, ModuleError> {
        let config = spec.config.to_string();
        let name = spec.module.as_str();
        let (stamp, module) = self.steering(name);
        let place = (chain.clone(), view.hop_name().to_owned());
        if let Some(answer) = self.choices.get(&place)
            && answer.stamp == stamp
            && answer.module == name
            && answer.config == config
            && answer.view == view
        {
            return answer.choice.clone();
        }
        let choice = module.and_then(|module| {
            let answer = module.choose(&config, &view);
            answer.map_err(|fault| ModuleError::fault(name, &fault))
        });
        let answer = Answer {
            stamp,
            module: name.to_owned(),
            config,
            view,
            choice: choice.clone(),
        };
        self.choices.insert(place, answer);
        choice
    }

    fn figures(&self, spec: &ChainSpec) -> Vec<String> {
        self.figures(spec)
    }

    fn forget(&mut self, is_gone: impl Fn(&ObjectName) -> bool) {
        self.forget(is_gone);
    }
}

/// Picks pods for the hops of `chain`, in order, so that each hop's view shows where the one before it is. The
/// first error comes along; hops it concerns have no pick.
pub(crate) fn picks(
    chain: &ObjectName,
    spec: &ChainSpec,
    facts: &Facts,
    steer: &mut impl Steer,
) -> (Picks, Option<ModuleError>) {
    let mut picks = Picks::new();
    let mut problem = None;
    let Some(steering) = &spec.steering else {
        return (picks, problem);
    };
    let mut hops = view::hops(chain, spec, facts);
    for (index, hop) in spec.hops.iter().enumerate() {
        let candidates = candidates(chain, hop, facts);
        let current = facts.bound(chain, &hop.name).map(ToString::to_string);
        let mut served_by = plan::default_pick(chain, hop, facts);
        if candidates.len() > 1 {
            let current = current.filter(|id| candidates.iter().any(|c| c.id == *id));
            let mut view = view::hop_view(chain, spec, facts, index);
            view.chain.hops.clone_from(&hops);
            (view.candidates, view.current) = (candidates, current);
            match steer.steer(chain, steering, view) {
                Ok(choice) => {
                    if let Some(pod) = follow(chain, hop, &choice, facts) {
                        picks.insert(hop.name.clone(), pod.clone());
                        served_by = Some(pod);
                    }
                }
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        let attachment = served_by
            .as_ref()
            .and_then(|pod| facts.attachments.get(pod));
        if let Some(place) = hops.get_mut(index) {
            place.node = attachment.map(|a| a.node.to_string());
        }
    }
    (picks, problem)
}

fn candidates(chain: &ObjectName, hop: &HopSpec, facts: &Facts) -> Vec<Candidate> {
    let pods = plan::candidates(chain, hop, facts).take(CANDIDATES_MAX);
    let candidate = |attachment: &model::Attachment| Candidate {
        id: attachment.pod.to_string(),
        node: attachment.node.to_string(),
        health: facts.health(&attachment.pod),
        hops_served: facts.hops_served(&attachment.pod, (chain, &hop.name)),
        labels: view::labels(&attachment.pod, facts),
    };
    pods.map(candidate).collect()
}

/// The pod that a checked choice leads to.
fn follow(chain: &ObjectName, hop: &HopSpec, choice: &Choice, facts: &Facts) -> Option<ObjectName> {
    let id = match choice {
        Choice::NoOpinion => return None,
        Choice::One(id) => id,
        Choice::Weighted(shares) => draw(&format!("{chain}/{}", hop.name), shares)?,
    };
    let mut candidates = plan::candidates(chain, hop, facts);
    let pod = candidates.find(|attachment| attachment.pod.to_string() == *id)?;
    Some(pod.pod.clone())
}

/// Draws by weighted rendezvous hashing (Schindelhauer and Schomaker, 2005): stable while the shares stay, and when
/// one goes only its own hops move.
fn draw<'a>(place: &str, shares: &'a [Share]) -> Option<&'a str> {
    let score = |share: &Share| {
        let hash = hash(&format!("{place}\0{}", share.instance));
        #[expect(clippy::cast_precision_loss, reason = "53 bits are enough for odds")]
        let chance = ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -f64::from(share.weight) / chance.ln()
    };
    let best = shares.iter().max_by(|a, b| {
        score(a)
            .total_cmp(&score(b))
            .then(b.instance.cmp(&a.instance))
    });
    best.map(|share| share.instance.as_str())
}

/// FNV-1a with a finishing mix: the same in every version of this program.
fn hash(text: &str) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Health of a pod, as far as the hops it serves tell.
impl Facts {
    fn health(&self, pod: &ObjectName) -> Health {
        let states = self.served(pod).filter_map(|(chain, hop)| {
            let place = (chain.clone(), hop.name.clone(), hop.node.clone());
            self.hop_states.get(&place)
        });
        let mut health = Health::Unknown;
        for state in states {
            if !state.is_up() {
                return Health::Down;
            }
            health = Health::Up;
        }
        let is_waiting = self
            .left_down
            .get(pod)
            .is_some_and(|left| self.now < left.until && self.is_attached(pod, &left.container));
        if health == Health::Unknown && is_waiting {
            return Health::Down;
        }
        health
    }

    fn is_attached(&self, pod: &ObjectName, container: &str) -> bool {
        let attachment = self.attachments.get(pod);
        attachment.is_some_and(|a| a.container_id == container)
    }

    /// Lets time pass; says whether a pod that was left may be tried again, so that steering is to be asked.
    pub(crate) fn pass(&mut self, now: Duration) -> bool {
        let before = std::mem::replace(&mut self.now, now);
        let mut left_down = std::mem::take(&mut self.left_down);
        // What is past all doubt and what is gone needs no memory.
        left_down.retain(|pod, left| {
            now < left.until.saturating_add(LEFT_DOWN_MAX) && self.is_attached(pod, &left.container)
        });
        self.left_down = left_down;
        let mut left = self.left_down.values();
        left.any(|left| before < left.until && left.until <= now)
    }

    /// Remembers that a pod is left because it is down.
    fn leave(&mut self, pod: &ObjectName) {
        let Some(attachment) = self.attachments.get(pod) else {
            return;
        };
        let container = attachment.container_id.clone();
        let former = self.left_down.get(pod);
        let wait = former
            .filter(|left| left.container == container)
            .map_or(LEFT_DOWN_MIN, |left| (left.wait * 2).min(LEFT_DOWN_MAX));
        let until = self.now.saturating_add(wait);
        let left = LeftDown {
            container,
            until,
            wait,
        };
        self.left_down.insert(pod.clone(), left);
    }

    fn hops_served(&self, pod: &ObjectName, but: (&ObjectName, &str)) -> u32 {
        let others = self
            .served(pod)
            .filter(|(chain, hop)| (*chain, hop.name.as_str()) != but);
        u32::try_from(others.count()).unwrap_or(u32::MAX)
    }

    fn served<'a>(
        &'a self,
        pod: &'a ObjectName,
    ) -> impl Iterator<Item = (&'a ObjectName, &'a model::RenderedHop)> {
        self.rendered
            .iter()
            .flat_map(|(chain, rendered)| rendered.hops.iter().map(move |hop| (chain, hop)))
            .filter(move |(_, hop)| hop.pod == *pod)
    }

    fn bound(&self, chain: &ObjectName, hop: &str) -> Option<&ObjectName> {
        let hops = &self.rendered.get(chain)?.hops;
        hops.iter().find(|h| h.name == hop).map(|h| &h.pod)
    }

    /// A chain is about to be wired anew. What was seen of a hop is not true of its next pod, and a pod that is left
    /// because it was down counts as down for a while, until it is attached anew, or works in another chain: nobody
    /// looks at it.
    pub(crate) fn rewired(&mut self, former: &model::RenderedChain, next: &model::RenderedChain) {
        for hop in &former.hops {
            let stays = next
                .hops
                .iter()
                .any(|n| n.name == hop.name && n.pod == hop.pod);
            let place = (former.chain.clone(), hop.name.clone(), hop.node.clone());
            if stays {
                continue;
            }
            let was_down = self.health(&hop.pod) == Health::Down;
            self.hop_states.remove(&place);
            if was_down {
                self.leave(&hop.pod);
            }
        }
        // Chosen, a pod is judged by what is seen of it; how long it waited is remembered.
        for hop in &next.hops {
            if let Some(left) = self.left_down.get_mut(&hop.pod) {
                left.until = left.until.min(self.now);
            }
        }
    }
}

#[cfg(test)]
mod tests;
