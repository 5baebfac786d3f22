//! Log lines for the operator. A module's go through the host, a native build's through a sink its runner sets.

/// How much an operator should care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Anything per packet.
    Trace,
    /// A branch taken.
    Debug,
    /// A change an operator cares about.
    Info,
    /// Odd but working.
    Warn,
    /// Broken.
    Error,
}

/// Receives the lines of a native build: level, message, fields.
pub type Sink = fn(Level, &str, &[(&str, &str)]);

#[cfg(not(target_arch = "wasm32"))]
static SINK: std::sync::OnceLock<Sink> = std::sync::OnceLock::new();

/// Sets where a native build's lines go. The first call wins; before it, lines are dropped.
#[cfg(not(target_arch = "wasm32"))]
pub fn set_sink(sink: Sink) {
    _ = SINK.set(sink);
}

/// Emits one line.
pub fn emit(level: Level, message: &str, fields: &[(&str, &str)]) {
    #[cfg(target_arch = "wasm32")]
    crate::guest::emit(level, message, fields);
    #[cfg(not(target_arch = "wasm32"))]
    {
        if let Some(sink) = SINK.get() {
            sink(level, message, fields);
        }
        crate::double::log(level, message);
    }
}

/// Emits a line at INFO.
pub fn info(message: &str) {
    emit(Level::Info, message, &[]);
}

/// Emits a line at WARN.
pub fn warn(message: &str) {
    emit(Level::Warn, message, &[]);
}
