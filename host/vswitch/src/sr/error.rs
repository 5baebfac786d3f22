//! What a refused change answers. VPP's segment routing has numbers of its own, which mean other things
//! elsewhere in its API.

/// Why a change to segment routing was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SrError {
    #[error("the local SID exists")]
    LocalsidExists,
    #[error("no such local SID")]
    NoLocalsid,
    #[error("no table to install the local SID in")]
    NoLocalsidTable,
    #[error("a route to the local SID exists")]
    RouteExists,
    #[error("the parameters of the proxy are refused")]
    ProxyRefused,
    #[error("the binding SID is taken by a policy or a route")]
    BsidTaken,
    #[error("no table to install the binding SID in")]
    NoPolicyTable,
    #[error("no such policy")]
    NoPolicy,
    #[error("the only segment list of a policy cannot be removed")]
    LastList,
    #[error("no such segment list to remove")]
    NoListToRemove,
    #[error("no such segment list to change")]
    NoListToChange,
    #[error("no such policy to steer into")]
    NoSteeringPolicy,
    #[error("the interface cannot be steered")]
    NoSteeringInterface,
    #[error("no such steering")]
    NoSteering,
    #[error("the policy does not encapsulate, or there is no such table")]
    CannotSteer,
    #[error("no such interface")]
    InvalidSwIfIndex,
    #[error("invalid value")]
    InvalidValue,
    #[error("not implemented")]
    Unimplemented,
    #[error("the limit is reached")]
    LimitExceeded,
}

impl SrError {
    /// The code of this error in VPP's API.
    pub const fn retval(self) -> i32 {
        match self {
            Self::LocalsidExists | Self::NoPolicy => -1,
            Self::NoLocalsid | Self::NoSteeringPolicy | Self::InvalidSwIfIndex => -2,
            Self::NoLocalsidTable | Self::NoSteeringInterface => -3,
            Self::RouteExists | Self::NoSteering => -4,
            Self::CannotSteer => -5,
            Self::ProxyRefused => -6,
            Self::InvalidValue => -7,
            Self::Unimplemented => -9,
            Self::BsidTaken => -12,
            Self::NoPolicyTable => -13,
            Self::LastList => -21,
            Self::NoListToRemove => -22,
            Self::NoListToChange => -32,
            Self::LimitExceeded => -162,
        }
    }
}
