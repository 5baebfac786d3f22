//! Kubernetes objects as Weft reads them.
//!
//! [`crd`] holds our custom resources, [`manifest`] reads YAML files with their line numbers, and
//! [`convert`] turns objects into the records of `model`. All of it is pure; watching an API server
//! or a directory is the business of `ksr`.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod convert;
pub mod crd;
pub mod manifest;

pub use k8s_openapi::api as core_api;
pub use k8s_openapi::apimachinery;
