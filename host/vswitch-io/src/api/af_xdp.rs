//! Module `af_xdp`.

use vpp_api::ApiError;
use vpp_api::af_xdp::{AfXdpCreateV3, AfXdpCreateV3Reply, AfXdpDelete, AfXdpFlags, AfXdpMode};

use super::Api;
use super::convert::{index, sw};
use crate::device::af_xdp::{AfXdpConfig, CopyMode, RING_SIZE_MAX};

/// Most queues of one interface.
const QUEUES_MAX: u16 = 64;

pub(super) fn register(api: &mut Api) {
    api.on::<AfXdpCreateV3, _>(|engine, request| {
        let reuse_mac = request.flags.contains(AfXdpFlags::MAC_REUSE);
        let config = config(&request)?;
        let name = request.name.as_str();
        let sw_if_index = index(engine.create_af_xdp(name, reuse_mac, &config)?);
        Ok(AfXdpCreateV3Reply {
            sw_if_index,
            ..Default::default()
        })
    })
    .on::<AfXdpDelete, _>(|engine, request| engine.delete_af_xdp(sw(request.sw_if_index)));
}

fn config(request: &AfXdpCreateV3) -> Result<AfXdpConfig, ApiError> {
    let size = |asked: u16| match u32::from(asked) {
        0 => Ok(0),
        size if size.is_power_of_two() && size <= RING_SIZE_MAX => Ok(size),
        _ => Err(ApiError::InvalidValue),
    };
    // A program of the user's own would need a loader.
    if !request.prog.is_empty() || request.flags.contains(AfXdpFlags::MULTI_BUFFER) {
        return Err(ApiError::Unsupported);
    }
    Ok(AfXdpConfig {
        host_if_name: request.host_if.as_str().to_owned(),
        netns: request.netns.as_str().to_owned(),
        queues: match request.rxq_num {
            // "All", which only a driver could tell.
            0 | u16::MAX => 1,
            queues if queues <= QUEUES_MAX => queues,
            _ => return Err(ApiError::InvalidValue),
        },
        rx_size: size(request.rxq_size)?,
        tx_size: size(request.txq_size)?,
        mode: match request.mode {
            AfXdpMode::Auto => CopyMode::Auto,
            AfXdpMode::Copy => CopyMode::Copy,
            AfXdpMode::ZeroCopy => CopyMode::ZeroCopy,
            AfXdpMode::Other(_) => return Err(ApiError::InvalidValue),
        },
    })
}
