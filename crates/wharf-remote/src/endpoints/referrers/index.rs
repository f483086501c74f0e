//! The index that lists referrers under a tag, for registries that do not list them
//! (distribution-spec: "Referrers Tag Schema"). Pure: bytes in, bytes out.
//!
//! Foreign and unknown fields and entries survive.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use wharf_oci::{Descriptor, Digest, Manifest, MediaType, Tag};

use wharf_core::{Error, ErrorKind, Result};

/// The list of one subject.
#[derive(Clone, Debug)]
pub(crate) struct ReferrersIndex {
    document: Map<String, Value>,
    /// By digest as text, which is also the order in the document.
    entries: BTreeMap<String, Value>,
}

/// The tag of the list for `subject`: its digest with a dash, cut to the length of a tag.
pub(crate) fn fallback_tag(subject: &Digest) -> Result<Tag> {
    let algorithm = subject.algorithm().to_string();
    let text = format!("{algorithm:.32}-{:.64}", subject.hex());
    text.parse().map_err(|error: wharf_oci::NameError| {
        Error::new(ErrorKind::Invalid, error.to_string()).target(subject)
    })
}

impl ReferrersIndex {
    /// A listing of nothing.
    pub(crate) fn empty() -> Self {
        let document = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_IMAGE_INDEX,
        });
        ReferrersIndex {
            document: document.as_object().cloned().unwrap_or_default(),
            entries: BTreeMap::new(),
        }
    }

    /// Reads a listing.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is not an OCI index of schema version 2, which must not be
    /// overwritten.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let invalid = |why: &str| {
            let message = format!("{why}, so it is not a list of referrers");
            Error::new(ErrorKind::Invalid, message)
        };
        let document: Value = serde_json::from_slice(bytes).map_err(|_| invalid("is not JSON"))?;
        let Value::Object(mut document) = document else {
            return Err(invalid("is not a JSON object"));
        };
        if document.get("schemaVersion") != Some(&json!(2)) {
            return Err(invalid("has a schemaVersion other than 2"));
        }
        let media_type = document.get("mediaType");
        if media_type.is_some_and(|media_type| *media_type != json!(MediaType::OCI_IMAGE_INDEX)) {
            return Err(invalid("is not an OCI index"));
        }
        let entries = match document.remove("manifests") {
            Some(Value::Array(entries)) => entries,
            Some(Value::Null) => Vec::new(),
            _ => return Err(invalid("has no list of manifests")),
        };
        let keyed = entries.into_iter().map(|entry| {
            let digest = entry.get("digest").and_then(Value::as_str);
            digest
                .map(|digest| (digest.to_owned(), entry.clone()))
                .ok_or_else(|| invalid("has an entry without a digest"))
        });
        Ok(ReferrersIndex {
            entries: keyed.collect::<Result<_>>()?,
            document,
        })
    }

    /// Whether a referrer is listed.
    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        self.entries.contains_key(&digest.to_string())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a referrer, unless it is listed.
    pub(crate) fn add(&mut self, referrer: &Descriptor) {
        let entry = || json!(referrer);
        self.entries
            .entry(referrer.digest.to_string())
            .or_insert_with(entry);
    }

    /// Adds everything that `other` lists.
    pub(crate) fn merge(&mut self, other: &ReferrersIndex) {
        for (digest, entry) in &other.entries {
            self.entries
                .entry(digest.clone())
                .or_insert_with(|| entry.clone());
        }
    }

    /// Removes a referrer.
    pub(crate) fn remove(&mut self, digest: &Digest) {
        self.entries.remove(&digest.to_string());
    }

    /// Whether everything that `other` lists is listed here.
    pub(crate) fn covers(&self, other: &ReferrersIndex) -> bool {
        let mut digests = other.entries.keys();
        digests.all(|digest| self.entries.contains_key(digest))
    }

    /// The entries listed here and not in `other`, as far as they can be parsed.
    pub(crate) fn missing_from(&self, other: &ReferrersIndex) -> Vec<Descriptor> {
        let mut missing = self.descriptors();
        missing.retain(|referrer| !other.contains(&referrer.digest));
        missing
    }

    /// The entries, as far as they can be parsed.
    pub(crate) fn descriptors(&self) -> Vec<Descriptor> {
        let entries = self.entries.values().cloned();
        entries
            .filter_map(|entry| serde_json::from_value(entry).ok())
            .collect()
    }

    /// The manifest to put, sorted by digest.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is too large.
    pub(crate) fn manifest(&self) -> Result<Manifest> {
        let mut document = self.document.clone();
        let entries: Vec<&Value> = self.entries.values().collect();
        document.insert("manifests".to_owned(), json!(entries));
        let bytes = Bytes::from(Value::Object(document).to_string());
        Ok(Manifest::parse(Some(&MediaType::OCI_IMAGE_INDEX), bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn referrer(content: &[u8]) -> Descriptor {
        let digest = Digest::of(content);
        Descriptor::new(MediaType::OCI_IMAGE_MANIFEST, digest, content.len() as u64)
    }

    fn index(value: &Value) -> Result<ReferrersIndex> {
        ReferrersIndex::parse(value.to_string().as_bytes())
    }

    #[test]
    fn f3_the_tag_is_the_digest_with_a_dash_cut_to_what_a_tag_may_have() {
        let digest = Digest::of(b"");
        let expected = format!("sha256-{}", digest.hex());
        assert_eq!(fallback_tag(&digest).unwrap().to_string(), expected);
        let long = Digest::of_with(wharf_oci::Algorithm::Sha512, b"");
        let expected = format!("sha512-{}", &long.hex()[..64]);
        assert_eq!(fallback_tag(&long).unwrap().to_string(), expected);
    }

    #[test]
    fn f3_entries_are_sorted_by_digest_and_listed_once() {
        let mut listing = ReferrersIndex::empty();
        for content in [b"a", b"b", b"c", b"a"] {
            listing.add(&referrer(content));
        }
        let written: Value = serde_json::from_slice(listing.manifest().unwrap().bytes()).unwrap();
        let digests: Vec<&str> = written["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["digest"].as_str().unwrap())
            .collect();
        assert_eq!(digests.len(), 3);
        assert!(digests.is_sorted());
        assert_eq!(written["mediaType"], json!(MediaType::OCI_IMAGE_INDEX));
        assert_eq!(written["schemaVersion"], json!(2));
    }

    #[test]
    fn f3_what_is_no_listing_is_refused() {
        for (document, reason) in [
            (json!([]), "not a JSON object"),
            (
                json!({"schemaVersion": 1, "manifests": []}),
                "schemaVersion",
            ),
            (json!({"manifests": []}), "schemaVersion"),
            (
                json!({"schemaVersion": 2, "mediaType": MediaType::DOCKER_MANIFEST_LIST, "manifests": []}),
                "not an OCI index",
            ),
            (json!({"schemaVersion": 2}), "no list of manifests"),
            (
                json!({"schemaVersion": 2, "manifests": [{}]}),
                "without a digest",
            ),
        ] {
            let error = index(&document).unwrap_err().to_string();
            assert!(error.contains(reason), "{document}: {error}");
        }
        assert!(ReferrersIndex::parse(b"<html>").is_err());
    }

    #[test]
    fn f3_what_others_wrote_survives() {
        let entry = json!({"digest": "md5:1", "what": "ever"});
        let document = json!({
            "schemaVersion": 2,
            "manifests": [entry],
            "annotations": {"a": "b"},
            "x": [1],
        });
        let mut listing = index(&document).unwrap();
        listing.add(&referrer(b"a"));
        let ours = listing.clone();
        listing.remove(&referrer(b"a").digest);
        assert!(ours.covers(&listing) && !listing.covers(&ours));
        assert_eq!(Value::Object(listing.document.clone())["x"], json!([1]));
        assert_eq!(listing.entries.get("md5:1"), Some(&entry));
        // A foreign entry is kept, though it cannot be parsed.
        assert_eq!(listing.descriptors(), []);
    }
}
