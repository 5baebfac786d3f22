//! Where a worker runs when it shares processors with those that it works for.
//!
//! The kernel wakes a worker beside the sender that woke it, and leaves it there: both take turns of milliseconds, and
//! what waits meanwhile leaves the core's cache. Beside the receiver, what the worker writes is read from the same
//! cache, and the sender goes on. From here nobody can see which is which, but everybody can see how many frames went.
//! So a worker that is often preempted tries another processor, and stays where more frames go.

use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::Pid;
use vswitch::Nanos;

/// Turns with traffic between two looks at the clock.
const TURNS_MAX: u32 = 16;
/// Nanoseconds that frames are counted before anything is decided.
const WINDOW: u64 = 20_000_000;
/// Nanoseconds without a look at the clock after which traffic counts as new.
const GAP_MAX: u64 = 100_000_000;
/// Preemptions in a window that make a processor crowded.
const PREEMPTED_MIN: i64 = 2;
/// Frames in a window below which chance decides.
const FRAMES_MIN: u64 = 100;
/// Nanoseconds between two trials at least; doubled by each that finds nothing better.
const HOLD_MIN: u64 = 250_000_000;
/// Nanoseconds between two trials at most.
const HOLD_MAX: u64 = 16_000_000_000;

/// A worker's place; it asks the kernel for it.
#[derive(Debug)]
pub(super) struct Place {
    search: Search,
    /// Where it may run.
    all: CpuSet,
    preempted: i64,
    turns: u32,
}

impl Place {
    /// Begins with the processors that the calling thread may use.
    pub(super) fn new() -> Self {
        let all = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
        let cpus = (0..CpuSet::count()).filter(|cpu| all.is_set(*cpu).unwrap_or(false));
        Self {
            search: Search::new(cpus.collect()),
            all,
            preempted: 0,
            turns: 0,
        }
    }

    /// Whether there is nothing to choose from.
    pub(super) fn is_fixed(&self) -> bool {
        self.search.cpus.len() < 2
    }

    /// Counts the frames of a turn, and moves if that is due.
    pub(super) fn note(&mut self, frames: usize, now: impl FnOnce() -> Nanos) {
        self.search.frames += frames as u64;
        self.turns += 1;
        if self.turns < TURNS_MAX {
            return;
        }
        self.turns = 0;
        let now = now();
        match self.search.look(now) {
            Look::Early => {}
            Look::New => {
                self.preempted = preemptions();
                self.run_on(&self.all);
            }
            Look::Due => {
                let before = std::mem::replace(&mut self.preempted, preemptions());
                let cpu = sched_getcpu().unwrap_or(0);
                match self.search.decide(now, cpu, self.preempted - before) {
                    Move::Stay => {}
                    Move::Anywhere => self.run_on(&self.all),
                    Move::To(cpu) => {
                        let mut only = CpuSet::new();
                        if only.set(cpu).is_ok() {
                            self.run_on(&only);
                        }
                    }
                }
            }
        }
    }

    fn run_on(&self, cpus: &CpuSet) {
        if let Err(error) = sched_setaffinity(Pid::from_raw(0), cpus) {
            tracing::debug!(%error, "worker stays on its processor");
        }
    }
}

/// How often the calling thread was made to wait though it had work.
fn preemptions() -> i64 {
    getrusage(UsageWho::RUSAGE_THREAD).map_or(0, |usage| usage.involuntary_context_switches())
}

/// What the clock says.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Early,
    /// Traffic came after a pause: what was known of places is void.
    New,
    /// A window is over.
    Due,
}

/// What a window led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Stay,
    To(usize),
    /// The kernel knows best.
    Anywhere,
}

/// Compares processors by the frames that went.
#[derive(Debug)]
struct Search {
    cpus: Vec<usize>,
    frames: u64,
    /// Begin of the window.
    since: Nanos,
    /// Last look at the clock.
    last: Nanos,
    hold: u64,
    /// When the next trial may begin.
    due: Nanos,
    trial: Option<Trial>,
    /// The processor tried last.
    tried: usize,
}

/// Four windows: here, there, there, and here again, so that a rate that only grows favours neither.
#[derive(Debug)]
struct Trial {
    here: usize,
    there: usize,
    frames: [u64; 4],
    at: usize,
}

impl Search {
    fn new(cpus: Vec<usize>) -> Self {
        Self {
            cpus,
            frames: 0,
            since: Nanos(0),
            last: Nanos(0),
            hold: HOLD_MIN,
            due: Nanos(0),
            trial: None,
            tried: 0,
        }
    }

    fn look(&mut self, now: Nanos) -> Look {
        let gap = now.0.saturating_sub(self.last.0);
        self.last = now;
        if gap > GAP_MAX {
            (self.frames, self.since, self.trial) = (0, now, None);
            (self.hold, self.due) = (HOLD_MIN, now);
            return Look::New;
        }
        if now.0.saturating_sub(self.since.0) < WINDOW {
            return Look::Early;
        }
        Look::Due
    }

    /// Ends a window on `cpu`; says where to run from now on.
    fn decide(&mut self, now: Nanos, cpu: usize, preempted: i64) -> Move {
        // Windows differ in length: the rate counts.
        let length = now.0.saturating_sub(self.since.0).max(1);
        let rate = std::mem::take(&mut self.frames).saturating_mul(WINDOW) / length;
        self.since = now;
        let Some(trial) = &mut self.trial else {
            if preempted < PREEMPTED_MIN || rate < FRAMES_MIN || now < self.due {
                return Move::Stay;
            }
            let Some(there) = self.next(cpu) else {
                return Move::Stay;
            };
            self.tried = there;
            self.trial = Some(Trial {
                here: cpu,
                there,
                frames: [0; 4],
                at: 0,
            });
            return Move::To(cpu);
        };
        if let Some(place) = trial.frames.get_mut(trial.at) {
            *place = rate;
        }
        trial.at += 1;
        let (here, there) = (trial.here, trial.there);
        match trial.at {
            1 => return Move::To(there),
            2 => return Move::Stay,
            3 => return Move::To(here),
            _ => {}
        }
        let [a, b, c, d] = trial.frames;
        self.trial = None;
        // By a tenth at least: both have a price.
        let is_better = (b + c) * 10 > (a + d) * 11;
        self.hold = if is_better {
            HOLD_MIN
        } else {
            (self.hold * 2).min(HOLD_MAX)
        };
        self.due = Nanos(now.0 + self.hold);
        if is_better {
            Move::To(there)
        } else {
            Move::Anywhere
        }
    }

    /// The processor to try next.
    fn next(&self, here: usize) -> Option<usize> {
        let behind = self.cpus.iter().filter(|cpu| **cpu > self.tried);
        let others = behind.chain(&self.cpus).copied();
        others.into_iter().find(|cpu| *cpu != here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs windows in which a processor handles as many frames as `rate` says; gives where each ran.
    fn run(
        search: &mut Search,
        windows: usize,
        preempted: i64,
        rate: impl Fn(usize) -> u64,
    ) -> Vec<usize> {
        let (mut now, mut cpu) = (search.last.0.max(1 << 40), 0);
        let mut ran = Vec::new();
        search.look(Nanos(now));
        for _ in 0..windows {
            ran.push(cpu);
            search.frames += rate(cpu);
            now += WINDOW;
            assert_eq!(search.look(Nanos(now)), Look::Due);
            if let Move::To(to) = search.decide(Nanos(now), cpu, preempted) {
                cpu = to;
            }
        }
        ran
    }

    #[test]
    fn a_crowded_worker_stays_where_more_frames_go() {
        let mut search = Search::new(vec![0, 1]);
        let ran = run(&mut search, 400, 10, |cpu| [680, 1000][cpu]);
        assert_eq!(ran[..6], [0, 0, 1, 1, 0, 1]);
        let wrong = ran[6..].iter().filter(|cpu| **cpu == 0).count();
        assert!((2..=14).contains(&wrong), "{wrong} windows on the worse");
    }

    #[test]
    fn no_worker_moves_without_need_or_gain() {
        let mut search = Search::new(vec![0, 1]);
        assert!(
            run(&mut search, 100, 1, |_| 100)
                .iter()
                .all(|cpu| *cpu == 0)
        );
        let mut search = Search::new(vec![0, 1]);
        let ran = run(&mut search, 1600, 10, |cpu| [1000, 1050][cpu]);
        assert!(ran.iter().filter(|cpu| **cpu == 1).count() <= 2 * 8);
        assert_eq!(ran.last(), Some(&0));
        let mut search = Search::new(vec![0]);
        assert!(
            run(&mut search, 100, 10, |_| 100)
                .iter()
                .all(|cpu| *cpu == 0)
        );
        let mut search = Search::new(vec![0, 1]);
        assert!(
            run(&mut search, 100, 10, |cpu| [10, FRAMES_MIN - 1][cpu])
                .iter()
                .all(|cpu| *cpu == 0)
        );
    }

    #[test]
    fn all_processors_get_their_turn_and_a_rate_that_grows_favours_none() {
        let mut search = Search::new((0..4).collect());
        let ran = run(&mut search, 4000, 10, |cpu| [100, 70, 90, 400][cpu]);
        assert_eq!(ran.last(), Some(&3));
        assert!((1..4).all(|cpu| ran.contains(&cpu)));
        let mut search = Search::new(vec![0, 1]);
        let grown = std::cell::Cell::new(1000);
        let ran = run(&mut search, 100, 10, |_| {
            grown.set(grown.get() + 200);
            grown.get()
        });
        assert_eq!(ran.last(), Some(&0));
    }

    #[test]
    fn a_pause_makes_everything_new() {
        let mut search = Search::new(vec![0, 1]);
        run(&mut search, 2, 10, |_| 100);
        assert!(search.trial.is_some());
        let later = Nanos(search.last.0 + GAP_MAX + 1);
        assert_eq!(search.look(later), Look::New);
        assert!(search.trial.is_none());
        assert_eq!(search.look(later), Look::Early);
    }
}
