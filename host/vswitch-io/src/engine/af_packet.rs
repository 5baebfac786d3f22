//! Packet-socket interfaces of the engine.

use std::sync::Arc;

use vpp_api::ApiError;
use vswitch::interface::LinkMode;
use vswitch::{MacAddr, SwIfIndex};

use super::{Engine, refused, stable_mac};
use crate::device::af_packet::{AfPacket, AfPacketConfig};
use crate::device::inlet::{Inlet, RxMode, Source};
use crate::device::link_monitor::LinkNews;
use crate::device::packets::PacketSource;
use crate::device::port::Port;

/// An interface on a Linux interface.
#[derive(Debug)]
pub struct AfPacketDevice {
    /// The Linux interface.
    pub host_if_name: String,
    /// The sockets.
    pub device: AfPacket,
    /// How it was asked for.
    config: AfPacketConfig,
}

impl Engine {
    /// Creates an interface on a Linux interface of this process's namespace.
    pub fn create_af_packet(
        &mut self,
        mac: Option<MacAddr>,
        config: &AfPacketConfig,
    ) -> Result<SwIfIndex, ApiError> {
        if self.find_af_packet(&config.host_if_name).is_some() {
            return Err(ApiError::IfAlreadyExists);
        }
        let device = AfPacket::open(config).map_err(|error| {
            let code = refused("af-packet", &config.host_if_name, &error);
            let is_unknown = error.raw_os_error() == Some(libc::ENODEV);
            if is_unknown {
                ApiError::InvalidInterface
            } else {
                code
            }
        })?;
        let mac = mac.unwrap_or_else(|| stable_mac(&device.host().mac));
        let name = format!("host-{}", config.host_if_name);
        let mtu = u16::try_from(device.host().mtu).unwrap_or(u16::MAX);
        let is_running = device.host().is_running;
        let mode = if config.ip_only {
            LinkMode::Ip
        } else {
            LinkMode::Ethernet
        };
        let sw_if_index = self.create_device(&name, "af-packet", mac, mtu, mode, is_running)?;
        self.attach_packets(sw_if_index, &device);
        let host_if_name = config.host_if_name.clone();
        self.packets.insert(
            sw_if_index,
            AfPacketDevice {
                host_if_name,
                device,
                config: config.clone(),
            },
        );
        Ok(sw_if_index)
    }

    /// Deletes the interface on a Linux interface.
    pub fn delete_af_packet(&mut self, host_if_name: &str) -> Result<(), ApiError> {
        let sw_if_index = self
            .find_af_packet(host_if_name)
            .ok_or(ApiError::SyscallError1)?;
        self.detach(sw_if_index);
        self.packets.remove(&sw_if_index);
        self.forget_rx_modes(sw_if_index);
        self.dataplane
            .delete_interface(sw_if_index)
            .map_err(super::code)
    }

    /// Follows what happens to the Linux interfaces below: carrier found or lost, interface gone, or there again.
    pub fn link_news(&mut self, news: &LinkNews) {
        self.xdp_link_news(news);
        let Some(sw_if_index) = self.find_af_packet(&news.name) else {
            return;
        };
        let Some(device) = self.packets.get(&sw_if_index) else {
            return;
        };
        let is_same = device.device.host().index == news.index;
        if news.is_gone {
            if is_same {
                tracing::info!(host_if_name = %news.name, "Linux interface is gone, link goes down");
                self.set_link(sw_if_index, false);
            }
            return;
        }
        if !is_same && let Err(error) = self.reopen_packets(sw_if_index) {
            tracing::warn!(host_if_name = %news.name, %error, "Linux interface is back but cannot be used");
            return;
        }
        self.set_link(sw_if_index, news.is_running);
    }

    /// Attaches to the Linux interface that has the old one's name now.
    fn reopen_packets(&mut self, sw_if_index: SwIfIndex) -> std::io::Result<()> {
        let Some(old) = self.packets.get(&sw_if_index) else {
            return Ok(());
        };
        let (config, host_if_name) = (old.config.clone(), old.host_if_name.clone());
        let device = AfPacket::open(&config)?;
        tracing::info!(%host_if_name, "Linux interface is back");
        self.detach(sw_if_index);
        self.attach_packets(sw_if_index, &device);
        let device = AfPacketDevice {
            host_if_name,
            device,
            config,
        };
        self.packets.insert(sw_if_index, device);
        Ok(())
    }

    fn attach_packets(&mut self, sw_if_index: SwIfIndex, device: &AfPacket) {
        let inlets = (0..).zip(device.queues()).map(|(queue_id, queue)| {
            let source = Source::AfPacket(Box::new(PacketSource::new(Arc::clone(queue))));
            Inlet {
                sw_if_index,
                queue_id,
                source,
                mode: RxMode::default(),
            }
        });
        self.attach(
            sw_if_index,
            Port::AfPacket(device.queues().to_vec()),
            inlets.collect(),
        );
    }

    fn find_af_packet(&self, host_if_name: &str) -> Option<SwIfIndex> {
        self.packets
            .iter()
            .find(|(_, device)| device.host_if_name == host_if_name)
            .map(|(index, _)| *index)
    }
}
