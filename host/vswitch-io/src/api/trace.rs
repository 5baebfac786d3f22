//! Module `tracedump`: packets followed through the graph.

use vpp_api::ApiError;
use vpp_api::tracedump::{
    TraceCapturePackets, TraceClearCache, TraceClearCapture, TraceDetails, TraceDump,
    TraceDumpReply, TraceFilterFlag, TraceSetFilters, TraceV2Details, TraceV2Dump,
};
use vswitch::SwIfIndex;
use vswitch::graph::{NODES, NodeId};
use vswitch::trace::{NodeFilter, TraceSpec};

use super::Api;
use crate::engine::Engine;
use crate::worker::mailbox::TraceCommand;

/// Input nodes of VPP, and the device types that they stand for. Their indexes follow those of the graph.
pub(super) const INPUTS: [(&str, &str); 3] = [
    ("virtio-input", "tap"),
    ("memif-input", "memif"),
    ("af-packet-input", "af-packet"),
];

/// A traced packet: worker, number on it, what happened.
type Record = (u32, u32, String);

pub(super) fn register(api: &mut Api) {
    register_captures(api);
    register_dumps(api);
}

fn register_captures(api: &mut Api) {
    api.on::<TraceCapturePackets, _>(|engine, request| {
        let only = inputs(engine, request.node_index)?;
        if request.pre_capture_clear {
            engine.trace(&TraceCommand::Clear);
        }
        engine.trace(&TraceCommand::Start(TraceSpec {
            max: request.max_packets,
            only,
            filter: engine.packet_filter.filter(|_| request.use_filter),
        }));
        Ok(())
    })
    .on::<TraceSetFilters, _>(|engine, request| {
        let is_include = match request.flag {
            TraceFilterFlag::NONE => {
                engine.trace_filter = None;
                return Ok(());
            }
            TraceFilterFlag::INCLUDE_NODE => true,
            TraceFilterFlag::EXCLUDE_NODE => false,
            // VPP declares filters by classifier table here and refuses them.
            _ => return Err(ApiError::InvalidValue),
        };
        let node = NodeId::ALL.get(request.node_index as usize);
        let node = *node.ok_or(ApiError::NoSuchNode)?;
        engine.trace_filter = Some(NodeFilter { node, is_include });
        Ok(())
    })
    .on::<TraceClearCapture, _>(|engine, _| {
        engine.trace(&TraceCommand::Stop);
        engine.trace(&TraceCommand::Clear);
        Ok(())
    })
    // Nothing is cached between dumps.
    .on::<TraceClearCache, _>(|_, _| Ok(()));
}

fn register_dumps(api: &mut Api) {
    api.on_dump::<TraceV2Dump>(|engine, request| {
        let all = records(
            engine,
            request.thread_id,
            request.position,
            request.thread_id == u32::MAX,
        );
        let max = if request.max == 0 {
            all.len()
        } else {
            request.max as usize
        };
        let count = all.len();
        let details = |(at, (thread_id, position, trace_data)): (usize, Record)| TraceV2Details {
            thread_id,
            position,
            more: at + 1 < count,
            trace_data,
        };
        all.into_iter().enumerate().take(max).map(details).collect()
    });
    api.router.on_stream::<TraceDump>(|engine, request, out| {
        let all = records(engine, request.thread_id, request.position, true);
        let max = (request.max_records as usize).min(all.len());
        let is_done = max == all.len();
        let mut reply = TraceDumpReply {
            done: u8::from(is_done),
            ..TraceDumpReply::default()
        };
        for (number, (thread_id, position, trace_data)) in (0..).zip(all.into_iter().take(max)) {
            (reply.last_thread_id, reply.last_position) = (thread_id, position);
            out.send(&TraceDetails {
                thread_id,
                position,
                more_this_thread: u8::from(!is_done),
                more_threads: u8::from(!is_done),
                done: 0,
                packet_number: number,
                trace_data,
            });
        }
        (reply.more_this_thread, reply.more_threads) = (u8::from(!is_done), u8::from(!is_done));
        Ok(reply)
    });
}

/// Lists the packets of a worker from `position` on, then those of later workers if so wished.
fn records(engine: &Engine, thread_id: u32, position: u32, later_too: bool) -> Vec<Record> {
    let first = if thread_id == u32::MAX { 0 } else { thread_id };
    let mut found = Vec::new();
    for (thread, packets) in (0..).zip(engine.traced()) {
        let is_wanted = thread == first || (later_too && thread > first);
        let skip = if thread == first { position } else { 0 };
        let numbered = (0..)
            .zip(packets)
            .filter(|(number, _)| is_wanted && *number >= skip);
        found.extend(numbered.map(|(number, packet)| (thread, number, packet)));
    }
    found
}

/// Interfaces whose packets an input node brings; `ethernet-input`, which all pass, brings those of all (an empty list).
///
/// # Errors
/// [`ApiError::NoSuchNode`] for a node at which no packet starts.
pub(crate) fn inputs(engine: &Engine, node_index: u32) -> Result<Vec<SwIfIndex>, ApiError> {
    let at = node_index as usize;
    if NodeId::ALL.get(at) == Some(&NodeId::EthernetInput) {
        return Ok(Vec::new());
    }
    let (_, kind) = at
        .checked_sub(NODES)
        .and_then(|at| INPUTS.get(at))
        .ok_or(ApiError::NoSuchNode)?;
    let of_kind = engine
        .dataplane
        .interfaces()
        .filter(|i| i.dev_type == *kind);
    let mut found: Vec<_> = of_kind.map(|i| i.sw_if_index).collect();
    if found.is_empty() {
        // An empty list means all: nothing is what there is to trace.
        found.push(SwIfIndex::NONE);
    }
    Ok(found)
}

/// The index of a graph or input node.
pub(crate) fn node_index(name: &str) -> Option<u32> {
    let graph = NodeId::ALL.iter().map(|node| node.name());
    let mut all = graph.chain(INPUTS.iter().map(|(input, _)| *input));
    all.position(|known| known == name)
        .and_then(|at| u32::try_from(at).ok())
}
