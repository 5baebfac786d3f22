//! Module `classify`: tables, sessions, and input classification of interfaces.

use vpp_api::ApiError;
use vpp_api::classify::{
    ClassifyAction, ClassifyAddDelSession, ClassifyAddDelTable, ClassifyAddDelTableReply,
    ClassifySessionDetails, ClassifySessionDump, ClassifyTableByInterface,
    ClassifyTableByInterfaceReply, ClassifyTableIds, ClassifyTableIdsReply, ClassifyTableInfo,
    ClassifyTableInfoReply, InputAclSetInterface,
};
use vswitch::Family;
use vswitch::classify::{
    Action, InputTables, NONE, SessionInfo, SessionSpec, TableInfo, TableSpec, VECTOR_LEN,
};

use super::Api;
use super::convert::{Coded, sw};
use crate::engine::Engine;

pub(super) fn register(api: &mut Api) {
    api.on::<ClassifyAddDelTable, _>(add_del_table)
        .on::<ClassifyAddDelSession, _>(add_del_session)
        .on::<InputAclSetInterface, _>(|engine, request| {
            let tables = InputTables {
                ip4: some(request.ip4_table_index),
                ip6: some(request.ip6_table_index),
                l2: some(request.l2_table_index),
            };
            let on = sw(request.sw_if_index);
            engine
                .dataplane
                .input_acl_set_interface(on, tables, request.is_add)
                .coded()
        })
        .on::<ClassifyTableIds, _>(|engine, _| {
            let tables = engine.dataplane.classify_tables();
            Ok(ClassifyTableIdsReply {
                ids: tables.map(|table| table.index).collect(),
                ..Default::default()
            })
        })
        .on::<ClassifyTableByInterface, _>(|engine, request| {
            let info = engine
                .dataplane
                .interface(sw(request.sw_if_index))
                .coded()?;
            let tables = info.classify_in;
            Ok(ClassifyTableByInterfaceReply {
                sw_if_index: request.sw_if_index,
                l2_table_id: tables.l2.unwrap_or(NONE),
                ip4_table_id: tables.ip4.unwrap_or(NONE),
                ip6_table_id: tables.ip6.unwrap_or(NONE),
                ..Default::default()
            })
        })
        .on::<ClassifyTableInfo, _>(|engine, request| {
            let mut tables = engine.dataplane.classify_tables();
            let found = tables.find(|table| table.index == request.table_id);
            found
                .map(|table| info(&table))
                .ok_or(ApiError::ClassifyTableNotFound)
        })
        .on_dump::<ClassifySessionDump>(|engine, request| {
            let sessions = engine.dataplane.classify_sessions(request.table_id);
            sessions.into_iter().map(details).collect()
        });
}

fn add_del_table(
    engine: &mut Engine,
    request: ClassifyAddDelTable,
) -> Result<ClassifyAddDelTableReply, ApiError> {
    let vectors = usize::try_from(request.match_n_vectors).unwrap_or(usize::MAX);
    if vectors.checked_mul(VECTOR_LEN) != Some(request.mask.len()) {
        return Err(ApiError::InvalidValue);
    }
    let dataplane = &mut engine.dataplane;
    if !request.is_add {
        dataplane
            .classify_del_table(request.table_index, request.del_chain)
            .coded()?;
        return Ok(ClassifyAddDelTableReply {
            new_table_index: NONE,
            skip_n_vectors: NONE,
            match_n_vectors: NONE,
            ..Default::default()
        });
    }
    let mut tables = dataplane.classify_tables();
    let known = tables.find(|table| table.index == request.table_index);
    drop(tables);
    if known.is_none() && request.memory_size == 0 {
        return Err(ApiError::InvalidMemorySize);
    }
    let spec = TableSpec {
        buckets: request.nbuckets,
        skip: request.skip_n_vectors,
        next_table: request.next_table_index,
        miss_next: request.miss_next_index,
        from_current: (request.current_data_flag == 1).then_some(request.current_data_offset),
        mask: request.mask,
    };
    let shown = known.map_or_else(|| spec.clone(), |table| table.spec);
    let index = some(request.table_index);
    let new_table_index = dataplane.classify_add_table(index, spec).coded()?;
    Ok(ClassifyAddDelTableReply {
        new_table_index,
        skip_n_vectors: shown.skip,
        match_n_vectors: vectors_of(&shown),
        ..Default::default()
    })
}

fn add_del_session(engine: &mut Engine, request: ClassifyAddDelSession) -> Result<(), ApiError> {
    let dataplane = &mut engine.dataplane;
    if !request.is_add {
        return dataplane
            .classify_del_session(request.table_index, &request.r#match)
            .coded();
    }
    if request.advance != 0 {
        return Err(ApiError::InvalidValue);
    }
    let fib = |family| Action::SetFib {
        family,
        table_id: request.metadata,
    };
    let spec = SessionSpec {
        // Like VPP, which keeps 16 bits.
        hit_next: u16::try_from(request.hit_next_index & 0xffff).unwrap_or(u16::MAX),
        opaque: request.opaque_index,
        action: match request.action {
            ClassifyAction::None => Action::None,
            ClassifyAction::SetIp4FibIndex => fib(Family::V4),
            ClassifyAction::SetIp6FibIndex => fib(Family::V6),
            ClassifyAction::SetMetadata => Action::SetMetadata(request.metadata),
            ClassifyAction::MarkFlow | ClassifyAction::Other(_) => {
                return Err(ApiError::InvalidValue);
            }
        },
        matched: request.r#match,
    };
    dataplane
        .classify_add_session(request.table_index, &spec)
        .coded()
}

fn some(index: u32) -> Option<u32> {
    (index != NONE).then_some(index)
}

fn vectors_of(spec: &TableSpec) -> u32 {
    u32::try_from(spec.mask.len() / VECTOR_LEN).unwrap_or(0)
}

fn info(table: &TableInfo) -> ClassifyTableInfoReply {
    ClassifyTableInfoReply {
        table_id: table.index,
        // Like VPP, which rounds up.
        nbuckets: table
            .spec
            .buckets
            .checked_next_power_of_two()
            .unwrap_or(NONE),
        match_n_vectors: vectors_of(&table.spec),
        skip_n_vectors: table.spec.skip,
        active_sessions: u32::try_from(table.sessions).unwrap_or(NONE),
        next_table_index: table.spec.next_table,
        miss_next_index: table.spec.miss_next,
        mask: table.spec.mask.clone(),
        ..Default::default()
    }
}

fn details(session: SessionInfo) -> ClassifySessionDetails {
    ClassifySessionDetails {
        table_id: session.table,
        hit_next_index: session.hit_next.into(),
        opaque_index: session.opaque,
        r#match: session.matched,
        ..Default::default()
    }
}
