//! Interfaces of the engine on express data path sockets.

use std::io;

use parking_lot::Mutex;
use vpp_api::ApiError;
use vswitch::interface::LinkMode;
use vswitch::{MacAddr, SwIfIndex};

use super::{Engine, refused, stable_mac};
use crate::device::af_xdp::{AfXdp, AfXdpConfig, MTU_MAX, XdpRx, XdpTx};
use crate::device::inlet::{Inlet, RxMode, Source};
use crate::device::link_monitor::LinkNews;
use crate::device::port::Port;

/// An interface on a Linux interface.
#[derive(Debug)]
pub struct AfXdpDevice {
    /// How it was asked for.
    pub config: AfXdpConfig,
    /// The program; the sockets are with the workers.
    pub device: AfXdp,
}

impl Engine {
    /// Creates an interface on a Linux interface; without a `name` it is called after that.
    pub fn create_af_xdp(
        &mut self,
        name: &str,
        reuse_mac: bool,
        config: &AfXdpConfig,
    ) -> Result<SwIfIndex, ApiError> {
        let host = &config.host_if_name;
        let is_same =
            |other: &AfXdpConfig| (&other.host_if_name, &other.netns) == (host, &config.netns);
        if self.xdps.values().any(|device| is_same(&device.config)) {
            return Err(ApiError::IfAlreadyExists);
        }
        let (device, queues) = AfXdp::open(config).map_err(|error| {
            let code = refused("af-xdp", host, &error);
            let is_unknown = error.raw_os_error() == Some(libc::ENODEV);
            if is_unknown {
                ApiError::InvalidInterface
            } else {
                code
            }
        })?;
        let own = MacAddr(device.host().mac);
        let mac = if reuse_mac { own } else { stable_mac(&own.0) };
        let mtu = u16::try_from(device.host().mtu).unwrap_or(u16::MAX);
        let name = match name {
            "" => format!("{host}/0"),
            name => name.to_owned(),
        };
        let is_running = device.host().is_running;
        let mode = LinkMode::Ethernet;
        let mtu = mtu.min(MTU_MAX);
        let sw_if_index = self.create_device(&name, "af_xdp", mac, mtu, mode, is_running)?;
        self.attach_xdp(sw_if_index, queues);
        let config = config.clone();
        self.xdps
            .insert(sw_if_index, AfXdpDevice { config, device });
        Ok(sw_if_index)
    }

    fn attach_xdp(&mut self, sw_if_index: SwIfIndex, queues: Vec<(XdpRx, XdpTx)>) {
        let (receive, transmit): (Vec<_>, Vec<_>) = queues.into_iter().unzip();
        let inlet = |(queue_id, queue)| Inlet {
            sw_if_index,
            queue_id,
            source: Source::AfXdp(Box::new(queue)),
            mode: RxMode::default(),
        };
        let inlets = (0..).zip(receive).map(inlet).collect();
        let ports = transmit.into_iter().map(Mutex::new).collect();
        self.attach(sw_if_index, Port::AfXdp(ports), inlets);
    }

    /// Follows the Linux interface that a device of this process's namespace is on: its carrier, its end, its return.
    pub(super) fn xdp_link_news(&mut self, news: &LinkNews) {
        let is_it = |device: &AfXdpDevice| {
            device.config.netns.is_empty() && device.config.host_if_name == news.name
        };
        let mut all = self.xdps.iter();
        let Some((sw_if_index, device)) = all.find(|(_, device)| is_it(device)) else {
            return;
        };
        let (sw_if_index, is_same) = (*sw_if_index, device.device.host().index == news.index);
        if news.is_gone {
            if is_same {
                tracing::info!(host_if_name = %news.name, "Linux interface is gone, link goes down");
                self.set_link(sw_if_index, false);
            }
            return;
        }
        if !is_same && let Err(error) = self.reopen_xdp(sw_if_index) {
            tracing::warn!(host_if_name = %news.name, %error, "Linux interface is back but cannot be used");
            return;
        }
        self.set_link(sw_if_index, news.is_running);
    }

    /// Attaches to the Linux interface that has the old one's name now.
    fn reopen_xdp(&mut self, sw_if_index: SwIfIndex) -> io::Result<()> {
        let Some(config) = self.xdps.get(&sw_if_index).map(|old| old.config.clone()) else {
            return Ok(());
        };
        let (device, queues) = AfXdp::open(&config)?;
        tracing::info!(host_if_name = %config.host_if_name, "Linux interface is back");
        self.detach(sw_if_index);
        self.attach_xdp(sw_if_index, queues);
        self.xdps
            .insert(sw_if_index, AfXdpDevice { config, device });
        Ok(())
    }

    /// Deletes such an interface.
    pub fn delete_af_xdp(&mut self, sw_if_index: SwIfIndex) -> Result<(), ApiError> {
        if !self.xdps.contains_key(&sw_if_index) {
            return Err(ApiError::InvalidSwIfIndex);
        }
        self.detach(sw_if_index);
        self.xdps.remove(&sw_if_index);
        self.forget_rx_modes(sw_if_index);
        self.dataplane
            .delete_interface(sw_if_index)
            .map_err(super::code)
    }
}
