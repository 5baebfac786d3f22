//! The end of a process, asked for from outside.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for SIGTERM and SIGINT from now on; made early, so that no signal is missed.
#[derive(Debug)]
pub struct Shutdown {
    terminate: Signal,
    interrupt: Signal,
}

impl Shutdown {
    /// Registers both signals.
    ///
    /// # Errors
    /// When the kernel refuses a handler.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Resolves at the first signal, with its name.
    pub async fn requested(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// The same as a future that owns its signals, for `run(config, shutdown)`.
    pub async fn into_future(mut self) {
        let signal = self.requested().await;
        tracing::info!(signal, "shutting down");
    }
}
