//! Path MTUs (module `ip`).

use vpp_api::ip::{
    IpPathMtu, IpPathMtuDetails, IpPathMtuGet, IpPathMtuGetReply, IpPathMtuReplaceBegin,
    IpPathMtuReplaceEnd, IpPathMtuUpdate,
};

use super::Api;
use super::convert::Coded;

pub(super) fn register(api: &mut Api) {
    api.on::<IpPathMtuUpdate, _>(|engine, request| {
        let IpPathMtu {
            table_id,
            nh,
            path_mtu,
            ..
        } = request.pmtu;
        engine
            .dataplane
            .ip_path_mtu_update(table_id, nh, path_mtu)
            .coded()
    })
    .on::<IpPathMtuReplaceBegin, _>(|engine, _| {
        engine.dataplane.ip_path_mtu_replace_begin();
        Ok(())
    })
    .on::<IpPathMtuReplaceEnd, _>(|engine, _| {
        engine.dataplane.ip_path_mtu_replace_end();
        Ok(())
    });
    api.router.on_stream::<IpPathMtuGet>(|engine, _, out| {
        for (table_id, nh, path_mtu) in engine.dataplane.ip_path_mtus() {
            let pmtu = IpPathMtu {
                table_id,
                nh,
                path_mtu,
                ..IpPathMtu::default()
            };
            out.send(&IpPathMtuDetails { pmtu });
        }
        Ok(IpPathMtuGetReply {
            cursor: u32::MAX,
            ..IpPathMtuGetReply::default()
        })
    });
}
