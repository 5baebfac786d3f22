//! The thread that advances epochs while a module runs, and sleeps while none does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::EngineWeak;

/// One epoch.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Ticks without a call before the thread parks: a busy runner never pays for waking it.
const IDLE_TICKS: u32 = 100;

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    calls: AtomicU64,
    parked: AtomicBool,
    stop: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(engines: Vec<EngineWeak>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name("wasm-epoch".into()).spawn({
            let shared = Arc::clone(&shared);
            move || run(&shared, &engines)
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Keeps epochs advancing until the guard is dropped.
    pub(crate) fn watch(&self) -> Watch<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) {
            self.wake();
        }
        Watch(&self.shared)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

pub(crate) struct Watch<'a>(&'a Shared);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn run(shared: &Shared, engines: &[EngineWeak]) {
    let mut idle = 0;
    let mut seen = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        if idle < IDLE_TICKS {
            thread::park_timeout(TICK);
            engines
                .iter()
                .filter_map(EngineWeak::upgrade)
                .for_each(|e| e.increment_epoch());
        } else {
            // A call either sees `parked` and wakes this thread, or is seen here before it parks.
            shared.parked.store(true, Ordering::SeqCst);
            if shared.calls.load(Ordering::SeqCst) == seen && !shared.stop.load(Ordering::SeqCst) {
                thread::park();
            }
            shared.parked.store(false, Ordering::SeqCst);
        }
        let calls = shared.calls.load(Ordering::SeqCst);
        let busy = shared.running.load(Ordering::SeqCst) > 0 || calls != seen;
        idle = if busy { 0 } else { idle + 1 };
        seen = calls;
    }
}
