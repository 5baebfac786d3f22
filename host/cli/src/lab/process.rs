//! One supervised process: started, watched, started again with back-off.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use super::backoff::Backoff;

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

/// What a supervised process is told.
#[derive(Debug)]
pub(super) enum Order {
    /// SIGKILL; it is started again like after any death.
    Kill,
    /// SIGKILL, and not started again before [`Order::Start`].
    Hold,
    Start,
    /// SIGTERM, after the grace period SIGKILL; the end of supervision.
    Terminate(oneshot::Sender<()>),
}

/// A process as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessState {
    /// Absent while it does not run.
    pub(crate) pid: Option<i32>,
    pub(crate) restarts: u32,
    /// Held down by an order.
    pub(crate) held: bool,
    /// How it last ended, or why it could not be started.
    pub(crate) last_end: Option<String>,
}

/// The way to talk to a supervised process.
#[derive(Clone, Debug)]
pub(super) struct Supervised {
    orders: mpsc::Sender<Order>,
    state: watch::Receiver<ProcessState>,
}

impl Supervised {
    /// Starts supervision; `launch` starts the process as leader of a process group of its own.
    pub(super) fn start(
        name: String,
        launch: impl FnMut() -> anyhow::Result<Child> + Send + 'static,
    ) -> Self {
        let (orders, inbox) = mpsc::channel(8);
        let (states, state) = watch::channel(ProcessState::default());
        tokio::spawn(
            Supervision {
                name,
                launch,
                inbox,
                states,
                backoff: Backoff::default(),
            }
            .run(),
        );
        Self { orders, state }
    }

    pub(super) fn state(&self) -> ProcessState {
        self.state.borrow().clone()
    }

    pub(super) async fn order(&self, order: Order) {
        // The other end is only gone when supervision has ended: then there is nothing to order.
        let _ = self.orders.send(order).await;
    }

    /// Returns when the process and its group are gone.
    pub(super) async fn terminate(&self) {
        let (done, ended) = oneshot::channel();
        self.order(Order::Terminate(done)).await;
        let _ = ended.await;
    }
}

struct Supervision<L> {
    name: String,
    launch: L,
    inbox: mpsc::Receiver<Order>,
    states: watch::Sender<ProcessState>,
    backoff: Backoff,
}

enum Next {
    Again,
    Ended(Option<oneshot::Sender<()>>),
}

impl<L: FnMut() -> anyhow::Result<Child>> Supervision<L> {
    async fn run(mut self) {
        loop {
            let began = Instant::now();
            let next = match (self.launch)() {
                Ok(child) => self.watch(child).await,
                Err(error) => {
                    tracing::warn!(
                        process = self.name,
                        error = format!("{error:#}"),
                        "cannot start"
                    );
                    self.ended(format!("{error:#}"));
                    Next::Again
                }
            };
            let next = match next {
                Next::Again => self.pause(began.elapsed()).await,
                ended @ Next::Ended(_) => ended,
            };
            if let Next::Ended(done) = next {
                if let Some(done) = done {
                    let _ = done.send(());
                }
                return;
            }
            self.states.send_modify(|s| s.restarts += 1);
        }
    }

    async fn watch(&mut self, mut child: Child) -> Next {
        let pid = child.id().and_then(|p| i32::try_from(p).ok());
        tracing::info!(process = self.name, pid, "started");
        self.states.send_modify(|s| s.pid = pid);
        let next = loop {
            tokio::select! {
                status = child.wait() => {
                    let how = describe(status);
                    tracing::info!(process = self.name, pid, how, "ended");
                    self.ended(how);
                    break Next::Again;
                }
                order = self.inbox.recv() => match order {
                    Some(Order::Kill) => signal_group(pid, Signal::SIGKILL),
                    Some(Order::Hold) => {
                        self.states.send_modify(|s| s.held = true);
                        signal_group(pid, Signal::SIGKILL);
                    }
                    Some(Order::Start) => self.states.send_modify(|s| s.held = false),
                    Some(Order::Terminate(done)) => {
                        stop(&mut child, pid).await;
                        self.ended("terminated".to_owned());
                        break Next::Ended(Some(done));
                    }
                    None => {
                        stop(&mut child, pid).await;
                        break Next::Ended(None);
                    }
                },
            }
        };
        // What the process left in its group goes with it.
        signal_group(pid, Signal::SIGKILL);
        next
    }

    /// Waits for the back-off, or as long as the process is held.
    async fn pause(&mut self, ran: Duration) -> Next {
        let until = Instant::now() + self.backoff.after(ran);
        loop {
            let held = self.states.borrow().held;
            let left = until.saturating_duration_since(Instant::now());
            tokio::select! {
                () = sleep(left), if !held => return Next::Again,
                order = self.inbox.recv() => match order {
                    Some(Order::Kill) => {}
                    Some(Order::Hold) => self.states.send_modify(|s| s.held = true),
                    Some(Order::Start) => {
                        self.states.send_modify(|s| s.held = false);
                        return Next::Again;
                    }
                    Some(Order::Terminate(done)) => return Next::Ended(Some(done)),
                    None => return Next::Ended(None),
                },
            }
        }
    }

    fn ended(&self, how: String) {
        self.states.send_modify(|s| {
            s.pid = None;
            s.last_end = Some(how);
        });
    }
}

async fn stop(child: &mut Child, pid: Option<i32>) {
    signal_group(pid, Signal::SIGTERM);
    if timeout(GRACE, child.wait()).await.is_err() {
        signal_group(pid, Signal::SIGKILL);
        let _ = child.wait().await;
    }
}

fn signal_group(pid: Option<i32>, signal: Signal) {
    let Some(pid) = pid else { return };
    match killpg(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => tracing::warn!(pid, %signal, %error, "cannot signal"),
    }
}

fn describe(status: io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &'static str) -> Supervised {
        Supervised::start("test".to_owned(), move || {
            let mut command = tokio::process::Command::new("sh");
            Ok(command
                .args(["-c", script])
                .process_group(0)
                .kill_on_drop(true)
                .spawn()?)
        })
    }

    async fn until(
        process: &Supervised,
        wanted: impl FnMut(&ProcessState) -> bool,
    ) -> ProcessState {
        let mut states = process.state.clone();
        let found = timeout(Duration::from_secs(20), states.wait_for(wanted)).await;
        found
            .expect("the state is never reached")
            .expect("supervision goes on")
            .clone()
    }

    #[tokio::test]
    async fn a_killed_process_is_started_again_with_another_pid() {
        let process = shell("while :; do sleep 1000; done");
        let first = until(&process, |s| s.pid.is_some()).await;
        process.order(Order::Kill).await;
        let second = until(&process, |s| s.restarts == 1 && s.pid.is_some()).await;
        assert_ne!(first.pid, second.pid);
        process.terminate().await;
        assert_eq!(process.state().pid, None);
    }

    #[tokio::test]
    async fn a_held_process_stays_down_until_it_is_let_go() {
        let process = shell("while :; do sleep 1000; done");
        until(&process, |s| s.pid.is_some()).await;
        process.order(Order::Hold).await;
        let held = until(&process, |s| s.pid.is_none() && s.held).await;
        assert_eq!(held.restarts, 0);
        process.order(Order::Start).await;
        until(&process, |s| s.pid.is_some() && !s.held).await;
        process.terminate().await;
    }
}
