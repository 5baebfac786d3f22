//! Module `weft_function`, which VPP does not have.

use std::path::PathBuf;
use std::time::Duration;

use vpp_api::weft_function::{
    WeftFunctionAddReplace, WeftFunctionAddReplaceReply, WeftFunctionDel, WeftFunctionDetails,
    WeftFunctionDump, WeftFunctionInterfaceDetails, WeftFunctionInterfaceDump,
    WeftFunctionInterfaceSet,
};
use vpp_api::{ApiError, FixedString};
use vswitch::function::{FunctionInfo, Side};

use super::Api;
use super::convert::{Coded, filter, index, sw};
use crate::engine::Engine;
use crate::function::{DEADLINE, DEADLINE_MAX, FunctionSpec, Loader, MEMORY_MIB, MEMORY_MIB_MAX};

pub(super) fn register(api: &mut Api) {
    // Modules are compiled for some time; meanwhile others are served.
    let mut loader = Loader::default();
    api.on_slow::<WeftFunctionAddReplace, _, _>(
        |engine, request| {
            let spec = spec(&request)?;
            engine.function_may_be(&spec.name)?;
            Ok((spec, engine.worker_count()))
        },
        move |(spec, workers)| {
            let instances = loader.load(&spec, workers);
            (spec, instances)
        },
        |engine, (spec, instances)| {
            let instances = instances.map_err(|error| {
                let reason: &dyn std::error::Error = &error;
                tracing::warn!(function = spec.name, error = reason, "function is refused");
                error.code()
            })?;
            let function_index = engine.function_add_replace(spec, instances)?;
            Ok(WeftFunctionAddReplaceReply {
                function_index,
                ..Default::default()
            })
        },
    )
    .on::<WeftFunctionDel, _>(|engine, request| engine.function_del(request.function_index))
    .on::<WeftFunctionInterfaceSet, _>(|engine, request| {
        let side = if request.is_input {
            Side::Input
        } else {
            Side::Output
        };
        let function = request.function_index;
        let function = (function != u32::MAX).then_some(function);
        engine
            .dataplane
            .function_interface_set(sw(request.sw_if_index), side, function)
            .coded()
    })
    .on_dump::<WeftFunctionDump>(|engine, request| {
        let only = request.function_index;
        let all = engine.dataplane.functions();
        all.filter(|info| only == u32::MAX || only == info.index)
            .map(|info| details(engine, info))
            .collect()
    })
    .on_dump::<WeftFunctionInterfaceDump>(|engine, request| {
        let only = filter(request.sw_if_index);
        let all = engine.dataplane.function_interfaces();
        all.filter(|(on, ..)| only.is_none_or(|only| only == *on))
            .map(|(on, side, function_index)| WeftFunctionInterfaceDetails {
                sw_if_index: index(on),
                is_input: side == Side::Input,
                function_index,
            })
            .collect()
    });
}

fn spec(request: &WeftFunctionAddReplace) -> Result<FunctionSpec, ApiError> {
    let memory_mib = match request.memory_mib {
        0 => MEMORY_MIB,
        mib => mib,
    };
    let deadline = match request.deadline_ms {
        0 => DEADLINE,
        ms => Duration::from_millis(ms.into()),
    };
    if memory_mib > MEMORY_MIB_MAX || deadline > DEADLINE_MAX {
        return Err(ApiError::InvalidValue);
    }
    let config = match request.config.as_str() {
        "" => "{}",
        config => config,
    };
    Ok(FunctionSpec {
        name: request.name.as_str().to_owned(),
        module: PathBuf::from(request.module.as_str()),
        config: config.to_owned(),
        fail_open: request.fail_open,
        memory_mib,
        deadline,
    })
}

fn details(engine: &Engine, info: &FunctionInfo) -> WeftFunctionDetails {
    let counters = engine.dataplane.function_counters(info.index);
    let reports = engine.function_reports(info.index);
    let about = reports.first().map_or("", |report| &report.about);
    let spec = engine.functions.get(&info.index);
    WeftFunctionDetails {
        function_index: info.index,
        name: FixedString::truncated(&info.name),
        fail_open: info.fail_open,
        memory_mib: spec.map_or(0, |spec| spec.memory_mib),
        deadline_ms: spec.map_or(0, |spec| {
            u32::try_from(spec.deadline.as_millis()).unwrap_or(u32::MAX)
        }),
        module: FixedString::truncated(&spec.map_or_else(String::new, |spec| {
            spec.module.to_string_lossy().into_owned()
        })),
        about: FixedString::truncated(about),
        packets: counters.packets,
        drops: counters.drops,
        changed: counters.changed,
        undecided: counters.undecided,
        faults: reports.iter().map(|report| report.faults).sum(),
        last_fault: reports
            .iter()
            .map(|report| report.last_fault.as_str())
            .find(|fault| !fault.is_empty())
            .unwrap_or_default()
            .to_owned(),
    }
}
