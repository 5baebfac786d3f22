//! Errors as the specification wants them on standard output.

use serde_json::{Value, json};

/// Error codes of the specification; ours start at 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    IncompatibleVersion = 1,
    UnknownContainer = 3,
    InvalidEnvironment = 4,
    Io = 5,
    Decode = 6,
    InvalidConfig = 7,
    TryAgainLater = 11,
    NotAvailable = 50,
    /// The interface is taken, or something else that should not be there is.
    Conflict = 100,
    /// The attachment is not as it should be.
    Damaged = 101,
    /// The agent failed.
    Agent = 102,
}

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{msg}")]
pub(crate) struct CniError {
    pub(crate) code: Code,
    msg: String,
    details: String,
}

impl CniError {
    pub(crate) fn new(code: Code, msg: &str) -> Self {
        let (msg, details) = (msg.to_owned(), String::new());
        Self { code, msg, details }
    }

    /// Adds what lies below.
    pub(crate) fn because(mut self, source: &dyn std::error::Error) -> Self {
        let mut text = source.to_string();
        let mut next = source.source();
        while let Some(source) = next {
            text = format!("{text}: {source}");
            next = source.source();
        }
        self.details = text;
        self
    }

    pub(crate) fn to_json(&self, version: &str) -> Value {
        json!({
            "cniVersion": version,
            "code": self.code as u32,
            "msg": self.msg,
            "details": self.details,
        })
    }
}

impl From<tonic::Status> for CniError {
    fn from(status: tonic::Status) -> Self {
        let code = match status.code() {
            tonic::Code::InvalidArgument => Code::InvalidConfig,
            tonic::Code::NotFound => Code::UnknownContainer,
            tonic::Code::AlreadyExists => Code::Conflict,
            tonic::Code::DataLoss => Code::Damaged,
            tonic::Code::Unavailable
            | tonic::Code::DeadlineExceeded
            | tonic::Code::Cancelled
            | tonic::Code::Aborted
            | tonic::Code::ResourceExhausted => Code::TryAgainLater,
            tonic::Code::Ok
            | tonic::Code::Unknown
            | tonic::Code::PermissionDenied
            | tonic::Code::FailedPrecondition
            | tonic::Code::OutOfRange
            | tonic::Code::Unimplemented
            | tonic::Code::Internal
            | tonic::Code::Unauthenticated => Code::Agent,
        };
        Self::new(code, status.message())
    }
}
