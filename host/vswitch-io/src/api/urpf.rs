//! Module `urpf`.

use vpp_api::ApiError;
use vpp_api::ip_types::AddressFamily;
use vpp_api::urpf::{UrpfInterfaceDetails, UrpfInterfaceDump, UrpfMode, UrpfUpdate, UrpfUpdateV2};
use vswitch::Family;
use vswitch::interface::UrpfSpec;

use super::Api;
use super::convert::{Coded, family_of, filter, index, sw};

pub(super) fn register(api: &mut Api) {
    api.on::<UrpfUpdate, _>(|engine, request| {
        let on = sw(request.sw_if_index);
        engine.dataplane.interface(on).map(drop).coded()?;
        // The first version of the message names table 0, whatever the table of the interface.
        let spec = spec(request.mode, Some(0))?;
        engine
            .dataplane
            .urpf_update(on, family_of(request.af)?, request.is_input, spec)
            .coded()
    })
    .on::<UrpfUpdateV2, _>(|engine, request| {
        let on = sw(request.sw_if_index);
        engine.dataplane.interface(on).map(drop).coded()?;
        let table = (request.table_id != u32::MAX).then_some(request.table_id);
        let spec = spec(request.mode, table)?;
        engine
            .dataplane
            .urpf_update(on, family_of(request.af)?, request.is_input, spec)
            .coded()
    })
    .on_dump::<UrpfInterfaceDump>(|engine, request| {
        let only = filter(request.sw_if_index);
        let dataplane = &engine.dataplane;
        let wanted = dataplane
            .interfaces()
            .filter(|info| only.is_none_or(|only| only == info.sw_if_index));
        let all =
            wanted.flat_map(|info| info.urpf.iter().map(move |urpf| (info.sw_if_index, urpf)));
        all.map(|(on, urpf)| UrpfInterfaceDetails {
            sw_if_index: index(on),
            is_input: urpf.is_input,
            mode: if urpf.spec.strict {
                UrpfMode::Strict
            } else {
                UrpfMode::Loose
            },
            af: match urpf.family {
                Family::V4 => AddressFamily::Ip4,
                Family::V6 => AddressFamily::Ip6,
            },
            table_id: dataplane.urpf_table(on, urpf).unwrap_or(0),
        })
        .collect()
    });
}

fn spec(mode: UrpfMode, table_id: Option<u32>) -> Result<Option<UrpfSpec>, ApiError> {
    let strict = match mode {
        UrpfMode::Off => return Ok(None),
        UrpfMode::Loose => false,
        UrpfMode::Strict => true,
        UrpfMode::Other(_) => return Err(ApiError::InvalidValue),
    };
    Ok(Some(UrpfSpec { strict, table_id }))
}
