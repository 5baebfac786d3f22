//! Services and source NAT.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vpp_api::ApiError;
use vpp_api::cnat::{
    CnatEndpoint, CnatEndpointTuple, CnatGetSnatAddresses, CnatLbType, CnatSessionDump,
    CnatSessionPurge, CnatSetSnatAddresses, CnatSetSnatAddressesV2, CnatSetSnatPolicy,
    CnatSnatAddressesDump, CnatSnatPolicies, CnatSnatPolicyAddDelExcludePfx,
    CnatSnatPolicyAddDelIf, CnatSnatPolicyFlags, CnatSnatPolicyTable, CnatTranslation,
    CnatTranslationDel, CnatTranslationDump, CnatTranslationUpdate, FeatureCnatEnableDisable,
};
use vpp_api::interface::{DeleteLoopback, SwInterfaceAddDelAddress};
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::ip::{IpRouteLookup, IpRouteLookupReply};
use vpp_api::ip_types::{AddressFamily, AddressWithPrefix, IpProto};

use crate::target::{Target, prefix};

/// `CNAT_TRK_ACTIVE`, which dumps show.
const ACTIVE: u8 = 4;
const NO_NAT: u8 = 2;

fn endpoint(address: &str, port: u16) -> CnatEndpoint {
    let addr: IpAddr = address.parse().unwrap();
    CnatEndpoint {
        addr,
        sw_if_index: InterfaceIndex::NONE,
        if_af: if addr.is_ipv6() {
            AddressFamily::Ip6
        } else {
            AddressFamily::Ip4
        },
        port,
    }
}

fn path(backend: &str, port: u16, flags: u8) -> CnatEndpointTuple {
    let none = if backend.contains(':') {
        "::"
    } else {
        "0.0.0.0"
    };
    CnatEndpointTuple {
        dst_ep: endpoint(backend, port),
        src_ep: endpoint(none, 0),
        flags,
    }
}

fn translation(vip: CnatEndpoint, paths: Vec<CnatEndpointTuple>) -> CnatTranslationUpdate {
    let translation = CnatTranslation {
        vip,
        ip_proto: IpProto::Tcp,
        lb_type: CnatLbType::Maglev,
        paths,
        ..CnatTranslation::default()
    };
    CnatTranslationUpdate { translation }
}

impl Target {
    async fn translation(&self, id: u32) -> Option<CnatTranslation> {
        let all = self
            .api
            .dump(&CnatTranslationDump::default())
            .await
            .unwrap();
        all.into_iter()
            .map(|details| details.translation)
            .find(|translation| translation.id == id)
    }

    /// The route of table 0 that a host's packets take.
    async fn route(&self, host: &str) -> IpRouteLookupReply {
        let lookup = IpRouteLookup {
            table_id: 0,
            exact: 0,
            prefix: prefix(host),
        };
        self.api.request(&lookup).await.unwrap()
    }
}

/// One test, for purging takes everything: parallel ones would meet on a shared VPP.
#[tokio::test]
async fn translations_live_by_their_virtual_endpoint() {
    for target in Target::all().await {
        for (vip, host, one, two) in [
            ("10.77.20.1", "10.77.20.1/32", "10.77.21.1", "10.77.21.2"),
            ("fd77:20::1", "fd77:20::1/128", "fd77:21::1", "fd77:21::2"),
        ] {
            let paths = vec![path(one, 8080, 0), path(two, 0, NO_NAT)];
            let request = translation(endpoint(vip, 80), paths);
            let id = target.api.request(&request).await.unwrap().id;
            let shown = target.translation(id).await.unwrap();
            assert_eq!(shown.vip, endpoint(vip, 80));
            assert_eq!(
                (shown.ip_proto, shown.lb_type),
                (IpProto::Tcp, CnatLbType::Maglev)
            );
            let active = [path(one, 8080, ACTIVE), path(two, 0, NO_NAT | ACTIVE)];
            assert_eq!(shown.paths, active, "in the order they were given");
            assert_eq!(
                target.route(host).await.route.prefix,
                prefix(host),
                "the address has a route"
            );
            let fewer = translation(endpoint(vip, 80), vec![path(two, 0, NO_NAT)]);
            assert_eq!(target.api.request(&fewer).await.unwrap().id, id);
            assert_eq!(target.translation(id).await.unwrap().paths, active[1..]);
            let other = translation(endpoint(vip, 81), vec![path(two, 0, 0)]);
            assert_ne!(target.api.request(&other).await.unwrap().id, id);
            target.ok(&CnatTranslationDel { id }).await;
            let again = CnatTranslationDel { id };
            target.refuses(&again, &[ApiError::NoSuchEntry]).await;
            assert_eq!(target.translation(id).await, None);
        }
        let mut unknown = translation(endpoint("10.77.20.9", 80), vec![path("10.77.21.1", 1, 0)]);
        unknown.translation.ip_proto = IpProto::Other(200);
        target.refuses(&unknown, &[ApiError::InvalidProtocol]).await;
        target.ok(&CnatSessionPurge::default()).await;
        let left = target
            .api
            .dump(&CnatTranslationDump::default())
            .await
            .unwrap();
        assert!(left.is_empty(), "purging takes translations, too: {left:?}");
        let sessions = target.api.dump(&CnatSessionDump::default()).await.unwrap();
        assert!(sessions.is_empty(), "{sessions:?}");
        if !target.is_vpp() {
            // VPP dies of a translation without paths.
            let empty = translation(endpoint("10.77.20.9", 80), Vec::new());
            target.refuses(&empty, &[ApiError::InvalidValue]).await;
        }
        follow_an_interface(&target).await;
    }
}

/// An endpoint may be an interface, whose first address it follows.
async fn follow_an_interface(target: &Target) {
    let sw_if_index = target.loopback().await;
    let on = CnatEndpoint {
        sw_if_index,
        ..endpoint("0.0.0.0", 8443)
    };
    let request = translation(on, vec![path("10.77.21.1", 80, 0)]);
    let id = target.api.request(&request).await.unwrap().id;
    let address = |is_add| SwInterfaceAddDelAddress {
        sw_if_index,
        is_add,
        prefix: AddressWithPrefix(prefix("10.77.22.1/24")),
        ..SwInterfaceAddDelAddress::default()
    };
    target.ok(&address(true)).await;
    let vip = target.translation(id).await.unwrap().vip;
    assert_eq!(
        (vip.addr, vip.sw_if_index),
        (endpoint("10.77.22.1", 0).addr, sw_if_index)
    );
    target.ok(&CnatTranslationDel { id }).await;
    target.ok(&address(false)).await;
    target.ok(&DeleteLoopback { sw_if_index }).await;
}

fn addresses(snat_ip4: &str, snat_ip6: &str) -> CnatSetSnatAddresses {
    CnatSetSnatAddresses {
        snat_ip4: snat_ip4.parse().unwrap(),
        snat_ip6: snat_ip6.parse().unwrap(),
        sw_if_index: InterfaceIndex::NONE,
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
async fn source_nat_is_configured_once_it_has_an_address() {
    for target in Target::all().await {
        let disabled = [ApiError::FeatureDisabled];
        let sw_if_index = target.loopback().await;
        let include = CnatSnatPolicyAddDelIf {
            sw_if_index,
            is_add: 1,
            table: CnatSnatPolicyTable::Pod,
        };
        let exclude = CnatSnatPolicyAddDelExcludePfx {
            is_add: 1,
            prefix: prefix("10.77.0.0/16"),
        };
        let policy = |policy| CnatSetSnatPolicy { policy };
        let none = addresses("0.0.0.0", "::");
        target.refuses(&none, &disabled).await;
        target
            .refuses(&CnatGetSnatAddresses::default(), &disabled)
            .await;
        target
            .refuses(&policy(CnatSnatPolicies::K8s), &disabled)
            .await;
        target.refuses(&include, &disabled).await;
        target.refuses(&exclude, &disabled).await;
        target.ok(&addresses("10.77.30.1", "fd77:30::1")).await;
        let shown = target
            .api
            .request(&CnatGetSnatAddresses::default())
            .await
            .unwrap();
        assert_eq!(shown.snat_ip4, Ipv4Addr::new(10, 77, 30, 1));
        assert_eq!(shown.snat_ip6, "fd77:30::1".parse::<Ipv6Addr>().unwrap());
        let all = target
            .api
            .dump(&CnatSnatAddressesDump::default())
            .await
            .unwrap();
        let tables = |at: usize| {
            (
                all[at].fwd_table_id4,
                all[at].fwd_table_id6,
                all[at].ret_table_id4,
            )
        };
        assert_eq!((all.len(), tables(0)), (1, (0, 0, 0)));
        assert_eq!(
            target.route("10.77.30.1/32").await.route.prefix,
            prefix("10.77.30.1/32")
        );
        for kind in [
            CnatSnatPolicies::None,
            CnatSnatPolicies::IfPfx,
            CnatSnatPolicies::K8s,
        ] {
            target.ok(&policy(kind)).await;
        }
        target
            .refuses(
                &policy(CnatSnatPolicies::Other(9)),
                &[ApiError::InvalidValue],
            )
            .await;
        target.ok(&include).await;
        let gone = CnatSnatPolicyAddDelIf {
            sw_if_index: InterfaceIndex(7_000_000),
            ..include.clone()
        };
        target.refuses(&gone, &[ApiError::InvalidSwIfIndex]).await;
        let unknown = CnatSnatPolicyAddDelIf {
            table: CnatSnatPolicyTable::Other(7),
            ..include.clone()
        };
        target.refuses(&unknown, &[ApiError::InvalidValue]).await;
        target
            .ok(&CnatSnatPolicyAddDelIf {
                is_add: 0,
                ..include
            })
            .await;
        target.ok(&exclude).await;
        for _ in 0..2 {
            target
                .ok(&CnatSnatPolicyAddDelExcludePfx {
                    is_add: 0,
                    ..exclude.clone()
                })
                .await;
        }
        target.ok(&none).await;
        target.refuses(&none, &disabled).await;
        without_a_route(&target).await;
        switched_on_and_off(&target, sw_if_index).await;
        target.ok(&DeleteLoopback { sw_if_index }).await;
    }
}

/// The flag that keeps the source address out of the routes.
async fn without_a_route(target: &Target) {
    let request = CnatSetSnatAddressesV2 {
        fwd_fib_index: 0,
        ret_fib_index: 0,
        snat_ip4: Ipv4Addr::new(10, 77, 31, 1),
        snat_ip6: Ipv6Addr::UNSPECIFIED,
        sw_if_index: InterfaceIndex::NONE,
        flags: CnatSnatPolicyFlags::NO_CLIENT,
    };
    target.ok(&request).await;
    let found = target.route("10.77.31.1/32").await.route.prefix;
    assert_ne!(found, prefix("10.77.31.1/32"));
    target.ok(&addresses("0.0.0.0", "::")).await;
}

async fn switched_on_and_off(target: &Target, sw_if_index: InterfaceIndex) {
    for enable_disable in [true, false] {
        target
            .ok(&FeatureCnatEnableDisable {
                sw_if_index,
                enable_disable,
            })
            .await;
    }
    let gone = FeatureCnatEnableDisable {
        sw_if_index: InterfaceIndex(7_000_000),
        enable_disable: true,
    };
    target.refuses(&gone, &[ApiError::InvalidSwIfIndex]).await;
}
