//! The entries of `index.json`, and how a name selects one.
//!
//! Names in a layout are free text: a tag, or a full reference. An entry with exactly the wanted
//! name precedes one with a reference that only ends in that tag.

use std::fmt;

use wharf_oci::{
    ANNOTATION_CONTAINERD_NAME, ANNOTATION_REF_NAME, Descriptor, Digest, Reference, Tag,
};

/// One thing that a layout lists: an image, an index, an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The descriptor in `index.json`, annotations included.
    pub descriptor: Descriptor,
    /// Its fullest name in the layout: a full reference if there is one.
    pub name: Option<String>,
    /// The tag that is this name or its end.
    pub tag: Option<Tag>,
}

impl Entry {
    /// The entry of a descriptor in `index.json`.
    pub(crate) fn new(descriptor: Descriptor) -> Self {
        let names = [ref_name(&descriptor), containerd_name(&descriptor)];
        let tag = names.iter().flatten().find_map(|name| tag_of(name));
        // Of equally full names the last one, which containerd wrote.
        let fullest = names.into_iter().flatten();
        let fullest = fullest.max_by_key(|name| whole_reference(name).is_some());
        let name = fullest.map(ToOwned::to_owned);
        Entry {
            descriptor,
            name,
            tag,
        }
    }

    /// Whether one of its names is exactly `text`.
    fn is_called(&self, text: &str) -> bool {
        ref_name(&self.descriptor) == Some(text) || containerd_name(&self.descriptor) == Some(text)
    }

    /// Whether one of its names matches `text`: ends in that tag, or is the same reference.
    fn means(&self, text: &str) -> bool {
        let reference = whole_reference(text);
        self.names().any(|name| {
            tag_of(name).is_some_and(|tag| tag.as_str() == text)
                || (reference.is_some() && whole_reference(name) == reference)
        })
    }

    /// Whether one of its names is the same reference as `text`, with all defaults filled in. A
    /// digest in `text` must be that of the entry.
    fn stands_for(&self, text: &str) -> bool {
        let Some((wanted, digest)) = canonical(text) else {
            return false;
        };
        let named = |name| {
            whole_reference(name).is_some()
                && canonical(name).is_some_and(|(name, _)| name == wanted)
        };
        digest.is_none_or(|digest| digest == self.descriptor.digest) && self.names().any(named)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let names = [
            ref_name(&self.descriptor),
            containerd_name(&self.descriptor),
        ];
        names.into_iter().flatten()
    }
}

/// For lists that people choose from; foreign text is escaped.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{} ", name.escape_debug())?;
        }
        write!(f, "{}", self.descriptor.digest)?;
        match &self.descriptor.platform {
            Some(platform) => write!(f, " {platform}"),
            None if self.descriptor.media_type.is_index() => f.write_str(" (index)"),
            None => Ok(()),
        }
    }
}

/// The entries that match `text`, a digest, name or tag: only those of the best kind of match.
pub(crate) fn matching(entries: Vec<Entry>, text: &str) -> Vec<Entry> {
    if let Ok(digest) = text.parse::<Digest>() {
        return kept(entries, |entry| entry.descriptor.digest == digest);
    }
    if entries.iter().any(|entry| entry.is_called(text)) {
        return kept(entries, |entry| entry.is_called(text));
    }
    if entries.iter().any(|entry| entry.means(text)) {
        return kept(entries, |entry| entry.means(text));
    }
    kept(entries, |entry| entry.stands_for(text))
}

/// The single content of all `entries`; with name and tag only if they agree on them.
pub(crate) fn only(entries: &[Entry]) -> Option<Entry> {
    let (first, others) = entries.split_first()?;
    if others
        .iter()
        .any(|other| other.descriptor.digest != first.descriptor.digest)
    {
        return None;
    }
    Some(common_names(first.descriptor.clone(), entries))
}

/// `descriptor` with the name and tag that all of `entries` share.
pub(crate) fn common_names(descriptor: Descriptor, entries: &[Entry]) -> Entry {
    let first = entries.first();
    let named = first.filter(|first| entries.iter().all(|entry| entry.name == first.name));
    let tagged = first.filter(|first| entries.iter().all(|entry| entry.tag == first.tag));
    Entry {
        descriptor,
        name: named.and_then(|first| first.name.clone()),
        tag: tagged.and_then(|first| first.tag.clone()),
    }
}

/// All of `entries` on one line.
pub(crate) fn list(entries: &[Entry]) -> String {
    let lines: Vec<String> = entries.iter().map(Entry::to_string).collect();
    lines.join(", ")
}

/// The annotation by which image-spec names an entry.
pub(crate) fn ref_name(descriptor: &Descriptor) -> Option<&str> {
    descriptor
        .annotations
        .get(ANNOTATION_REF_NAME)
        .map(String::as_str)
}

/// The annotation by which containerd and `docker save` name one.
pub(crate) fn containerd_name(descriptor: &Descriptor) -> Option<&str> {
    descriptor
        .annotations
        .get(ANNOTATION_CONTAINERD_NAME)
        .map(String::as_str)
}

fn kept(entries: Vec<Entry>, keep: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    entries.into_iter().filter(keep).collect()
}

fn tag_of(name: &str) -> Option<Tag> {
    name.parse()
        .ok()
        .or_else(|| whole_reference(name)?.tag().cloned())
}

/// A reference with its defaults and without its digest, and the digest.
fn canonical(name: &str) -> Option<(Reference, Option<Digest>)> {
    let reference: Reference = name.parse().ok()?;
    let (tag, digest) = (reference.tag_or_latest(), reference.digest().cloned());
    let repository = reference.repository().clone();
    Some((Reference::new(repository, Some(tag), None), digest))
}

/// A full reference, if `name` is more than a tag.
fn whole_reference(name: &str) -> Option<Reference> {
    name.contains(['/', ':']).then(|| name.parse().ok())?
}

#[cfg(test)]
mod tests {
    use wharf_oci::MediaType;

    use super::*;

    fn entry(content: &str, ref_name: &str, containerd: &str) -> Entry {
        let digest = Digest::of(content.as_bytes());
        let mut descriptor = Descriptor::new(MediaType::OCI_IMAGE_MANIFEST, digest, 1);
        for (key, name) in [
            (ANNOTATION_REF_NAME, ref_name),
            (ANNOTATION_CONTAINERD_NAME, containerd),
        ] {
            if !name.is_empty() {
                descriptor
                    .annotations
                    .insert(key.to_owned(), name.to_owned());
            }
        }
        Entry::new(descriptor)
    }

    fn found(entries: &[Entry], text: &str) -> Vec<Digest> {
        matching(entries.to_vec(), text)
            .into_iter()
            .map(|entry| entry.descriptor.digest)
            .collect()
    }

    #[test]
    fn a_tag_is_the_name_or_the_end_of_it() {
        for (ref_name, containerd, name, tag) in [
            ("1.27", "", Some("1.27"), Some("1.27")),
            (
                "docker.io/library/nginx:1.27",
                "",
                Some("docker.io/library/nginx:1.27"),
                Some("1.27"),
            ),
            (
                "1.27",
                "docker.io/library/nginx:1.27",
                Some("docker.io/library/nginx:1.27"),
                Some("1.27"),
            ),
            (
                "",
                "docker.io/library/nginx:1",
                Some("docker.io/library/nginx:1"),
                Some("1"),
            ),
            ("a name with spaces", "", Some("a name with spaces"), None),
            (
                "example.com/without-tag",
                "",
                Some("example.com/without-tag"),
                None,
            ),
            ("", "", None, None),
        ] {
            let entry = entry("a", ref_name, containerd);
            assert_eq!(entry.name.as_deref(), name, "{ref_name} {containerd}");
            assert_eq!(
                entry.tag.as_ref().map(Tag::as_str),
                tag,
                "{ref_name} {containerd}"
            );
        }
    }

    #[test]
    fn an_exact_name_goes_before_a_reference_that_ends_in_it() {
        let entries = [
            entry("a", "docker.io/library/nginx:1", ""),
            entry("b", "1", ""),
        ];
        assert_eq!(found(&entries, "1"), [Digest::of(b"b")]);
        assert_eq!(found(&entries[..1], "1"), [Digest::of(b"a")]);
        assert_eq!(found(&entries, "nginx:1"), [Digest::of(b"a")]);
        assert_eq!(
            found(&entries, &Digest::of(b"a").to_string()),
            [Digest::of(b"a")]
        );
        assert_eq!(found(&entries, "2"), []);
    }

    #[test]
    fn fault_b6_any_name_of_an_entry_selects_it_and_the_fullest_is_shown() {
        let entries = [
            entry("a", "latest", "docker.io/library/app:latest"),
            entry("b", "latest", "registry.example:5000/team/app:latest"),
            entry("c", "registry.example/c:2", "2"),
            entry("d", "my image, the second", ""),
        ];
        let at_digest = format!("registry.example/c:2@{}", Digest::of(b"c"));
        for (text, content) in [
            ("docker.io/library/app:latest", "a"),
            ("app:latest", "a"),
            ("app", "a"),
            ("library/app", "a"),
            ("registry.example:5000/team/app:latest", "b"),
            ("registry.example:5000/team/app", "b"),
            ("registry.example/c:2", "c"),
            (&at_digest, "c"),
            ("2", "c"),
            ("my image, the second", "d"),
        ] {
            assert_eq!(
                found(&entries, text),
                [Digest::of(content.as_bytes())],
                "{text}"
            );
        }
        let other = format!("registry.example/c:2@{}", Digest::of(b"a"));
        for none in ["docker.io/library/app:1", "my image", "c:2", &other] {
            assert_eq!(found(&entries, none), [], "{none}");
        }
        let shown = list(&entries);
        for name in [
            "docker.io/library/app:latest",
            "registry.example:5000/team/app:latest",
            "registry.example/c:2",
        ] {
            assert!(shown.contains(name), "{shown}");
        }
    }

    #[test]
    fn one_content_under_two_names_is_one_without_a_name() {
        let both = only(&[entry("a", "1", ""), entry("a", "latest", "")]).unwrap();
        assert_eq!((both.name, both.tag), (None, None));
        assert_eq!(only(&[entry("a", "1", ""), entry("b", "1", "")]), None);
        assert_eq!(
            only(&[entry("a", "1", "")]).unwrap().tag.unwrap().as_str(),
            "1"
        );
    }

    #[test]
    fn a_list_shows_no_control_characters() {
        let text = list(&[entry("a", "\u{1b}[2J\n", ""), entry("b", "", "")]);
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!(text, format!("\\u{{1b}}[2J\\n {a}, {b}"));
    }
}
