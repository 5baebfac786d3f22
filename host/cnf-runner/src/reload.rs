//! Hot swap: the next function is made ready beside the one that serves, then takes its place.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::oneshot;

use crate::config;
use crate::plane::{Loaded, Loader};
use crate::worker::{Command, Handle};

/// The function in service, and how to replace it.
pub(crate) struct Reloader<L: Loader> {
    loader: Arc<L>,
    worker: Handle<L::Next>,
    module: Option<PathBuf>,
    config: Option<PathBuf>,
    stamps: [Option<Stamp>; 2],
    pub(crate) name: String,
    pub(crate) digest: String,
    pub(crate) swaps: u64,
}

/// What a swap did.
pub(crate) struct Swapped {
    pub(crate) old_digest: String,
    pub(crate) new_digest: String,
    pub(crate) gap: Duration,
}

/// Tells one content of a file from the next, also behind a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    len: u64,
    modified_ns: i128,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let modified =
            |m: &Metadata| i128::from(m.mtime()) * 1_000_000_000 + i128::from(m.mtime_nsec());
        let meta = std::fs::metadata(path).ok()?;
        Some(Self {
            inode: meta.ino(),
            len: meta.len(),
            modified_ns: modified(&meta),
        })
    }
}

/// Reads the configuration and makes the function ready with it.
pub(crate) fn load<L: Loader>(
    loader: &L,
    module: Option<&Path>,
    config: Option<&Path>,
) -> anyhow::Result<Loaded<L::Next>> {
    loader.load(module, &config::read(config)?)
}

impl<L: Loader> Reloader<L> {
    pub(crate) fn new(
        loader: Arc<L>,
        worker: Handle<L::Next>,
        module: Option<PathBuf>,
        config: Option<PathBuf>,
    ) -> Self {
        let mut reloader = Self {
            loader,
            worker,
            module,
            config,
            stamps: [None, None],
            name: String::new(),
            digest: String::new(),
            swaps: 0,
        };
        reloader.stamps = reloader.current_stamps();
        reloader
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.loader.kind()
    }

    /// Swaps when a file has changed since it was last read, also in vain.
    pub(crate) async fn reload_if_changed(&mut self) -> anyhow::Result<Option<Swapped>> {
        if self.current_stamps() == self.stamps {
            return Ok(None);
        }
        self.reload(None, None).await.map(Some)
    }

    /// Loads and swaps; paths that are given replace the present ones when they load.
    pub(crate) async fn reload(
        &mut self,
        module: Option<PathBuf>,
        config: Option<PathBuf>,
    ) -> anyhow::Result<Swapped> {
        let module = module.or_else(|| self.module.clone());
        let config = config.or_else(|| self.config.clone());
        self.stamps = self.current_stamps();
        let loader = Arc::clone(&self.loader);
        let (path, config_path) = (module.clone(), config.clone());
        let loaded = tokio::task::spawn_blocking(move || {
            load(&*loader, path.as_deref(), config_path.as_deref())
        })
        .await
        .context("loading panicked")??;
        let (reply, done) = oneshot::channel();
        self.worker.send(Command::Swap(loaded.next, reply))?;
        let gap = done.await.context("worker stopped during the swap")?;
        (self.module, self.config) = (module, config);
        self.stamps = self.current_stamps();
        let old_digest = std::mem::replace(&mut self.digest, loaded.digest);
        self.name = loaded.name;
        self.swaps += 1;
        Ok(Swapped {
            old_digest,
            new_digest: self.digest.clone(),
            gap,
        })
    }

    fn current_stamps(&self) -> [Option<Stamp>; 2] {
        [&self.module, &self.config].map(|path| path.as_deref().and_then(Stamp::of))
    }
}
