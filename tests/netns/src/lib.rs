//! Topologies for tests: namespaces, veth pairs between them, commands and captures inside them.
//!
//! A [`Host`] has no name that outlives the test: it is reached through an open file, so that even a
//! killed test leaves nothing. Everything panics with what was seen, because only tests use it.
//!
//! ```no_run
//! if netns::skipped("my_test") { return; }
//! let (a, b) = (netns::Host::new(), netns::Host::new());
//! netns::veth(&a, "eth0", "10.0.0.1/24", &b, "eth0", "10.0.0.2/24");
//! a.run("ping -c 1 10.0.0.2");
//! ```

mod capture;
mod host;
mod wait;

pub use capture::Capture;
pub use host::{Host, skipped, veth};
pub use wait::eventually;
