//! Why a call to the store failed, sorted by what the caller can do about it.

use std::time::Duration;

use etcd_client::Error;
use tonic::{Code, ConnectError, Status};

const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
const LEASE_NOT_FOUND: &str = "etcdserver: requested lease not found";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("no store endpoint is configured\nhint: give at least one `http://host:port`")]
    NoEndpoint,
    #[error("store endpoint `{endpoint}` is not usable\nhint: write it as `http://host:port`")]
    Endpoint { endpoint: String },
    #[error("{operation}: the store did not answer within {deadline:?}")]
    Deadline {
        operation: String,
        deadline: Duration,
    },
    #[error("{operation}: the store is unavailable: {reason}")]
    Unavailable { operation: String, reason: String },
    #[error("{operation}: the revision is older than the store's history")]
    Compacted { operation: String },
    #[error("{operation}: the lease does not exist or has expired")]
    LeaseNotFound { operation: String },
    #[error("{operation}: the store refused: {message} ({code:?})")]
    Refused {
        operation: String,
        code: Code,
        message: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without any change by the caller.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Deadline { .. } | Self::Unavailable { .. } => true,
            Self::NoEndpoint
            | Self::Endpoint { .. }
            | Self::Compacted { .. }
            | Self::LeaseNotFound { .. }
            | Self::Refused { .. } => false,
        }
    }

    pub(super) fn from_client(operation: String, error: Error, deadline: Duration) -> Self {
        match error {
            Error::GRpcStatus(status) => Self::from_status(operation, &status, deadline),
            // Said only when the store answered a renewal with an empty life time.
            Error::LeaseKeepAliveError(_) => Self::LeaseNotFound { operation },
            Error::IoError(_)
            | Error::TransportError(_)
            | Error::WatchError(_)
            | Error::EndpointError(_) => Self::Unavailable {
                operation,
                reason: describe(error.to_string(), &error),
            },
            Error::InvalidArgs(_)
            | Error::InvalidUri(_)
            | Error::Utf8Error(_)
            | Error::ElectError(_)
            | Error::InvalidMetadataValue(_)
            | Error::EndpointsNotManaged
            | Error::Internal(_) => Self::Refused {
                operation,
                code: Code::Internal,
                message: error.to_string(),
            },
        }
    }

    fn from_status(operation: String, status: &Status, deadline: Duration) -> Self {
        let message = status.message();
        match status.code() {
            Code::OutOfRange if message == COMPACTED => Self::Compacted { operation },
            Code::NotFound if message == LEASE_NOT_FOUND => Self::LeaseNotFound { operation },
            Code::DeadlineExceeded => Self::Deadline {
                operation,
                deadline,
            },
            Code::Unavailable | Code::Cancelled | Code::Aborted | Code::Unknown => {
                Self::Unavailable {
                    operation,
                    reason: describe(message.to_owned(), status),
                }
            }
            code @ (Code::Ok
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss
            | Code::Unauthenticated) => Self::Refused {
                operation,
                code,
                message: message.to_owned(),
            },
        }
    }
}

/// Whether the request cannot have reached any store.
pub(super) fn is_refused_connection(error: &Error) -> bool {
    let Error::GRpcStatus(status) = error else {
        return false;
    };
    causes(status).any(|cause| cause.is::<ConnectError>())
}

/// The message with its causes: transport errors hide "connection refused" three levels down.
fn describe(mut text: String, error: &(dyn std::error::Error + 'static)) -> String {
    for cause in causes(error) {
        let part = cause.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
    }
    text
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause| cause.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_becomes_the_error_the_caller_can_act_on() {
        let from = |code, message: &str| {
            StoreError::from_status(
                "get `k`".into(),
                &Status::new(code, message),
                Duration::ZERO,
            )
        };
        let operation = || "get `k`".to_owned();
        assert_eq!(
            from(Code::OutOfRange, COMPACTED),
            StoreError::Compacted {
                operation: operation()
            }
        );
        assert_eq!(
            from(Code::NotFound, LEASE_NOT_FOUND),
            StoreError::LeaseNotFound {
                operation: operation()
            }
        );
        let cases = [
            (Code::Unavailable, true),
            (Code::DeadlineExceeded, true),
            (Code::InvalidArgument, false),
            (Code::OutOfRange, false),
        ];
        for (code, transient) in cases {
            assert_eq!(from(code, "x").is_transient(), transient, "{code:?}");
        }
    }
}
