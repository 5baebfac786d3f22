//! Tap interfaces of the engine.

use std::sync::Arc;

use vpp_api::ApiError;
use vswitch::interface::LinkMode;
use vswitch::{MacAddr, SwIfIndex};

use super::{Engine, LINK_MTU, refused, stable_mac};
use crate::device::inlet::{Inlet, RxMode, Source};
use crate::device::port::Port;
use crate::device::tap::{Tap, TapConfig};

/// A tap interface to create.
#[derive(Clone, Debug)]
pub struct TapRequest {
    /// Instance number; the next free one when absent.
    pub id: Option<u32>,
    /// Our MAC; derived from Linux's when absent.
    pub mac: Option<MacAddr>,
    /// The Linux side. An empty interface name becomes `tap<id>`.
    pub host: TapConfig,
}

/// A tap interface.
#[derive(Debug)]
pub struct TapDevice {
    /// Instance number.
    pub id: u32,
    /// The device.
    pub tap: Tap,
    /// How its Linux side was asked for.
    pub host: TapConfig,
}

impl Engine {
    /// Creates a tap interface, or takes the device of that name over from a former life.
    pub fn create_tap(&mut self, request: TapRequest) -> Result<SwIfIndex, ApiError> {
        let TapRequest { id, mac, mut host } = request;
        let is_taken = |id: u32| self.taps.values().any(|tap| tap.id == id);
        let id = match id {
            Some(id) if is_taken(id) => return Err(ApiError::InvalidInterface),
            Some(id) => id,
            None => (0..).find(|id| !is_taken(*id)).unwrap_or_default(),
        };
        let (kind, mode) = if host.tun {
            ("tun", LinkMode::Ip)
        } else {
            ("tap", LinkMode::Ethernet)
        };
        if host.host_if_name.is_empty() {
            host.host_if_name = format!("{kind}{id}");
        }
        let is_attached = |tap: &TapDevice| {
            (&tap.host.host_if_name, &tap.host.host_namespace)
                == (&host.host_if_name, &host.host_namespace)
        };
        if self.taps.values().any(is_attached) {
            return Err(ApiError::IfAlreadyExists);
        }
        let tap = Tap::open(&host).map_err(|error| refused("tap", &host.host_if_name, &error))?;
        let mac = mac.unwrap_or_else(|| stable_mac(&tap.host().mac));
        let sw_if_index =
            match self.create_device(&format!("{kind}{id}"), kind, mac, LINK_MTU, mode, true) {
                Ok(sw_if_index) => sw_if_index,
                Err(error) => {
                    tap.remove();
                    return Err(error);
                }
            };
        let inlets = (0..).zip(tap.queues()).map(|(queue_id, queue)| {
            let source = Source::Tap(Arc::clone(queue));
            Inlet {
                sw_if_index,
                queue_id,
                source,
                mode: RxMode::default(),
            }
        });
        self.attach(
            sw_if_index,
            Port::Tap(tap.queues().to_vec()),
            inlets.collect(),
        );
        self.taps.insert(sw_if_index, TapDevice { id, tap, host });
        Ok(sw_if_index)
    }

    /// Deletes a tap interface with its Linux side.
    pub fn delete_tap(&mut self, sw_if_index: SwIfIndex) -> Result<(), ApiError> {
        let device = self
            .taps
            .remove(&sw_if_index)
            .ok_or(ApiError::InvalidSwIfIndex)?;
        self.detach(sw_if_index);
        device.tap.remove();
        self.forget_rx_modes(sw_if_index);
        self.dataplane
            .delete_interface(sw_if_index)
            .map_err(super::code)
    }
}
