//! Packet-socket interfaces of the engine.

use std::sync::Arc;

use vpp_api::ApiError;
use vswitch::interface::LinkMode;
use vswitch::{MacAddr, SwIfIndex};

use super::{Engine, refused, stable_mac};
use crate::device::af_packet::{AfPacket, AfPacketConfig};
use crate::device::inlet::{Inlet, Source};
use crate::device::port::Port;

/// An interface on a Linux interface.
#[derive(Debug)]
pub struct AfPacketDevice {
    /// The Linux interface.
    pub host_if_name: String,
    /// The sockets.
    pub device: AfPacket,
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
        let sw_if_index =
            self.create_device(&name, "af-packet", mac, mtu, LinkMode::Ethernet, true)?;
        let inlets = (0..).zip(device.queues()).map(|(queue_id, queue)| {
            let source = Source::AfPacket(Arc::clone(queue));
            Inlet {
                sw_if_index,
                queue_id,
                source,
            }
        });
        self.attach(
            sw_if_index,
            Port::AfPacket(device.queues().to_vec()),
            inlets.collect(),
        );
        let host_if_name = config.host_if_name.clone();
        self.packets.insert(
            sw_if_index,
            AfPacketDevice {
                host_if_name,
                device,
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
        self.dataplane
            .delete_interface(sw_if_index)
            .map_err(super::code)
    }

    fn find_af_packet(&self, host_if_name: &str) -> Option<SwIfIndex> {
        self.packets
            .iter()
            .find(|(_, device)| device.host_if_name == host_if_name)
            .map(|(index, _)| *index)
    }
}
