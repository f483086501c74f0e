//! The endpoints of the distribution API: requests to a registry, and the meaning of its answers.

pub(crate) mod blobs;
pub(crate) mod catalog;
pub(crate) mod delete;
mod explain;
pub(crate) mod link_header;
pub(crate) mod manifests;
pub(crate) mod pages;
pub(crate) mod put_manifest;
pub(crate) mod referrers;
pub(crate) mod tags;
pub(crate) mod upload;
