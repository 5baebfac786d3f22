//! Modules `vpe` and `vlib`: who runs there, threads, graph nodes, the debug CLI.

use std::time::{SystemTime, UNIX_EPOCH};

use vpp_api::vlib::{
    CliInband, CliInbandReply, GetNodeIndex, GetNodeIndexReply, ShowThreads, ShowThreadsReply,
    ThreadData,
};
use vpp_api::vpe::{ShowVersion, ShowVersionReply, ShowVpeSystemTime, ShowVpeSystemTimeReply};
use vpp_api::vpe_types::Timestamp;
use vpp_api::{ApiError, FixedString};

use super::Api;
use crate::cli;
use crate::engine::Engine;

pub(super) fn register(api: &mut Api) {
    api.on::<ShowVersion, _>(|_, _| {
        Ok(ShowVersionReply {
            program: FixedString::truncated("weft-vswitch"),
            version: FixedString::truncated(env!("CARGO_PKG_VERSION")),
            ..ShowVersionReply::default()
        })
    })
    .on::<ShowVpeSystemTime, _>(|_, _| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Ok(ShowVpeSystemTimeReply {
            vpe_system_time: Timestamp(now.as_secs_f64()),
            ..Default::default()
        })
    })
    .on::<ShowThreads, _>(|engine, _| Ok(threads(engine)))
    .on::<GetNodeIndex, _>(|_, request| {
        let name = request.node_name.as_str();
        let node_index = super::trace::node_index(name).ok_or(ApiError::NoSuchNode)?;
        Ok(GetNodeIndexReply {
            node_index,
            ..Default::default()
        })
    })
    .on::<CliInband, _>(|engine, request| {
        Ok(CliInbandReply {
            reply: cli::run(engine, &request.cmd),
            ..Default::default()
        })
    });
}

fn threads(engine: &Engine) -> ShowThreadsReply {
    let main = ThreadData {
        name: FixedString::truncated("main"),
        pid: std::process::id(),
        ..ThreadData::default()
    };
    let worker = |number: usize| ThreadData {
        id: u32::try_from(number + 1).unwrap_or(u32::MAX),
        name: FixedString::truncated(&format!("worker-{number}")),
        r#type: FixedString::truncated("workers"),
        pid: std::process::id(),
        ..ThreadData::default()
    };
    let workers = (0..engine.worker_count()).map(worker);
    ShowThreadsReply {
        thread_data: std::iter::once(main).chain(workers).collect(),
        ..Default::default()
    }
}
