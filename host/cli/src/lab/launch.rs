//! Starting a lab, and what is left when it does not start.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::time::{Instant, interval};

use super::control;
use super::place::{Place, Record};
use super::{Settings, client};

/// From the start of the lab to its first answer.
const START_DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    settings: Settings,
    /// Stay until Ctrl-C, and take the lab along however this command ends.
    #[arg(long)]
    foreground: bool,
}

/// A lab that this process started and that dies with it.
pub(crate) struct Running {
    pub(crate) lab: Record,
    process: Child,
}

pub(crate) fn up(options: &Up) -> anyhow::Result<ExitCode> {
    // The child is tied to this thread, which is the main one: nothing else is started before.
    let running = start(&options.settings, options.foreground)?;
    let lab = running.lab;
    crate::block_on(async move {
        let status = control::status(&lab).await?;
        crate::say!(
            "lab `{}` is up with {} nodes",
            options.settings.name,
            status.nodes.len()
        )?;
        if !options.foreground {
            return Ok(());
        }
        let mut shutdown = runtime::shutdown::Shutdown::listen()?;
        shutdown.requested().await;
        running.down().await
    })
}

/// Starts a lab; with `tied` it dies with this process, whatever kills it.
pub(crate) fn start(settings: &Settings, tied: bool) -> anyhow::Result<Running> {
    let place = Place::new(&settings.name)?;
    if let Some(record) = place.running()? {
        anyhow::bail!(
            "lab `{}` is already running (process {}); hint: `weft lab down`, or choose another --name",
            settings.name,
            record.pid
        );
    }
    super::layout::nodes(settings.nodes)?;
    place.create()?;
    place.remove_record();
    for entry in fs::read_dir(place.logs()).context("read the log directory")? {
        fs::remove_file(entry?.path()).context("remove an old log")?;
    }
    let log_path = place.logs().join("lab.log");
    let log =
        File::create(&log_path).with_context(|| format!("create `{}`", log_path.display()))?;
    let executable = std::env::current_exe().context("find this program")?;
    let mut command = Command::new(executable);
    command
        .args(["lab", "enter"])
        .args(settings.to_args())
        .arg0("weft-lab");
    if tied {
        command.arg(format!("--parent={}", std::process::id()));
    }
    let process = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("start the lab")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(await_answer(place, process))
}

async fn await_answer(place: Place, mut process: Child) -> anyhow::Result<Running> {
    let deadline = Instant::now() + START_DEADLINE;
    let mut tick = interval(POLL);
    loop {
        tick.tick().await;
        if let Some(status) = process.try_wait().context("watch the lab")? {
            anyhow::bail!(
                "the lab did not start ({status}):\n{}",
                client::tail(&place)
            );
        }
        if let Some(lab) = place.running()?
            && control::status(&lab).await.is_ok()
        {
            return Ok(Running { lab, process });
        }
        if Instant::now() > deadline {
            let _ = process.kill();
            anyhow::bail!("the lab does not answer:\n{}", client::tail(&place));
        }
    }
}

impl Running {
    /// Stops the lab in order and waits until nothing of it is left.
    pub(crate) async fn down(mut self) -> anyhow::Result<()> {
        let asked = control::ask(&self.lab, &control::Request::Down).await;
        if asked.is_err() {
            let _ = self.process.kill();
        }
        self.process.wait().context("wait for the lab's end")?;
        Ok(())
    }
}
