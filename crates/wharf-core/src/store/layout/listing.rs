//! Pure changes of `index.json` when a manifest is written or deleted.
//!
//! Foreign entries stay as they are, except for the name that moves.

use wharf_oci::{ANNOTATION_REF_NAME, Descriptor, Index, Tag};

use super::entry::{containerd_name, ref_name};

/// Lists `manifest`, under `tag` if given. Returns whether `index` changed.
pub(in crate::store) fn enter(index: &mut Index, manifest: &Descriptor, tag: Option<&Tag>) -> bool {
    match tag {
        Some(tag) => enter_tagged(index, manifest, tag),
        None => enter_untagged(index, manifest),
    }
}

/// Lists `manifest` under any name, unless it has that already. No other entry loses the name.
pub(in crate::store) fn enter_named(index: &mut Index, manifest: &Descriptor, name: &str) {
    let same = |entry: &&mut Descriptor| entry.digest == manifest.digest;
    let mut entries = index.manifests.iter_mut().filter(same);
    if entries.any(|entry| ref_name(entry) == Some(name)) {
        return;
    }
    let nameless =
        |entry: &&mut Descriptor| ref_name(entry).is_none() && containerd_name(entry).is_none();
    let name = (ANNOTATION_REF_NAME.to_owned(), name.to_owned());
    match index.manifests.iter_mut().filter(same).find(nameless) {
        Some(entry) => entry.annotations.extend([name]),
        None => {
            let mut entry = manifest.clone();
            entry.annotations.extend([name]);
            index.manifests.push(entry);
        }
    }
}

fn enter_untagged(index: &mut Index, manifest: &Descriptor) -> bool {
    let absent = !index
        .manifests
        .iter()
        .any(|entry| entry.digest == manifest.digest);
    if absent {
        index.manifests.push(manifest.clone());
    }
    absent
}

fn enter_tagged(index: &mut Index, manifest: &Descriptor, tag: &Tag) -> bool {
    let moved = take_from_others(index, manifest, tag);
    let same = |entry: &&mut Descriptor| entry.digest == manifest.digest;
    if index
        .manifests
        .iter_mut()
        .filter(same)
        .any(|entry| is_named(entry, tag))
    {
        return moved;
    }
    let nameless =
        |entry: &&mut Descriptor| ref_name(entry).is_none() && containerd_name(entry).is_none();
    let name = (ANNOTATION_REF_NAME.to_owned(), tag.to_string());
    match index.manifests.iter_mut().filter(same).find(nameless) {
        Some(entry) => entry.annotations.extend([name]),
        None => {
            let mut entry = manifest.clone();
            entry.annotations.extend([name]);
            index.manifests.push(entry);
        }
    }
    true
}

/// Says of a listed manifest what `described` says and its entries do not yet. Returns whether `index`
/// changed.
pub(super) fn describe(index: &mut Index, described: &Descriptor) -> bool {
    let mut changed = false;
    for entry in &mut index.manifests {
        if entry.digest != described.digest {
            continue;
        }
        let before = entry.clone();
        entry.platform = entry.platform.take().or_else(|| described.platform.clone());
        let artifact_type = &described.artifact_type;
        entry.artifact_type = entry.artifact_type.take().or_else(|| artifact_type.clone());
        for (key, value) in &described.annotations {
            let key = entry.annotations.entry(key.clone());
            key.or_insert_with(|| value.clone());
        }
        changed |= *entry != before;
    }
    changed
}

/// Removes a tag; its manifest stays listed by digest. Returns whether the tag existed.
pub(in crate::store) fn untag(index: &mut Index, tag: &Tag) -> bool {
    let mut found = false;
    for entry in &mut index.manifests {
        if is_named(entry, tag) {
            entry.annotations.remove(ANNOTATION_REF_NAME);
            found = true;
        }
    }
    // Keeps one of several equal entries without a name.
    let mut nameless = std::collections::HashSet::new();
    index.manifests.retain(|entry| {
        let named = ref_name(entry).is_some() || containerd_name(entry).is_some();
        named || nameless.insert(entry.digest.clone())
    });
    found
}

/// Removes a manifest under all names. Returns whether it was listed.
pub(in crate::store) fn remove(index: &mut Index, digest: &wharf_oci::Digest) -> bool {
    let before = index.manifests.len();
    index.manifests.retain(|entry| entry.digest != *digest);
    index.manifests.len() < before
}

/// Removes a tag from entries of other content, and entries that had no other name.
fn take_from_others(index: &mut Index, manifest: &Descriptor, tag: &Tag) -> bool {
    let mut moved = false;
    index.manifests.retain_mut(|entry| {
        if entry.digest == manifest.digest || !is_named(entry, tag) {
            return true;
        }
        moved = true;
        entry.annotations.remove(ANNOTATION_REF_NAME);
        containerd_name(entry).is_some()
    });
    moved
}

fn is_named(entry: &Descriptor, tag: &Tag) -> bool {
    ref_name(entry) == Some(tag.as_str())
}

#[cfg(test)]
mod tests {
    use wharf_oci::{ANNOTATION_CONTAINERD_NAME, Digest, MediaType};

    use super::*;

    fn manifest(content: &str) -> Descriptor {
        Descriptor::new(
            MediaType::OCI_IMAGE_MANIFEST,
            Digest::of(content.as_bytes()),
            1,
        )
    }

    fn tag(text: &str) -> Tag {
        text.parse().unwrap()
    }

    /// Content and name of each entry.
    fn listed(index: &Index) -> Vec<(Digest, Option<&str>)> {
        index
            .manifests
            .iter()
            .map(|entry| (entry.digest.clone(), ref_name(entry)))
            .collect()
    }

    #[test]
    fn a_tag_moves_and_its_older_entry_goes() {
        let mut index = Index::new(Vec::new());
        assert!(enter(&mut index, &manifest("a"), Some(&tag("1"))));
        assert!(enter(&mut index, &manifest("a"), Some(&tag("latest"))));
        assert!(enter(&mut index, &manifest("b"), Some(&tag("latest"))));
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!(listed(&index), [(a, Some("1")), (b, Some("latest"))]);
    }

    #[test]
    fn the_same_again_changes_nothing() {
        for tag in [None, Some(tag("1"))] {
            let mut index = Index::new(Vec::new());
            assert!(enter(&mut index, &manifest("a"), tag.as_ref()));
            let before = index.clone();
            assert!(!enter(&mut index, &manifest("a"), tag.as_ref()));
            assert_eq!(index, before);
        }
    }

    #[test]
    fn a_nameless_entry_gets_the_tag() {
        let mut index = Index::new(Vec::new());
        enter(&mut index, &manifest("a"), None);
        enter(&mut index, &manifest("a"), Some(&tag("1")));
        assert_eq!(listed(&index), [(Digest::of(b"a"), Some("1"))]);
        assert!(!enter(&mut index, &manifest("a"), None));
    }

    #[test]
    fn an_older_entry_with_another_name_keeps_that() {
        let mut old = manifest("a");
        old.annotations
            .insert(ANNOTATION_REF_NAME.to_owned(), "1".to_owned());
        old.annotations.insert(
            ANNOTATION_CONTAINERD_NAME.to_owned(),
            "example.com/a:1".to_owned(),
        );
        let mut index = Index::new(vec![old]);
        enter(&mut index, &manifest("b"), Some(&tag("1")));
        assert_eq!(
            listed(&index),
            [(Digest::of(b"a"), None), (Digest::of(b"b"), Some("1"))]
        );
        assert_eq!(
            containerd_name(&index.manifests[0]),
            Some("example.com/a:1")
        );
    }

    #[test]
    fn o9_a_tag_goes_alone_and_a_digest_with_all_its_tags() {
        let mut index = Index::new(Vec::new());
        enter(&mut index, &manifest("a"), Some(&tag("1")));
        enter(&mut index, &manifest("a"), Some(&tag("2")));
        assert!(untag(&mut index, &tag("1")) && !untag(&mut index, &tag("1")));
        let a = Digest::of(b"a");
        assert_eq!(listed(&index), [(a.clone(), None), (a.clone(), Some("2"))]);
        assert!(untag(&mut index, &tag("2")));
        assert_eq!(listed(&index), [(a.clone(), None)]);
        assert!(remove(&mut index, &a) && !remove(&mut index, &a));
        assert_eq!(listed(&index), []);
    }

    #[test]
    fn entries_learn_what_they_do_not_say_yet() {
        let mut index = Index::new(vec![manifest("a"), manifest("b")]);
        let mut described = manifest("b");
        described.platform = Some("linux/arm".parse().unwrap());
        described.annotations.insert("k".to_owned(), "v".to_owned());
        assert!(describe(&mut index, &described));
        assert_eq!(index.manifests, [manifest("a"), described.clone()]);
        let other = Descriptor {
            platform: Some("linux/amd64".parse().unwrap()),
            ..manifest("b")
        };
        assert!(!describe(&mut index, &other), "what is stated stays");
    }

    #[test]
    fn what_is_not_known_here_survives() {
        let document = serde_json::json!({
            "schemaVersion": 2, "future": {"deep": [1]}, "annotations": {"a": "b"},
            "manifests": [{"mediaType": "a/b", "digest": Digest::of(b"a"), "size": 1, "future": true}],
        });
        let mut index: Index = serde_json::from_value(document.clone()).unwrap();
        enter(&mut index, &manifest("b"), None);
        index.manifests.pop();
        assert_eq!(serde_json::to_value(&index).unwrap(), document);
    }
}
