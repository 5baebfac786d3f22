//! A place for both ends, and ours of them.

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use memif_rs::{
    Address, Client, ClientConfig, DisconnectReason, Event, Limits, Link, Listener, Memory, Secret,
    ServerConfig,
};

use crate::testpmd::Testpmd;
use crate::traffic::wait_for;

pub(crate) const ROLES: [Role; 2] = [Role::Server, Role::Client];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Client,
}

impl Role {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }
}

/// A place for the socket. One test at a time: each testpmd polls on a core of its own.
pub(crate) struct Lab {
    dir: tempfile::TempDir,
    pub(crate) abstract_name: Option<String>,
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

/// What a test wants of our end; the last two only of a client.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) secret: Option<Secret>,
    pub(crate) queues: u16,
    pub(crate) buffer_size: u32,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            secret: None,
            queues: 1,
            buffer_size: 2048,
        }
    }
}

impl Lab {
    pub(crate) fn new() -> Option<Self> {
        let found = Command::new("dpdk-testpmd").arg("--version").output();
        if found.is_err() {
            eprintln!("SKIPPED: dpdk-testpmd is not installed, the memif contract was NOT checked");
            return None;
        }
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Self {
            dir: tempfile::tempdir().unwrap(),
            abstract_name: None,
            _alone: alone,
        })
    }

    fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("memif.sock")
    }

    pub(crate) fn address(&self) -> Address {
        match &self.abstract_name {
            Some(name) => Address::abstract_name(name.as_bytes()),
            None => Address::path(self.socket()),
        }
    }

    pub(crate) fn end(&self, role: Role) -> End {
        self.end_with(role, Wanted::default())
    }

    pub(crate) fn end_with(&self, role: Role, wanted: Wanted) -> End {
        let Wanted {
            secret,
            queues,
            buffer_size,
        } = wanted;
        let limits = Limits::default();
        let name = String::from("weft0");
        match role {
            Role::Server => {
                let mut listener = Listener::bind(&self.address(), limits).unwrap();
                listener
                    .add(
                        0,
                        ServerConfig {
                            name,
                            secret,
                            ..ServerConfig::default()
                        },
                    )
                    .unwrap();
                End::Server(Box::new(listener))
            }
            Role::Client => {
                let memory = Memory::Copy { buffer_size };
                let config = ClientConfig {
                    name,
                    secret,
                    queues,
                    memory,
                    ..ClientConfig::default()
                };
                End::Client(Box::new(
                    Client::new(self.address(), 0, config, limits).unwrap(),
                ))
            }
        }
    }

    pub(crate) fn testpmd(&self, role: Role, device: &str, args: &[&str]) -> Testpmd {
        let role = match role {
            Role::Server => {
                // A killed DPDK leaves its socket file behind, and does not replace one.
                let _none_the_first_time = std::fs::remove_file(self.socket());
                "server"
            }
            Role::Client => "client",
        };
        let socket = match &self.abstract_name {
            Some(name) => format!("socket={name},socket-abstract=yes"),
            None => format!("socket={},socket-abstract=no", self.socket().display()),
        };
        let vdev = format!("--vdev=net_memif0,role={role},{socket},id=0,rsize=10{device}");
        let mut all = vec![
            "--no-huge",
            "-m",
            "256",
            "--no-pci",
            "--no-shconf",
            "--no-telemetry",
        ];
        all.extend([
            vdev.as_str(),
            "--",
            "-i",
            "--auto-start",
            "--disable-link-check",
        ]);
        // Else it throws away what comes in before it forwards.
        all.extend(["--no-flush-rx"]);
        all.extend(["--total-num-mbufs=4096", "--no-mlockall"]);
        all.extend(args);
        Testpmd::spawn(&all, self.dir.path())
    }
}

/// Our end.
pub(crate) enum End {
    Server(Box<Listener>),
    Client(Box<Client>),
}

impl End {
    fn event<T>(&mut self, what: &str, wanted: impl Fn(Event) -> Option<T>) -> T {
        wait_for(what, || {
            let event = match self {
                Self::Server(listener) => {
                    listener.drive(Instant::now()).unwrap();
                    listener.poll_event()
                }
                Self::Client(client) => {
                    client.drive(Instant::now()).unwrap();
                    client.poll_event()
                }
            };
            event.and_then(&wanted)
        })
    }

    pub(crate) fn link(&mut self) -> Link {
        self.event("the link", connected)
    }

    pub(crate) fn disconnection(&mut self) -> DisconnectReason {
        self.event("the disconnection", |event| match event {
            Event::Disconnected { reason, .. } => Some(reason),
            Event::Connected { .. } | Event::Refused { .. } => None,
        })
    }

    /// A refusal by the peer. Nobody listening yet does not count, nor does DPDK listening before its port is up.
    pub(crate) fn refusal(&mut self) -> DisconnectReason {
        self.event("the refusal", |event| match event {
            Event::Refused {
                reason: DisconnectReason::Transport(_),
                ..
            } => None,
            Event::Refused {
                reason: DisconnectReason::PeerDisconnected { text, .. },
                ..
            } if text == "ID not found" => None,
            Event::Refused { reason, .. } => Some(reason),
            Event::Connected { .. } | Event::Disconnected { .. } => None,
        })
    }
}

pub(crate) fn connected(event: Event) -> Option<Link> {
    match event {
        Event::Connected { link, .. } => Some(link),
        Event::Disconnected { .. } | Event::Refused { .. } => None,
    }
}
