//! The task that holds the connection to VPP or `weft-vswitch`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use render::{IfTag, Key, Op};
use tokio::sync::mpsc;
use vpp_api::interface::{SwInterfaceEvent, WantInterfaceEvents};
use vpp_api::interface_types::IfStatusFlags;
use vpp_api_client::{Client, ConnectError, EventError, Events as ApiEvents, Options};

use super::apply::apply;
use super::dump::dump;
use super::{Command, Dataplane, Indices};
use crate::event::{Event, Events};

/// One attempt to reach the socket; between attempts, commands are answered.
const ATTEMPT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(200);

/// Starts the task.
pub(crate) fn spawn(path: PathBuf, events: Events) -> Dataplane {
    let (handle, commands) = Dataplane::new();
    tokio::spawn(run(path, commands, events));
    handle
}

/// Why a connection ended.
enum End {
    /// The agent is ending.
    Agent,
    Lost(String),
}

async fn run(path: PathBuf, mut commands: mpsc::Receiver<Command>, events: Events) {
    loop {
        let client = tokio::select! {
            client = connect(&path) => client,
            ended = refuse(&mut commands, &events) => return ended,
        };
        let mut connection = Connection {
            link_events: client.events(),
            client,
            indices: Indices::default(),
            events: events.clone(),
        };
        match connection.serve(&mut commands).await {
            End::Agent => return connection.client.disconnect().await,
            End::Lost(reason) => {
                if events.send(Event::DataplaneLost { reason }).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn connect(path: &std::path::Path) -> Client {
    let mut reported = String::new();
    loop {
        let options = Options {
            name: "weft-agent".to_owned(),
            connect_timeout: ATTEMPT,
            ..Options::default()
        };
        let error: ConnectError = match Client::connect(path, options).await {
            Ok(client) => return client,
            Err(error) => error,
        };
        if error.to_string() != reported {
            reported = error.to_string();
            tracing::warn!(error = &error as &dyn std::error::Error, "no dataplane yet");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Answers commands while there is no connection; ends with the agent.
async fn refuse(commands: &mut mpsc::Receiver<Command>, events: &Events) {
    let reason = || "the dataplane is not connected".to_owned();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Apply { batch, ops } => {
                let failures = ops.iter().map(|op| (op.key().clone(), reason())).collect();
                let applied = Event::Applied {
                    batch,
                    failures,
                    numbers: BTreeMap::new(),
                };
                if events.send(applied).await.is_err() {
                    return;
                }
            }
            Command::Resync => {}
            Command::Look { answer } => drop(answer.send(Err(reason()))),
        }
    }
}

struct Connection {
    client: Client,
    link_events: ApiEvents<SwInterfaceEvent>,
    indices: Indices,
    events: Events,
}

impl Connection {
    async fn serve(&mut self, commands: &mut mpsc::Receiver<Command>) -> End {
        let subscribe = WantInterfaceEvents {
            enable_disable: 1,
            pid: std::process::id(),
        };
        if let Err(error) = self.client.request(&subscribe).await {
            return End::Lost(error.to_string());
        }
        if let Some(end) = self.resync().await {
            return end;
        }
        loop {
            let end = tokio::select! {
                reason = self.client.closed() => Some(End::Lost(reason.to_string())),
                event = self.link_events.next() => self.link(event).await,
                command = commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => Some(End::Agent),
                },
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Option<End> {
        match command {
            Command::Apply { batch, ops } => {
                let failures = apply(&self.client, &mut self.indices, &ops).await;
                let applied = Event::Applied {
                    batch,
                    failures,
                    numbers: self.numbers_of(&ops),
                };
                self.tell(applied).await
            }
            Command::Resync => self.resync().await,
            Command::Look { answer } => {
                let read = dump(&self.client).await;
                let read = read.map(|(dump, _)| dump).map_err(|e| e.to_string());
                // The one who asked may have given up.
                drop(answer.send(read));
                None
            }
        }
    }

    /// Of the interfaces that `ops` made.
    fn numbers_of(&self, ops: &[Op]) -> BTreeMap<IfTag, u32> {
        let numbers = ops.iter().filter_map(|op| match op {
            Op::Create {
                key: Key::Interface(tag),
                ..
            } => Some((tag.clone(), *self.indices.interfaces.get(tag)?)),
            Op::Create { .. } | Op::Update { .. } | Op::Delete { .. } => None,
        });
        numbers.collect()
    }

    async fn resync(&mut self) -> Option<End> {
        match dump(&self.client).await {
            Ok((mut dump, indices)) => {
                dump.numbers = indices.interfaces.clone();
                self.indices = indices;
                self.tell(Event::Synced(Box::new(dump))).await
            }
            Err(error) => Some(End::Lost(error.to_string())),
        }
    }

    async fn link(&mut self, event: Result<SwInterfaceEvent, EventError>) -> Option<End> {
        let event = match event {
            Ok(event) => event,
            Err(EventError::Missed(_)) => return self.resync().await,
            Err(error) => return Some(End::Lost(error.to_string())),
        };
        let tag = self.indices.tag_of(event.sw_if_index.0)?.clone();
        let is_up = event.flags.contains(IfStatusFlags::LINK_UP) && !event.deleted;
        self.tell(Event::Link { tag, is_up }).await
    }

    async fn tell(&self, event: Event) -> Option<End> {
        self.events.send(event).await.err().map(|_| End::Agent)
    }
}
