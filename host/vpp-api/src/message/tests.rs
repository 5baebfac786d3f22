//! Wire form of messages: literal bytes, round trips, hostile input.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use crate::acl::{AclAddReplace, AclAddReplaceReply, AclInterfaceSetAclList};
use crate::acl_types::{AclAction, AclRule};
use crate::ethernet_types::MacAddress;
use crate::fib_types::{FibPath, FibPathType};
use crate::interface::{SwInterfaceDetails, SwInterfaceDump, SwInterfaceEvent};
use crate::interface_types::{IfStatusFlags, IfType, InterfaceIndex};
use crate::ip::{IpRoute, IpRouteAddDel, IpRouteV2, IpRouteV2Details};
use crate::ip_neighbor::IpNeighborDetails;
use crate::ip_types::{AddressUnion, Prefix};
use crate::memclnt::{ControlPing, SockclntCreate, SockclntCreateReply};
use crate::memif::{MemifCreateV2, MemifDelete, MemifRole};
use crate::tapv2::{TapCreateV3, TapFlags};
use crate::vlib::CliInband;
use crate::wire::{Fault, FixedString, Reader, Wire};
use crate::{Ack, ApiError, Envelope, Message, Reply, Retval, decode, encode};

const ENVELOPE: Envelope = Envelope {
    id: 0x0102,
    client_index: 0x8000_0005,
    context: 7,
};

fn check_bytes<M: Message>(message: &M, expected: &[u8]) {
    assert_eq!(
        encode(ENVELOPE, message).expect("encodes"),
        expected,
        "{}",
        M::NAME
    );
}

fn check_round_trip<M: Message + PartialEq + std::fmt::Debug>(message: &M) {
    let bytes = encode(ENVELOPE, message).expect("encodes");
    let (envelope, decoded) = decode::<M>(&bytes).expect("decodes");
    assert_eq!(&decoded, message);
    assert_eq!(envelope.id, ENVELOPE.id);
    for len in 0..bytes.len() {
        let error = decode::<M>(&bytes[..len]).expect_err("every byte is needed");
        assert_eq!(error.message, M::NAME);
        assert!(matches!(error.fault, Fault::Truncated { .. }), "{error}");
    }
}

#[test]
fn requests_replies_details_and_events_have_their_own_headers() {
    check_bytes(&ControlPing::default(), &[1, 2, 0x80, 0, 0, 5, 0, 0, 0, 7]);
    let refused = Ack::<MemifDelete>::failed(ApiError::NoSuchEntry);
    check_bytes(&refused, &[1, 2, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xfa]);
    let event = SwInterfaceEvent {
        pid: 9,
        sw_if_index: InterfaceIndex(1),
        flags: IfStatusFlags::ADMIN_UP | IfStatusFlags::LINK_UP,
        deleted: true,
    };
    check_bytes(
        &event,
        &[1, 2, 0x80, 0, 0, 5, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 3, 1],
    );
}

#[test]
fn registration_has_a_context_and_no_client_index() {
    let name = FixedString::new("weft").expect("fits");
    let bytes = encode(ENVELOPE, &SockclntCreate { name }).expect("encodes");
    assert_eq!(bytes.len(), 70);
    assert_eq!(bytes[..10], [1, 2, 0, 0, 0, 7, b'w', b'e', b'f', b't']);
    let reply = SockclntCreateReply {
        index: 3,
        ..SockclntCreateReply::default()
    };
    check_bytes(
        &reply,
        &[
            1, 2, 0x80, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0,
        ],
    );
}

#[test]
fn counts_stand_where_vpp_declares_them() {
    let list = AclInterfaceSetAclList {
        sw_if_index: InterfaceIndex(2),
        n_input: 1,
        acls: vec![10, 11],
    };
    check_bytes(
        &list,
        &[
            1, 2, 0x80, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 2, 2, 1, 0, 0, 0, 10, 0, 0, 0, 11,
        ],
    );
    let reply = AclAddReplaceReply {
        acl_index: 4,
        retval: Retval(-1),
    };
    check_bytes(
        &reply,
        &[1, 2, 0, 0, 0, 7, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff],
    );
}

#[test]
fn floats_travel_little_endian() {
    let details = IpNeighborDetails {
        age: 1.5,
        ..IpNeighborDetails::default()
    };
    let bytes = encode(ENVELOPE, &details).expect("encodes");
    assert_eq!(bytes[6..14], 1.5_f64.to_le_bytes());
}

#[test]
fn types_have_the_sizes_of_vpp() {
    assert_eq!(IpAddr::MIN_SIZE, 17);
    assert_eq!(Prefix::MIN_SIZE, 18);
    assert_eq!(FibPath::MIN_SIZE, 167);
    assert_eq!(AclRule::MIN_SIZE, 48);
    assert_eq!(IpRoute::MIN_SIZE, 27);
    assert_eq!(IpRouteV2::MIN_SIZE, 28);
}

#[test]
fn unknown_enum_values_survive() {
    let later = SwInterfaceDetails {
        r#type: IfType::Other(77),
        ..Default::default()
    };
    check_round_trip(&later);
    assert_eq!(IfType::from(1), IfType::Sub);
    assert_eq!(u32::from(IfType::Other(77)), 77);
}

#[test]
fn an_ipv4_address_ignores_the_garbage_behind_it() {
    let mut bytes = [0xee; 17];
    bytes[..5].copy_from_slice(&[0, 10, 1, 2, 3]);
    let address = IpAddr::take(&mut Reader::new(&bytes)).expect("decodes");
    assert_eq!(address, IpAddr::from([10, 1, 2, 3]));
    bytes[0] = 9;
    let error = IpAddr::take(&mut Reader::new(&bytes)).expect_err("no such family");
    assert_eq!(error.fault, Fault::AddressFamily(9));
}

#[test]
fn a_union_reads_as_either_member() {
    let ip = Ipv4Addr::new(192, 0, 2, 1);
    let union = AddressUnion::of(&ip).expect("fits");
    assert_eq!(union, AddressUnion::from(IpAddr::from(ip)));
    assert_eq!(union.ip4().expect("decodes"), ip);
    assert_eq!(union.ip6().expect("decodes").octets()[..4], ip.octets());
    assert!(AddressUnion::of(&[0_u8; 17]).is_err());
}

#[test]
fn defaults_are_those_of_api_tools() {
    assert_eq!(SwInterfaceDump::default().sw_if_index, InterfaceIndex::NONE);
    let tap = TapCreateV3::default();
    assert!(tap.use_random_mac);
    assert_eq!(
        (tap.id, tap.num_rx_queues, tap.rx_ring_sz),
        (u32::MAX, 1, 256)
    );
}

#[test]
fn a_list_longer_than_its_count_is_refused_with_its_name() {
    let list = AclInterfaceSetAclList {
        acls: vec![0; 256],
        ..Default::default()
    };
    let error = encode(ENVELOPE, &list).expect_err("the count is a u8");
    assert_eq!(
        error.to_string(),
        "`acl_interface_set_acl_list` field `acls`: 256 elements, the length field counts to 255"
    );
}

#[test]
fn errors_name_the_path_to_the_field() {
    let route = IpRouteAddDel {
        route: IpRoute {
            paths: vec![FibPath::default()],
            ..Default::default()
        },
        ..Default::default()
    };
    let bytes = encode(ENVELOPE, &route).expect("encodes");
    let error = decode::<IpRouteAddDel>(&bytes[..bytes.len() - 1]).expect_err("short");
    assert_eq!(
        error.to_string(),
        "`ip_route_add_del` field `route.paths`: 167 bytes needed, 166 left"
    );
}

#[test]
fn a_count_the_input_cannot_hold_allocates_nothing() {
    let mut bytes = encode(ENVELOPE, &AclAddReplace::default()).expect("encodes");
    let count = bytes.len() - 4;
    bytes[count..].copy_from_slice(&u32::MAX.to_be_bytes());
    let error = decode::<AclAddReplace>(&bytes).expect_err("no room for 4 G rules");
    assert_eq!(error.field, "r");
    let mut text = encode(ENVELOPE, &CliInband { cmd: String::new() }).expect("encodes");
    let count = text.len() - 4;
    text[count..].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(decode::<CliInband>(&text).is_err());
}

#[test]
fn texts_keep_room_for_their_nul() {
    assert!(FixedString::<8>::new("1234567").is_ok());
    assert!(FixedString::<8>::new("12345678").is_err());
    assert!(FixedString::<8>::new("a\0b").is_err());
    assert_eq!(FixedString::<8>::truncated("1234567é"), "1234567");
    assert_eq!(FixedString::<3>::truncated("éé").as_str(), "é");
    let full = FixedString::<4>::take(&mut Reader::new(b"abcd")).expect("decodes");
    assert_eq!(full.as_str(), "abcd");
    let dirty = FixedString::<4>::take(&mut Reader::new(b"a\0zz")).expect("decodes");
    assert_eq!(dirty, FixedString::new("a").expect("fits"));
}

#[test]
fn retvals_have_names() {
    assert_eq!(Retval::OK.ok(), Ok(()));
    assert_eq!(Retval(-165).ok(), Err(ApiError::Again));
    assert_eq!(Retval(1).ok(), Err(ApiError::Other(1)));
    assert_eq!(ApiError::from(-2).to_string(), "INVALID_SW_IF_INDEX (-2)");
    for code in -200..0 {
        assert_eq!(ApiError::from(code).code(), code);
    }
}

fn any_ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(|octets| IpAddr::from(Ipv6Addr::from(octets))),
    ]
}

fn any_prefix() -> impl Strategy<Value = Prefix> {
    (any_ip(), any::<u8>()).prop_map(|(address, len)| Prefix { address, len })
}

fn any_path() -> impl Strategy<Value = FibPath> {
    (any::<u32>(), any::<u32>(), any::<u8>(), any_ip()).prop_map(|(index, raw, weight, ip)| {
        let mut path = FibPath {
            sw_if_index: index,
            weight,
            ..FibPath::default()
        };
        path.r#type = FibPathType::from(raw);
        path.nh.address = ip.into();
        path
    })
}

fn any_rule() -> impl Strategy<Value = AclRule> {
    (any_prefix(), any_prefix(), any::<u8>(), any::<[u16; 4]>()).prop_map(
        |(src_prefix, dst_prefix, action, ports)| AclRule {
            is_permit: AclAction::from(action),
            src_prefix,
            dst_prefix,
            srcport_or_icmptype_first: ports[0],
            srcport_or_icmptype_last: ports[1],
            dstport_or_icmpcode_first: ports[2],
            dstport_or_icmpcode_last: ports[3],
            ..AclRule::default()
        },
    )
}

proptest! {
    #[test]
    fn routes_survive_the_wire(
        prefix in any_prefix(), src in any::<u8>(), paths in prop::collection::vec(any_path(), 0..4),
    ) {
        let route = IpRouteV2 { prefix, src, paths, ..Default::default() };
        check_round_trip(&IpRouteV2Details { route });
    }

    #[test]
    fn access_lists_survive_the_wire(
        tag in "[ -~]{0,63}", r in prop::collection::vec(any_rule(), 0..8),
    ) {
        let tag = FixedString::new(&tag).expect("fits");
        check_round_trip(&AclAddReplace { acl_index: u32::MAX, tag, r });
    }

    #[test]
    fn interfaces_survive_the_wire(
        mac in any::<[u8; 6]>(), flags in any::<u32>(), mtu in any::<[u32; 4]>(), name in "\\PC{0,15}",
    ) {
        check_round_trip(&SwInterfaceDetails {
            l2_address: MacAddress(mac),
            flags: IfStatusFlags(flags),
            mtu,
            interface_name: FixedString::truncated(&name),
            ..Default::default()
        });
    }

    #[test]
    fn taps_and_memifs_survive_the_wire(raw in any::<u32>(), tag in "\\PC{0,40}") {
        check_round_trip(&TapCreateV3 { tap_flags: TapFlags(raw), tag, ..Default::default() });
        check_round_trip(&MemifCreateV2 { role: MemifRole::from(raw), ..Default::default() });
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = decode::<AclAddReplace>(&bytes);
        let _ = decode::<IpRouteV2Details>(&bytes);
        let _ = decode::<SockclntCreateReply>(&bytes);
        let _ = decode::<SwInterfaceDetails>(&bytes);
        let _ = decode::<TapCreateV3>(&bytes);
        let _ = decode::<CliInband>(&bytes);
        let _ = crate::frame::split(&bytes, 512);
    }
}
