//! Network namespaces: make one, name it, run code inside it.
//!
//! A namespace belongs to a thread, so everything happens on a thread of its own that ends with the
//! call: no other thread is ever in a namespace that it does not expect.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

/// Where named namespaces live, as for `ip netns`.
pub const NAMED: &str = "/run/netns";

/// Something that could not be done with a network namespace.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    #[error("open network namespace `{path}`")]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{what} network namespace `{name}`; hint: this needs CAP_SYS_ADMIN")]
    Kernel {
        what: &'static str,
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("start a thread for network namespace `{name}`")]
    Thread {
        name: String,
        #[source]
        source: io::Error,
    },
}

/// A handle that keeps a network namespace alive; it vanishes with its last handle, process and name.
#[derive(Debug)]
pub struct Netns {
    file: File,
    name: String,
}

impl Netns {
    /// A new namespace that nothing else knows. It is gone when the handle is: a crash leaves nothing.
    ///
    /// # Errors
    /// [`NetnsError::Kernel`] when the kernel refuses.
    pub fn anonymous() -> Result<Self, NetnsError> {
        let name = "anonymous".to_owned();
        let made = on_thread(&name, || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        })?;
        let file = made.map_err(|source| kernel("create", &name, source))?;
        Ok(Self { file, name })
    }

    /// A new namespace at `/run/netns/<name>`; it lives until [`Netns::remove`].
    ///
    /// # Errors
    /// [`NetnsError::Kernel`] when the name is taken or the kernel refuses.
    pub fn named(name: &str) -> Result<Self, NetnsError> {
        let path = named_path(name);
        let made = on_thread(name, || {
            std::fs::create_dir_all(NAMED)?;
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::create_new(&path)?;
            let source = Some("/proc/thread-self/ns/net");
            mount(source, &path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
            File::open("/proc/thread-self/ns/net")
        })?;
        let file = made.map_err(|source| kernel("create", name, source))?;
        let name = name.to_owned();
        Ok(Self { file, name })
    }

    /// The namespace at `path`.
    ///
    /// # Errors
    /// [`NetnsError::Open`] when there is none.
    pub fn open(path: &Path) -> Result<Self, NetnsError> {
        let file = File::open(path).map_err(|source| NetnsError::Open {
            path: path.to_owned(),
            source,
        })?;
        let name = path.display().to_string();
        Ok(Self { file, name })
    }

    /// Takes the name away; absent is fine. Processes inside go on.
    ///
    /// # Errors
    /// [`NetnsError::Kernel`] when the mount cannot be undone.
    pub fn remove(name: &str) -> Result<(), NetnsError> {
        let path = named_path(name);
        if !path.exists() {
            return Ok(());
        }
        // Not mounted when the creator died half way: then only the file is there.
        let _ = umount2(&path, MntFlags::MNT_DETACH);
        std::fs::remove_file(&path).map_err(|source| kernel("remove", name, source))
    }

    /// The open namespace file.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Runs `work` on a thread inside the namespace. What it starts or opens stays there.
    ///
    /// # Errors
    /// [`NetnsError`] when the namespace cannot be entered.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NetnsError> {
        let entered = on_thread(&self.name, || {
            setns(&self.file, CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        })?;
        entered.map_err(|source| kernel("enter", &self.name, source))
    }
}

/// Where namespace `name` is mounted.
pub fn named_path(name: &str) -> PathBuf {
    Path::new(NAMED).join(name)
}

fn kernel(what: &'static str, name: &str, source: io::Error) -> NetnsError {
    let name = name.to_owned();
    NetnsError::Kernel { what, name, source }
}

fn on_thread<T: Send>(
    name: &str,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> Result<io::Result<T>, NetnsError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("netns".to_owned());
        let handle = thread.spawn_scoped(scope, work).map_err(|source| {
            let name = name.to_owned();
            NetnsError::Thread { name, source }
        })?;
        match handle.join() {
            Ok(result) => Ok(result),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(test)]
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
mod tests {
    use super::*;

    fn inode(path: &str) -> io::Result<PathBuf> {
        std::fs::read_link(path)
    }

    #[test]
    fn work_runs_inside_and_leaves_the_caller_outside() {
        let here = inode("/proc/thread-self/ns/net").unwrap();
        let netns = match Netns::anonymous() {
            Ok(netns) => netns,
            Err(e) => {
                eprintln!("SKIPPED work_runs_inside_and_leaves_the_caller_outside: {e}");
                return;
            }
        };
        let inside = netns.run(|| inode("/proc/thread-self/ns/net")).unwrap();
        assert_ne!(inside.unwrap(), here);
        assert_eq!(inode("/proc/thread-self/ns/net").unwrap(), here);
    }

    #[test]
    fn a_name_is_taken_once_and_removing_the_absent_succeeds() {
        let name = format!("weft-rt-{}", std::process::id());
        if let Err(e) = Netns::named(&name) {
            eprintln!("SKIPPED a_name_is_taken_once_and_removing_the_absent_succeeds: {e}");
            return;
        }
        assert!(Netns::named(&name).is_err());
        Netns::remove(&name).unwrap();
        assert!(!named_path(&name).exists());
        Netns::remove(&name).unwrap();
    }
}
