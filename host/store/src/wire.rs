//! Generated messages of `proto/store.proto`; public so that contract tests can speak raw requests.

tonic::include_proto!("etcdserverpb");
