//! Manifests of all kinds, with and without a carrier's media type: the bytes stay as they are, and
//! match their digest.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wharf_oci::{Diagnostic, ImageConfig, Manifest, MediaType};

fuzz_target!(|input: (u8, &[u8])| {
    let (carrier, document) = input;
    let bytes = Bytes::copy_from_slice(document);
    let types = [
        MediaType::OCI_IMAGE_MANIFEST,
        MediaType::DOCKER_MANIFEST,
        MediaType::OCI_IMAGE_INDEX,
        MediaType::DOCKER_MANIFEST_LIST,
    ];
    let carrier = types.get(usize::from(carrier % 5));
    if let Ok(manifest) = Manifest::parse(carrier, bytes.clone()) {
        checked(&manifest, &bytes);
        let again = Manifest::parse_as(carrier, bytes.clone(), manifest.digest());
        assert_eq!(
            again.ok().map(|again| again.links()),
            Some(manifest.links())
        );
    }
    if let Ok(manifest) = Manifest::parse_raw(None, bytes.clone(), None) {
        checked(&manifest, &bytes);
    }
    let _ = ImageConfig::parse(document).map(|config| config.platform());
    let _ = Diagnostic::parse(document).map(|diagnostic| diagnostic.to_string());
});

fn checked(manifest: &Manifest, bytes: &Bytes) {
    assert_eq!(manifest.bytes(), bytes);
    assert_eq!(manifest.size(), bytes.len() as u64);
    assert_eq!(manifest.referrer_descriptor().digest, *manifest.digest());
    let _ = (manifest.links(), manifest.subject(), manifest.annotations());
}
