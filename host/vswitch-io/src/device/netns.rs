//! Runs a piece of work inside another network namespace.
//!
//! A namespace is a property of a thread, so the work gets a thread of its own: the caller's namespace can never be
//! changed by accident, not even by a panic.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};

/// Where named namespaces live, as `ip netns` and VPP agree.
const NAMED: &str = "/run/netns";

/// Turns the text of a VPP `host_namespace` field into a path: a path, `pid:<n>`, or a name.
pub fn path_of(text: &str) -> PathBuf {
    if let Some(pid) = text.strip_prefix("pid:") {
        return Path::new("/proc").join(pid).join("ns/net");
    }
    // `join` keeps an absolute path as it is.
    Path::new(NAMED).join(text)
}

/// Runs `work` in the namespace named by `text`, or here when it is empty.
pub fn run_in<T: Send>(text: &str, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    if text.is_empty() {
        return work();
    }
    let namespace = File::open(path_of(text))?;
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                setns(&namespace, CloneFlags::CLONE_NEWNET)?;
                work()
            })
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the namespace thread panicked")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_text_is_a_name_a_path_or_a_process() {
        for (text, path) in [
            ("blue", "/run/netns/blue"),
            ("/proc/7/ns/net", "/proc/7/ns/net"),
            ("/run/netns/x", "/run/netns/x"),
            ("pid:42", "/proc/42/ns/net"),
        ] {
            assert_eq!(path_of(text), Path::new(path), "{text}");
        }
    }
}
