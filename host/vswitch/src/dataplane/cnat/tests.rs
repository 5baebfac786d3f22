//! Translations and source NAT as the writer keeps them.

use super::*;
use crate::cnat::{PATH_ACTIVE, SnatKind, SnatSet};
use crate::lab::{Lab, addr, prefix};

fn spec(vip: Endpoint, paths: Vec<Path>) -> TranslationSpec {
    TranslationSpec {
        vip,
        protocol: 6,
        flags: 0,
        exclusive: true,
        balance: Balance::Maglev,
        flow_hash: 0,
        paths,
    }
}

fn to(n: u8) -> Path {
    Path::to([10, 0, 1, n].into(), 8080)
}

#[test]
fn an_update_keeps_what_vpp_keeps() {
    let mut lab = Lab::new();
    let vip = Endpoint::new(addr("10.96.0.1"), 80);
    let id = lab
        .dp
        .cnat_translation_update(&spec(vip, vec![to(1)]))
        .unwrap();
    let mut again = spec(vip, vec![to(2), to(1)]);
    again.balance = Balance::Default;
    again.paths[1].flags = PATH_NO_NAT;
    assert_eq!(lab.dp.cnat_translation_update(&again), Ok(id));
    let shown = lab.dp.cnat_translations().remove(0);
    assert_eq!(shown.balance, Balance::Maglev, "balance stays as created");
    let flags: Vec<_> = shown.paths.iter().map(|p| p.flags).collect();
    assert_eq!(
        flags,
        [PATH_ACTIVE, PATH_ACTIVE],
        "a known path keeps its flags"
    );
}

#[test]
fn impossible_translations_are_refused() {
    let mut lab = Lab::new();
    let vip = Endpoint::new(addr("10.96.0.1"), 80);
    let mut on_nothing = to(1);
    on_nothing.dst.place = Place::Interface(SwIfIndex(99), Family::V4);
    let v6 = Path::to(addr("fd00::1"), 1);
    for (paths, want) in [
        (vec![], ApiError::InvalidValue),
        (vec![to(1), v6], ApiError::InvalidValue),
        (vec![on_nothing], ApiError::InvalidSwIfIndex),
        (vec![to(1); PATHS_MAX + 1], ApiError::LimitExceeded),
    ] {
        assert_eq!(lab.dp.cnat_translation_update(&spec(vip, paths)), Err(want));
    }
    let mut other = spec(vip, vec![to(1)]);
    other.protocol = 200;
    assert_eq!(
        lab.dp.cnat_translation_update(&other),
        Err(ApiError::InvalidProtocol)
    );
    assert!(lab.dp.cnat_translations().is_empty());
    assert_eq!(lab.dp.cnat_translation_del(0), Err(ApiError::NoSuchEntry));
}

#[test]
fn endpoints_on_interfaces_follow_their_first_address() {
    let mut lab = Lab::new();
    let [front, back] = ["front", "back"].map(|name| lab.device(name));
    let on = |index, port| Endpoint {
        place: Place::Interface(index, Family::V4),
        port,
    };
    let path = Path {
        dst: on(back, 8080),
        ..to(1)
    };
    lab.dp
        .cnat_translation_update(&spec(on(front, 80), vec![path]))
        .unwrap();
    let shown = |lab: &Lab| {
        let t = lab.dp.cnat_translations().remove(0);
        (t.vip.address, t.paths[0].dst.address, t.paths[0].flags)
    };
    assert_eq!(shown(&lab), (None, None, 0));
    for (index, ip) in [
        (front, "10.0.0.1/24"),
        (back, "10.0.1.1/24"),
        (back, "10.0.1.2/24"),
    ] {
        lab.dp.add_del_address(index, true, prefix(ip)).unwrap();
    }
    let found = (Some(addr("10.0.0.1")), Some(addr("10.0.1.1")), PATH_ACTIVE);
    assert_eq!(shown(&lab), found);
    lab.dp
        .add_del_address(back, false, prefix("10.0.1.1/24"))
        .unwrap();
    assert_eq!(shown(&lab).1, Some(addr("10.0.1.2")));
    lab.dp.delete_interface(front).unwrap();
    assert_eq!(shown(&lab).0, None);
}

#[test]
fn routes_of_addresses_come_and_go_with_their_users() {
    let mut lab = Lab::new();
    let before = lab.dp.ip_routes(Family::V4, 0).len();
    let routes = |lab: &Lab| lab.dp.ip_routes(Family::V4, 0).len() - before;
    let vip = |port| Endpoint::new(addr("10.96.0.1"), port);
    let first = lab
        .dp
        .cnat_translation_update(&spec(vip(80), vec![to(1)]))
        .unwrap();
    lab.dp
        .cnat_translation_update(&spec(vip(81), vec![to(1)]))
        .unwrap();
    assert_eq!(routes(&lab), 1);
    lab.dp.cnat_translation_del(first).unwrap();
    assert_eq!(routes(&lab), 1);
    lab.dp.cnat_purge();
    assert_eq!(routes(&lab), 0);
    let (none4, none6) = ("0.0.0.0".parse().unwrap(), "::".parse().unwrap());
    let node = "192.0.2.1".parse().unwrap();
    lab.dp
        .cnat_set_snat_addresses((0, 0), node, none6, SwIfIndex::NONE, 0)
        .unwrap();
    assert_eq!(routes(&lab), 1);
    lab.dp
        .cnat_set_snat_addresses((0, 0), none4, none6, SwIfIndex::NONE, 0)
        .unwrap();
    assert_eq!(routes(&lab), 0);
}

#[test]
fn source_nat_is_per_table_and_its_policy_is_table_0_s() {
    let mut lab = Lab::new();
    lab.dp
        .ip_table_add_del(Family::V4, 7, "seven", true)
        .unwrap();
    let on = lab.device("pod");
    let none6 = "::".parse().unwrap();
    let [zero, seven] = ["192.0.2.1", "192.0.2.7"].map(|ip| ip.parse().unwrap());
    assert_eq!(
        lab.dp.cnat_set_snat_policy(SnatKind::K8s),
        Err(ApiError::FeatureDisabled)
    );
    lab.dp
        .cnat_set_snat_addresses((1, 0), seven, none6, SwIfIndex::NONE, 0)
        .unwrap();
    assert_eq!(
        lab.dp.cnat_snat_policy_add_del_if(on, true, SnatSet::Pod),
        Err(ApiError::FeatureDisabled),
        "table 0 has none"
    );
    lab.dp
        .cnat_set_snat_addresses((0, 0), zero, none6, SwIfIndex::NONE, 0)
        .unwrap();
    lab.dp.cnat_set_snat_policy(SnatKind::K8s).unwrap();
    let shown: Vec<_> = lab
        .dp
        .cnat_snat_addresses()
        .iter()
        .map(|i| (i.fwd_tables[0], i.ip4))
        .collect();
    assert_eq!(shown, [(0, zero), (7, seven)]);
    let missing = lab
        .dp
        .cnat_set_snat_addresses((9, 0), zero, none6, SwIfIndex::NONE, 0);
    assert_eq!(missing, Err(ApiError::NoSuchFib));
}
