//! Between VPP's types and the dataplane's.

use std::net::IpAddr;

use vpp_api::ApiError;
use vpp_api::ethernet_types::MacAddress;
use vpp_api::fib_types::{FibPath, FibPathNh, FibPathNhProto, FibPathType};
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::ip_types::{self, AddressFamily};
use vswitch::route::{PathKind, RoutePath};
use vswitch::{Family, MacAddr, Prefix, SwIfIndex};

use crate::engine::code;

/// Extends results of the dataplane.
pub(super) trait Coded<T> {
    /// Translates the error into VPP's.
    fn coded(self) -> Result<T, ApiError>;
}

impl<T> Coded<T> for Result<T, vswitch::ApiError> {
    fn coded(self) -> Result<T, ApiError> {
        self.map_err(code)
    }
}

pub(super) fn index(sw_if_index: SwIfIndex) -> InterfaceIndex {
    InterfaceIndex(sw_if_index.0)
}

pub(super) fn sw(sw_if_index: InterfaceIndex) -> SwIfIndex {
    SwIfIndex(sw_if_index.0)
}

/// Reads a filter field, in which ~0 stands for all.
pub(super) fn filter(sw_if_index: InterfaceIndex) -> Option<SwIfIndex> {
    (sw_if_index != InterfaceIndex::NONE).then_some(sw(sw_if_index))
}

pub(super) fn mac(address: MacAddress) -> MacAddr {
    MacAddr(address.0)
}

/// Reads a MAC field in which zero stands for "choose one".
pub(super) fn mac_if_set(address: MacAddress) -> Option<MacAddr> {
    (address.0 != [0; 6]).then_some(MacAddr(address.0))
}

pub(super) fn mac_to_api(address: MacAddr) -> MacAddress {
    MacAddress(address.0)
}

pub(super) fn prefix(prefix: ip_types::Prefix) -> Result<Prefix, ApiError> {
    Prefix::new(prefix.address, prefix.len).coded()
}

pub(super) fn prefix_to_api(prefix: Prefix) -> ip_types::Prefix {
    ip_types::Prefix::new(prefix.addr, prefix.len)
}

pub(super) fn family(is_ipv6: bool) -> Family {
    if is_ipv6 { Family::V6 } else { Family::V4 }
}

pub(super) fn family_of(af: AddressFamily) -> Result<Family, ApiError> {
    match af {
        AddressFamily::Ip4 => Ok(Family::V4),
        AddressFamily::Ip6 => Ok(Family::V6),
        AddressFamily::Other(_) => Err(ApiError::InvalidAddressFamily),
    }
}

pub(super) fn paths(paths: &[FibPath]) -> Result<Vec<RoutePath>, ApiError> {
    paths.iter().map(path).collect()
}

fn path(path: &FibPath) -> Result<RoutePath, ApiError> {
    let kind = match path.r#type {
        FibPathType::Normal => PathKind::Normal,
        FibPathType::Local => PathKind::Local,
        FibPathType::Drop => PathKind::Drop,
        FibPathType::IcmpUnreach => PathKind::IcmpUnreach,
        FibPathType::IcmpProhibit => PathKind::IcmpProhibit,
        FibPathType::UdpEncap
        | FibPathType::BierImp
        | FibPathType::SourceLookup
        | FibPathType::Dvr
        | FibPathType::InterfaceRx
        | FibPathType::Classify
        | FibPathType::Other(_) => return Err(ApiError::Unimplemented),
    };
    let (family, next_hop) = match path.proto {
        FibPathNhProto::Ip4 => (
            Family::V4,
            IpAddr::V4(path.nh.address.ip4().map_err(malformed)?),
        ),
        FibPathNhProto::Ip6 => (
            Family::V6,
            IpAddr::V6(path.nh.address.ip6().map_err(malformed)?),
        ),
        FibPathNhProto::Mpls
        | FibPathNhProto::Ethernet
        | FibPathNhProto::Bier
        | FibPathNhProto::Other(_) => return Err(ApiError::FibPathUnsupportedNhProto),
    };
    Ok(RoutePath {
        kind,
        family,
        next_hop,
        sw_if_index: SwIfIndex(path.sw_if_index),
        table_id: path.table_id,
        // VPP reads weight 0 as 1.
        weight: path.weight.max(1),
        preference: path.preference,
    })
}

fn malformed(_: vpp_api::CodecError) -> ApiError {
    ApiError::InvalidValue
}

pub(super) fn paths_to_api(paths: &[RoutePath]) -> Vec<FibPath> {
    let one = |path: &RoutePath| FibPath {
        sw_if_index: path.sw_if_index.0,
        table_id: path.table_id,
        weight: path.weight,
        preference: path.preference,
        r#type: match path.kind {
            PathKind::Normal => FibPathType::Normal,
            PathKind::Local => FibPathType::Local,
            PathKind::Drop => FibPathType::Drop,
            PathKind::IcmpUnreach => FibPathType::IcmpUnreach,
            PathKind::IcmpProhibit => FibPathType::IcmpProhibit,
        },
        proto: match path.family {
            Family::V4 => FibPathNhProto::Ip4,
            Family::V6 => FibPathNhProto::Ip6,
        },
        nh: FibPathNh {
            address: path.next_hop.into(),
            ..FibPathNh::default()
        },
        ..FibPath::default()
    };
    paths.iter().map(one).collect()
}
