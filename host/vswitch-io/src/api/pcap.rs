//! Capture to a file: the `pcap_` messages of module `interface`.

use vpp_api::ApiError;
use vpp_api::interface::{PcapTraceOff, PcapTraceOn};
use vswitch::SwIfIndex;
use vswitch::graph::{DropReason, NodeId};

use super::Api;
use crate::engine::Engine;
use crate::pcap::{BYTES_PER_PACKET, CaptureSpec, PACKETS_MAX};

pub(super) fn register(api: &mut Api) {
    api.on::<PcapTraceOn, _>(|engine, request| start(engine, &request))
        .on::<PcapTraceOff, _>(|engine, _| stop(engine));
}

fn start(engine: &mut Engine, request: &PcapTraceOn) -> Result<(), ApiError> {
    if !request.capture_rx && !request.capture_tx && !request.capture_drop {
        // VPP takes it for "off".
        return stop(engine);
    }
    if !BYTES_PER_PACKET.contains(&request.max_bytes_per_packet) {
        return Err(ApiError::InvalidMemorySize);
    }
    if request.max_packets == 0 || request.max_packets > PACKETS_MAX {
        return Err(ApiError::InvalidValue);
    }
    let only = match request.sw_if_index.0 {
        0 | u32::MAX => None,
        on => {
            let on = SwIfIndex(on);
            engine
                .dataplane
                .interface(on)
                .map_err(crate::engine::code)?;
            Some(on)
        }
    };
    let error = match request.error.as_str() {
        "" => None,
        text => Some(error_of(text).ok_or(ApiError::InvalidValue)?),
    };
    engine.capture_start(CaptureSpec {
        rx: request.capture_rx,
        tx: request.capture_tx,
        drop: request.capture_drop,
        packets_max: request.max_packets,
        bytes_max: request.max_bytes_per_packet,
        only,
        error,
        filter: engine.pcap_filter.filter(|_| request.filter),
        file_name: request.filename.as_str().to_owned(),
    })
}

/// A capture without packets ends with an error, as in VPP; its file is there and has none.
fn stop(engine: &mut Engine) -> Result<(), ApiError> {
    match engine.capture_stop()? {
        (_, 0) => Err(ApiError::NoSuchEntry),
        _ => Ok(()),
    }
}

/// Finds `node.reason`.
pub(crate) fn error_of(text: &str) -> Option<(NodeId, DropReason)> {
    let (node, reason) = text.split_once('.')?;
    let node = NodeId::ALL.iter().find(|n| n.name() == node)?;
    let reason = DropReason::ALL.iter().find(|r| r.name() == reason)?;
    Some((*node, *reason))
}
