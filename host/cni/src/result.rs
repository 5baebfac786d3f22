//! The result of ADD in the form of each version.

use agent_api::agent::AddReply;
use serde_json::{Map, Value, json};

use crate::version::Version;

pub(crate) fn to_json(reply: &AddReply, version: Version) -> Value {
    json!({
        "cniVersion": version.text(),
        "interfaces": reply.interfaces.iter().map(|i| interface(i, version)).collect::<Vec<_>>(),
        "ips": reply.ips.iter().map(|ip| address(ip, version)).collect::<Vec<_>>(),
        "routes": reply.routes.iter().map(route).collect::<Vec<_>>(),
        "dns": {},
    })
}

fn interface(interface: &agent_api::agent::Interface, version: Version) -> Value {
    let mut object = Map::new();
    object.insert("name".into(), interface.name.clone().into());
    object.insert("mac".into(), interface.mac.clone().into());
    if version >= Version::V1_1_0 && interface.mtu != 0 {
        object.insert("mtu".into(), interface.mtu.into());
    }
    if !interface.sandbox.is_empty() {
        object.insert("sandbox".into(), interface.sandbox.clone().into());
    }
    object.into()
}

fn address(ip: &agent_api::agent::Ip, version: Version) -> Value {
    let mut object = Map::new();
    if version < Version::V1_0_0 {
        let family = if ip.address.contains(':') { "6" } else { "4" };
        object.insert("version".into(), family.into());
    }
    object.insert("address".into(), ip.address.clone().into());
    if !ip.gateway.is_empty() {
        object.insert("gateway".into(), ip.gateway.clone().into());
    }
    object.insert("interface".into(), ip.interface.into());
    object.into()
}

fn route(route: &agent_api::agent::Route) -> Value {
    let mut object = Map::new();
    object.insert("dst".into(), route.dst.clone().into());
    if !route.gw.is_empty() {
        object.insert("gw".into(), route.gw.clone().into());
    }
    object.into()
}

#[cfg(test)]
mod tests {
    use agent_api::agent::{Interface, Ip, Route};
    use expect_test::expect;

    use super::*;

    fn reply() -> AddReply {
        AddReply {
            interfaces: vec![Interface {
                name: "eth0".into(),
                mac: "02:00:00:00:00:01".into(),
                mtu: 1450,
                sandbox: "/run/netns/a".into(),
            }],
            ips: vec![Ip {
                address: "10.1.1.2/32".into(),
                gateway: "169.254.1.1".into(),
                interface: 0,
            }],
            routes: vec![Route {
                dst: "0.0.0.0/0".into(),
                gw: "169.254.1.1".into(),
            }],
        }
    }

    #[test]
    fn version_1_1_tells_the_mtu_and_no_address_family() {
        expect![[r#"{"cniVersion":"1.1.0","dns":{},"interfaces":[{"mac":"02:00:00:00:00:01","mtu":1450,"name":"eth0","sandbox":"/run/netns/a"}],"ips":[{"address":"10.1.1.2/32","gateway":"169.254.1.1","interface":0}],"routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"}]}"#]]
            .assert_eq(&to_json(&reply(), Version::V1_1_0).to_string());
    }

    #[test]
    fn versions_before_1_0_tell_the_address_family() {
        let old = to_json(&reply(), Version::V0_3_1);
        assert_eq!(old["ips"][0]["version"], "4");
        assert!(old["interfaces"][0].get("mtu").is_none());
    }
}
