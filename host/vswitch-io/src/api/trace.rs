//! Module `tracedump`: packets followed through the graph.

use vpp_api::tracedump::{
    TraceCapturePackets, TraceClearCache, TraceClearCapture, TraceDetails, TraceDump,
    TraceDumpReply, TraceV2Details, TraceV2Dump,
};

use super::Api;
use crate::engine::Engine;
use crate::worker::mailbox::TraceCommand;

/// A traced packet: worker, number on it, what happened.
type Record = (u32, u32, String);

pub(super) fn register(api: &mut Api) {
    // Every packet starts at a device, so which input node to trace makes no difference here.
    api.on::<TraceCapturePackets, _>(|engine, request| {
        if request.pre_capture_clear {
            engine.trace(&TraceCommand::Clear);
        }
        engine.trace(&TraceCommand::Start {
            max: request.max_packets,
            only: None,
        });
        Ok(())
    })
    .on::<TraceClearCapture, _>(|engine, _| {
        engine.trace(&TraceCommand::Stop);
        engine.trace(&TraceCommand::Clear);
        Ok(())
    })
    // Nothing is cached between dumps.
    .on::<TraceClearCache, _>(|_, _| Ok(()))
    .on_dump::<TraceV2Dump>(|engine, request| {
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
