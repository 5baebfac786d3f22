//! Memif interfaces of the engine: control sockets by number, interfaces by socket and id.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Instant;

use memif_rs::{
    Address, Client, ClientConfig, DisconnectReason, Event, Limits, Link, Listener, Memory, Mode,
    Secret, ServerConfig,
};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use parking_lot::Mutex;
use vpp_api::ApiError;
use vswitch::interface::LinkMode;
use vswitch::{MacAddr, SwIfIndex};

use super::{Engine, LINK_MTU, code, refused, stable_mac};
use crate::device::inlet::{Inlet, RxMode, Source};
use crate::device::netns;
use crate::device::port::Port;

/// The socket that exists without being made.
const DEFAULT_SOCKET: u32 = 0;
/// Longest socket name VPP can report.
const FILENAME_MAX: usize = 107;

/// The control sockets.
#[derive(Debug)]
pub struct MemifSockets {
    run_dir: PathBuf,
    sockets: BTreeMap<u32, Socket>,
    /// Readable when a control socket has work.
    epoll: Epoll,
}

#[derive(Debug)]
struct Socket {
    filename: String,
    /// Present while an interface of role master uses the socket.
    listener: Option<Listener>,
}

/// A memif interface to create.
#[derive(Clone, Debug)]
pub struct MemifRequest {
    /// Whether this side listens.
    pub is_master: bool,
    /// Ethernet frames or IP packets.
    pub mode: Mode,
    /// Number of the interface on its socket.
    pub id: u32,
    /// The socket.
    pub socket_id: u32,
    /// Queues to offer, as slave.
    pub queues: u8,
    /// Entries of a ring, a power of two; 0 for the default.
    pub ring_size: u32,
    /// Bytes of a buffer; 0 for the default.
    pub buffer_size: u16,
    /// Our MAC; derived from socket and id when absent.
    pub mac: Option<MacAddr>,
    /// What both sides must know; empty for nothing.
    pub secret: String,
}

/// A memif interface.
#[derive(Debug)]
pub struct MemifDevice {
    /// How it was asked for.
    pub request: MemifRequest,
    /// Present in role slave.
    client: Option<Client>,
    /// Name of the peer and of its interface, and the entries of a ring, while connected.
    pub peer: Option<(String, String, u32)>,
}

impl MemifSockets {
    /// Makes the default socket known; nothing is bound before an interface uses it.
    pub fn new(run_dir: PathBuf) -> io::Result<Self> {
        let default = Socket {
            filename: run_dir.join("memif.sock").to_string_lossy().into_owned(),
            listener: None,
        };
        Ok(Self {
            run_dir,
            sockets: BTreeMap::from([(DEFAULT_SOCKET, default)]),
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
        })
    }

    /// A second descriptor of the poll set, for the main loop to wait on.
    pub fn waker(&self) -> io::Result<Epoll> {
        self.epoll.0.try_clone().map(Epoll)
    }

    /// Lists numbers and file names.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        self.sockets
            .iter()
            .map(|(id, socket)| (*id, socket.filename.as_str()))
    }

    fn watch(&self, what: &impl AsFd) -> io::Result<()> {
        Ok(self
            .epoll
            .add(what, EpollEvent::new(EpollFlags::EPOLLIN, 0))?)
    }

    fn unwatch(&self, what: &impl AsFd) {
        if let Err(error) = self.epoll.delete(what) {
            tracing::debug!(%error, "control socket was not watched");
        }
    }

    fn resolve(&self, filename: &str) -> String {
        let is_abstract = filename.starts_with('@') || filename.starts_with("abstract:");
        if is_abstract {
            filename.to_owned()
        } else {
            self.run_dir.join(filename).to_string_lossy().into_owned()
        }
    }
}

impl Engine {
    /// Names a socket; `None` takes a free number.
    pub fn add_memif_socket(&mut self, id: Option<u32>, filename: &str) -> Result<u32, ApiError> {
        if filename.is_empty() || filename.len() > FILENAME_MAX || id == Some(DEFAULT_SOCKET) {
            return Err(ApiError::InvalidArgument);
        }
        let filename = self.sockets.resolve(filename);
        let id = match id {
            Some(id) => id,
            None => (1..)
                .find(|id| !self.sockets.sockets.contains_key(id))
                .ok_or(ApiError::InvalidArgument)?,
        };
        match self.sockets.sockets.get(&id) {
            Some(socket) if socket.filename == filename => Ok(id),
            Some(_) => Err(ApiError::EntryAlreadyExists),
            None => {
                self.sockets.sockets.insert(
                    id,
                    Socket {
                        filename,
                        listener: None,
                    },
                );
                Ok(id)
            }
        }
    }

    /// Forgets a socket that no interface uses.
    pub fn delete_memif_socket(&mut self, id: u32) -> Result<(), ApiError> {
        if id == DEFAULT_SOCKET {
            return Err(ApiError::InvalidArgument);
        }
        if self
            .memifs
            .values()
            .any(|memif| memif.request.socket_id == id)
        {
            return Err(ApiError::UnexpectedInterfaceState);
        }
        self.sockets
            .sockets
            .remove(&id)
            .map(drop)
            .ok_or(ApiError::InvalidArgument)
    }

    /// Creates a memif interface, link down until its peer connects.
    pub fn create_memif(&mut self, request: MemifRequest) -> Result<SwIfIndex, ApiError> {
        let socket = self
            .sockets
            .sockets
            .get(&request.socket_id)
            .ok_or(ApiError::InvalidArgument)?;
        let filename = socket.filename.clone();
        let clash = |memif: &MemifDevice| {
            memif.request.socket_id == request.socket_id
                && (memif.request.id == request.id || memif.request.is_master != request.is_master)
        };
        if self.memifs.values().any(clash) {
            return Err(ApiError::SubifAlreadyExists);
        }
        let secret = match request.secret.as_str() {
            "" => None,
            secret => Some(Secret::new(secret).map_err(|_| ApiError::InvalidArgument)?),
        };
        let ring_size = if request.ring_size == 0 {
            1024
        } else {
            request.ring_size
        };
        if !ring_size.is_power_of_two()
            || ring_size > 1 << memif_rs::Limits::default().log2_ring_size
        {
            return Err(ApiError::InvalidArgument);
        }
        let name = format!("memif{}/{}", request.socket_id, request.id);
        let client = if request.is_master {
            self.serve_memif(&request, &filename, &name, secret)?;
            None
        } else {
            Some(self.connect_memif(&request, &filename, &name, secret, ring_size)?)
        };
        let mac = request
            .mac
            .unwrap_or_else(|| stable_mac(format!("{filename}/{}", request.id).as_bytes()));
        let mode = match request.mode {
            Mode::Ethernet => LinkMode::Ethernet,
            Mode::Ip => LinkMode::Ip,
        };
        let created = self.create_device(&name, "memif", mac, LINK_MTU, mode, false);
        if created.is_err() {
            self.unserve_memif(&request, client.as_ref());
        }
        let sw_if_index = created?;
        self.memifs.insert(
            sw_if_index,
            MemifDevice {
                request,
                client,
                peer: None,
            },
        );
        Ok(sw_if_index)
    }

    /// Deletes a memif interface; its peer is told.
    pub fn delete_memif(&mut self, sw_if_index: SwIfIndex) -> Result<(), ApiError> {
        let mut device = self
            .memifs
            .remove(&sw_if_index)
            .ok_or(ApiError::InvalidSwIfIndex)?;
        self.detach(sw_if_index);
        if let Some(client) = &mut device.client {
            client.shutdown();
        }
        self.unserve_memif(&device.request, device.client.as_ref());
        self.forget_rx_modes(sw_if_index);
        self.dataplane.delete_interface(sw_if_index).map_err(code)
    }

    /// Does whatever the control sockets have to do.
    pub fn drive_memif(&mut self) {
        let now = Instant::now();
        let mut events = Vec::new();
        for (socket_id, socket) in &mut self.sockets.sockets {
            let Some(listener) = &mut socket.listener else {
                continue;
            };
            if let Err(error) = listener.drive(now) {
                tracing::warn!(%error, socket = %socket.filename, "memif socket failed");
            }
            while let Some(event) = listener.poll_event() {
                events.push((*socket_id, event));
            }
        }
        for device in self.memifs.values_mut() {
            let Some(client) = &mut device.client else {
                continue;
            };
            if let Err(error) = client.drive(now) {
                tracing::warn!(%error, id = device.request.id, "memif client failed");
            }
            while let Some(event) = client.poll_event() {
                events.push((device.request.socket_id, event));
            }
        }
        for (socket_id, event) in events {
            self.handle_memif(socket_id, event);
        }
    }

    /// When [`Engine::drive_memif`] is due even if nothing comes in.
    pub fn memif_timeout(&self) -> Option<Instant> {
        let listeners = self
            .sockets
            .sockets
            .values()
            .filter_map(|socket| socket.listener.as_ref()?.poll_timeout());
        let clients = self
            .memifs
            .values()
            .filter_map(|memif| memif.client.as_ref()?.poll_timeout());
        listeners.chain(clients).min()
    }

    /// Hangs up on a peer that broke the protocol on the data path.
    pub fn break_memif(&mut self, sw_if_index: SwIfIndex) {
        let Some(device) = self.memifs.get_mut(&sw_if_index) else {
            return;
        };
        tracing::warn!(
            sw_if_index = sw_if_index.0,
            "memif peer broke the ring protocol, disconnecting it"
        );
        let (socket_id, id) = (device.request.socket_id, device.request.id);
        match &mut device.client {
            Some(client) => client.disconnect(DisconnectReason::Removed),
            None => {
                let socket = self.sockets.sockets.get_mut(&socket_id);
                if let Some(listener) = socket.and_then(|socket| socket.listener.as_mut()) {
                    listener.disconnect(id, DisconnectReason::Removed);
                }
            }
        }
        self.drive_memif();
    }

    fn handle_memif(&mut self, socket_id: u32, event: Event) {
        match event {
            Event::Connected { id, link } => {
                if let Some(sw_if_index) = self.find_memif(socket_id, id) {
                    self.connect_link(sw_if_index, link);
                }
            }
            Event::Disconnected { id, reason } => {
                let Some(sw_if_index) = self.find_memif(socket_id, id) else {
                    return;
                };
                tracing::info!(sw_if_index = sw_if_index.0, %reason, "memif peer disconnected");
                self.detach(sw_if_index);
                if let Some(device) = self.memifs.get_mut(&sw_if_index) {
                    device.peer = None;
                }
                self.set_link(sw_if_index, false);
            }
            Event::Refused { id, reason } => {
                tracing::warn!(socket_id, ?id, %reason, "memif connection refused");
            }
        }
    }

    fn connect_link(&mut self, sw_if_index: SwIfIndex, link: Link) {
        let (app, interface) = (link.peer.app.clone(), link.peer.interface.clone());
        let ring_size = 1 << link.log2_ring_size;
        // Both of our roles copy, so the queues are always of that kind.
        let Some((rx, tx)) = link.into_copy() else {
            return;
        };
        tracing::info!(sw_if_index = sw_if_index.0, peer = %app, queues = rx.len(), "memif peer connected");
        if let Some(device) = self.memifs.get_mut(&sw_if_index) {
            device.peer = Some((app, interface, ring_size));
        }
        let inlets = (0..).zip(rx).map(|(queue_id, queue)| {
            let source = Source::Memif(Box::new(queue));
            Inlet {
                sw_if_index,
                queue_id,
                source,
                mode: RxMode::default(),
            }
        });
        self.attach(
            sw_if_index,
            Port::Memif(tx.into_iter().map(Mutex::new).collect()),
            inlets.collect(),
        );
        self.set_link(sw_if_index, true);
    }

    fn find_memif(&self, socket_id: u32, id: u32) -> Option<SwIfIndex> {
        let is_it =
            |memif: &MemifDevice| (memif.request.socket_id, memif.request.id) == (socket_id, id);
        self.memifs
            .iter()
            .find(|(_, memif)| is_it(memif))
            .map(|(sw_if_index, _)| *sw_if_index)
    }

    /// Listens for an interface of role master; the first on a socket binds it.
    fn serve_memif(
        &mut self,
        request: &MemifRequest,
        filename: &str,
        name: &str,
        secret: Option<Secret>,
    ) -> Result<(), ApiError> {
        let socket = self
            .sockets
            .sockets
            .get_mut(&request.socket_id)
            .ok_or(ApiError::InvalidArgument)?;
        let mut listener = match socket.listener.take() {
            Some(listener) => listener,
            None => {
                let listener =
                    bind(filename).map_err(|error| refused("memif", filename, error.as_ref()))?;
                self.sockets
                    .watch(&listener)
                    .map_err(|error| refused("memif", filename, &error))?;
                listener
            }
        };
        let config = ServerConfig {
            name: name.to_owned(),
            mode: request.mode,
            secret,
        };
        let added = listener.add(request.id, config);
        if let Some(socket) = self.sockets.sockets.get_mut(&request.socket_id) {
            socket.listener = Some(listener);
        }
        added.map_err(|_| ApiError::SubifAlreadyExists)
    }

    fn connect_memif(
        &self,
        request: &MemifRequest,
        filename: &str,
        name: &str,
        secret: Option<Secret>,
        ring_size: u32,
    ) -> Result<Client, ApiError> {
        let address =
            Address::parse(filename).map_err(|error| refused("memif", filename, &error))?;
        let buffer_size = if request.buffer_size == 0 {
            2048
        } else {
            u32::from(request.buffer_size)
        };
        let config = ClientConfig {
            name: name.to_owned(),
            mode: request.mode,
            secret,
            queues: u16::from(request.queues.max(1)),
            log2_ring_size: u8::try_from(ring_size.ilog2()).unwrap_or_default(),
            memory: Memory::Copy { buffer_size },
        };
        let client = Client::new(address, request.id, config, Limits::default())
            .map_err(|error| refused("memif", filename, &error))?;
        self.sockets
            .watch(&client)
            .map_err(|error| refused("memif", filename, &error))?;
        Ok(client)
    }

    /// Undoes [`Engine::serve_memif`] or [`Engine::connect_memif`]; the last master of a socket unbinds it.
    fn unserve_memif(&mut self, request: &MemifRequest, client: Option<&Client>) {
        if let Some(client) = client {
            self.sockets.unwatch(client);
            return;
        }
        let Some(socket) = self.sockets.sockets.get_mut(&request.socket_id) else {
            return;
        };
        let Some(listener) = &mut socket.listener else {
            return;
        };
        listener.remove(request.id);
        if listener.is_empty()
            && let Some(listener) = socket.listener.take()
        {
            self.sockets.unwatch(&listener);
        }
    }
}

/// Binds a socket by VPP's name for it: `<name>[,netns_name=<namespace>]`.
fn bind(filename: &str) -> Result<Listener, Box<dyn std::error::Error>> {
    let (name, namespace) = filename
        .split_once(",netns_name=")
        .unwrap_or((filename, ""));
    let address = Address::parse(name)?;
    let bound = netns::run_in(namespace, || {
        Ok(Listener::bind(&address, Limits::default()))
    })?;
    Ok(bound?)
}
