//! What the host does for a module, one file a capability. Each bounds what it takes and gives.

mod clock;
mod files;
mod key_value;
mod log;
mod metrics;
mod random;

pub use self::files::ReadOnlyDir;
pub use self::key_value::KeyValueScope;
pub use self::metrics::Metrics;

pub(crate) use self::key_value::Draft;
pub(crate) use self::log::Limiter;
