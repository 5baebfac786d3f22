//! What a refused change answers, with the codes of VPP's API.

/// Why the writer refused a change. [`ApiError::retval`] is the code a VPP client sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    #[error("no such policy")]
    NpolNoSuchPolicy,
    #[error("unspecified error")]
    Unspecified,
    #[error("no such interface")]
    InvalidSwIfIndex,
    #[error("no such FIB table")]
    NoSuchFib,
    #[error("no such classifier table")]
    NoSuchTable,
    #[error("no such entry")]
    NoSuchEntry,
    #[error("invalid value")]
    InvalidValue,
    #[error("invalid value in the second field")]
    InvalidValue2,
    #[error("not implemented")]
    Unimplemented,
    #[error("the feature is not configured")]
    FeatureDisabled,
    #[error("unknown IP protocol")]
    InvalidProtocol,
    #[error("already registered or taken")]
    InvalidRegistration,
    #[error("no paths in the route")]
    NoPathsInRoute,
    #[error("no such VLAN id: 1 to 4095")]
    InvalidVlan,
    #[error("the sub-interface number is taken")]
    VlanAlreadyExists,
    #[error("invalid source address")]
    InvalidSrcAddress,
    #[error("invalid destination address")]
    InvalidDstAddress,
    #[error("the address is not on the interface")]
    AddressNotFoundForInterface,
    #[error("invalid interface")]
    InvalidInterface,
    #[error("the interface has fewer VLAN tags than are to be removed")]
    InvalidVlanTagCount,
    #[error("not a sub-interface")]
    InvalidSubSwIfIndex,
    #[error("invalid argument")]
    InvalidArgument,
    #[error("the tunnel exists")]
    TunnelExists,
    #[error("the interface exists")]
    IfAlreadyExists,
    #[error("source and destination are the same")]
    SameSrcDst,
    #[error("the address is already in use")]
    AddressInUse,
    #[error("an address is present on the interface")]
    AddressFoundForInterface,
    #[error("the entry exists")]
    EntryAlreadyExists,
    #[error("the bridge domain exists")]
    BdAlreadyExists,
    #[error("the bridge domain is in use")]
    BdInUse,
    #[error("bridge domain 0 cannot be modified")]
    BdNotModifiable,
    #[error("bridge domain id is above 2^24-1")]
    BdIdExceedMax,
    #[error("unsupported")]
    Unsupported,
    #[error("the ACL is applied on input")]
    AclInUseInbound,
    #[error("the ACL is applied on output")]
    AclInUseOutbound,
    #[error("the instance number is in use")]
    InstanceInUse,
    #[error("the ACL is used by another feature")]
    AclInUseByLookup,
    #[error("not an Ethernet interface")]
    NonEthernet,
    #[error("the bridge domain has a BVI already")]
    BdAlreadyHasBvi,
    #[error("the limit is reached")]
    LimitExceeded,
    #[error("invalid prefix length")]
    InvalidPrefixLength,
    #[error("invalid prefix")]
    IpPrefixInvalid,
}

impl ApiError {
    /// The code of this error in the VPP API.
    pub const fn retval(self) -> i32 {
        match self {
            // A bare 1, which is no code of VPP's: its npol plugin answers so.
            Self::NpolNoSuchPolicy => 1,
            Self::Unspecified => -1,
            Self::InvalidSwIfIndex => -2,
            Self::NoSuchFib => -3,
            Self::NoSuchTable => -65,
            Self::NoSuchEntry => -6,
            Self::InvalidValue => -7,
            Self::InvalidValue2 => -8,
            Self::Unimplemented => -9,
            Self::FeatureDisabled => -30,
            Self::InvalidRegistration => -31,
            Self::NoPathsInRoute => -52,
            Self::InvalidVlan => -55,
            Self::VlanAlreadyExists => -56,
            Self::InvalidSrcAddress => -57,
            Self::InvalidDstAddress => -58,
            Self::AddressNotFoundForInterface => -60,
            Self::InvalidInterface => -71,
            Self::InvalidVlanTagCount => -72,
            Self::InvalidSubSwIfIndex => -98,
            Self::InvalidArgument => -73,
            Self::TunnelExists => -75,
            Self::IfAlreadyExists => -79,
            Self::SameSrcDst => -82,
            Self::AddressInUse => -105,
            Self::AddressFoundForInterface => -114,
            Self::EntryAlreadyExists => -116,
            Self::BdAlreadyExists => -119,
            Self::BdInUse => -120,
            Self::BdNotModifiable => -121,
            Self::BdIdExceedMax => -122,
            Self::Unsupported => -126,
            Self::AclInUseInbound => -142,
            Self::AclInUseOutbound => -143,
            Self::InstanceInUse => -147,
            Self::AclInUseByLookup => -149,
            Self::InvalidProtocol => -153,
            Self::NonEthernet => -151,
            Self::BdAlreadyHasBvi => -152,
            Self::LimitExceeded => -162,
            Self::InvalidPrefixLength => -171,
            Self::IpPrefixInvalid => -88,
        }
    }
}
