//! Generated messages of `proto/store.proto`; public so that contract tests can speak raw requests.

#![expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated code"
)]

tonic::include_proto!("etcdserverpb");
