//! Access to private parsers for the fuzz targets, under `cfg(fuzzing)` only.

pub use crate::credentials::fuzzing::docker_config;

use wharf_oci::{Descriptor, Digest, MediaType};

use crate::endpoints::referrers::ReferrersIndex;
use crate::endpoints::{link_header, upload};
use crate::{auth, mirrors, warnings};

/// The stored form of the challenge chosen from several headers, if it may be stored.
pub fn challenge(headers: &[&str]) -> Option<String> {
    auth::chosen(headers)
}

/// The token of a token server's answer, and the seconds that it lives.
pub fn token_answer(body: &[u8]) -> Option<(String, u64)> {
    auth::token(body)
}

/// The target of the next page.
pub fn link(header: &str) -> Option<&str> {
    link_header::next(header)
}

/// The texts of a `Warning` header.
pub fn warnings(header: &str) -> Vec<String> {
    warnings::texts(header)
}

/// The number of bytes a session has.
pub fn range(header: &str) -> Option<u64> {
    upload::session_length(header)
}

/// Parses a `hosts.toml`; the error has its place.
pub fn hosts_file(text: &str) -> Result<(), String> {
    mirrors::judge(text).map_err(|error| error.to_string())
}

/// Adds to a list of referrers and removes from it.
pub fn referrers_index(bytes: &[u8]) {
    let Ok(mut index) = ReferrersIndex::parse(bytes) else {
        return;
    };
    let before = index.descriptors();
    let digest = Digest::of(b"referrer");
    index.remove(&digest);
    let without = index.clone();
    assert!(!index.contains(&digest));
    let referrer = Descriptor::new(MediaType::OCI_IMAGE_MANIFEST, digest.clone(), 8);
    index.add(&referrer);
    assert!(index.contains(&digest) && index.covers(&without));
    let Ok(manifest) = index.manifest() else {
        return;
    };
    let read = ReferrersIndex::parse(manifest.bytes()).expect("what we write can be read");
    assert!(read.covers(&index) && index.covers(&read));
    assert!(before.len() <= read.descriptors().len() + 1);
}
