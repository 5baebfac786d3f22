//! Tap devices: one end a Linux interface in a pod's network namespace, the other end ours.
//!
//! They are persistent and multi-queue: a pod's interface, with all its addresses and routes, survives the death of
//! this process, and any number of queues can attach to it again. Only [`Tap::remove`] takes it away.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use nix::sys::uio::{readv, writev};

use super::netlink::{LinkChange, LinkInfo, RouteSocket};
use super::sys::{self, PARTS};
use super::{netns, vnet};

const TUN_F_CSUM: u32 = 0x01;
const TUN_F_TSO4: u32 = 0x02;
const TUN_F_TSO6: u32 = 0x04;
const TUN_F_TSO_ECN: u32 = 0x08;
const TUN_F_USO4: u32 = 0x20;
const TUN_F_USO6: u32 = 0x40;

/// What Linux shall see.
#[derive(Clone, Debug, Default)]
pub struct TapConfig {
    /// Name of the Linux interface.
    pub host_if_name: String,
    /// Namespace of the Linux interface: path, `pid:<n>` or name; empty for ours.
    pub host_namespace: String,
    /// The interface carries bare IP packets: a "tun".
    pub tun: bool,
    /// Queues, at least 1.
    pub queues: u16,
    /// MTU of the Linux interface.
    pub host_mtu: Option<u32>,
    /// MAC of the Linux interface.
    pub host_mac: Option<[u8; 6]>,
    /// Addresses with prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Next hops of default routes.
    pub gateways: Vec<IpAddr>,
    /// Bridge to join.
    pub bridge: Option<String>,
}

/// An attached tap device.
#[derive(Debug)]
pub struct Tap {
    queues: Vec<Arc<TapQueue>>,
    host: LinkInfo,
    name: String,
    namespace: String,
}

/// One queue: both directions, usable from any thread.
#[derive(Debug)]
pub struct TapQueue {
    file: File,
}

impl Tap {
    /// Creates the interface or attaches to the one a previous life left, then applies `config` to it.
    pub fn open(config: &TapConfig) -> io::Result<Self> {
        netns::run_in(&config.host_namespace, || Self::open_here(config))
    }

    fn open_here(config: &TapConfig) -> io::Result<Self> {
        let mut route = RouteSocket::open()?;
        let is_new = route.link(&config.host_if_name).is_err();
        let mut queues = Vec::new();
        for _ in 0..config.queues.max(1) {
            queues.push(Arc::new(TapQueue::attach(
                &config.host_if_name,
                config.tun,
            )?));
        }
        let tap = Self {
            queues,
            host: LinkInfo::default(),
            name: config.host_if_name.clone(),
            namespace: config.host_namespace.clone(),
        };
        match tap.configure(config, &mut route) {
            Ok(host) => Ok(Self { host, ..tap }),
            Err(error) => {
                if is_new {
                    tap.remove();
                }
                Err(error)
            }
        }
    }

    fn configure(&self, config: &TapConfig, route: &mut RouteSocket) -> io::Result<LinkInfo> {
        for queue in &self.queues {
            sys::tun_set_persist(queue.as_fd(), true)?;
        }
        let found = route.link(&self.name)?;
        let index = found.index;
        let master = match &config.bridge {
            Some(bridge) => Some(route.link(bridge)?.index),
            None => None,
        };
        let change = LinkChange {
            // Setting even the same address makes the kernel forget all neighbours of the interface,
            // the permanent ones too: a pod that is attached again would lose its gateway.
            mac: config
                .host_mac
                .filter(|mac| *mac != found.mac && !config.tun),
            mtu: config.host_mtu,
            master,
            up: true,
        };
        route.change_link(index, change)?;
        for (address, len) in &config.addresses {
            route.add_address(index, *address, *len)?;
        }
        for gateway in &config.gateways {
            route.add_default_route(index, *gateway)?;
        }
        route.link(&self.name)
    }

    /// Takes the Linux interface away; a namespace that is gone took it along already.
    pub fn remove(&self) {
        for queue in &self.queues {
            if let Err(error) = sys::tun_set_persist(queue.as_fd(), false) {
                tracing::debug!(tap = %self.name, %error, "tap is gone already");
            }
        }
        let removed = netns::run_in(&self.namespace, || {
            let mut route = RouteSocket::open()?;
            let index = route.link(&self.name)?.index;
            route.delete_link(index)
        });
        if let Err(error) = removed {
            tracing::debug!(tap = %self.name, %error, "tap link is gone already");
        }
    }

    /// Returns the queues.
    pub fn queues(&self) -> &[Arc<TapQueue>] {
        &self.queues
    }

    /// Returns what Linux says about its end.
    pub fn host(&self) -> LinkInfo {
        self.host
    }
}

impl TapQueue {
    fn attach(name: &str, tun: bool) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open("/dev/net/tun")?;
        let kind = if tun { libc::IFF_TUN } else { libc::IFF_TAP };
        let flags = kind | libc::IFF_NO_PI | libc::IFF_VNET_HDR | libc::IFF_MULTI_QUEUE;
        sys::tun_attach(file.as_fd(), name, flags)?;
        sys::tun_set_vnet_header_len(
            file.as_fd(),
            libc::c_int::try_from(vnet::TAP_HEADER_LEN).unwrap_or_default(),
        )?;
        let offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
        // UDP segmentation is refused by kernels before 6.2.
        sys::tun_set_offload(file.as_fd(), offload | TUN_F_USO4 | TUN_F_USO6)
            .or_else(|_| sys::tun_set_offload(file.as_fd(), offload))?;
        Ok(Self { file })
    }

    /// Reads one frame behind its virtio-net header; the length includes the header.
    pub fn recv(&self, parts: &mut [IoSliceMut<'_>; PARTS]) -> io::Result<usize> {
        Ok(readv(&self.file, parts)?)
    }

    /// Writes one frame behind its virtio-net header.
    pub fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        writev(&self.file, parts)?;
        Ok(())
    }
}

impl AsFd for TapQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
