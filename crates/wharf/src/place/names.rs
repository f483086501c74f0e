//! The names that an image has at its source, beside those that it gets.

use wharf_oci::{Reference, Repository, RepositoryName, Tag};

use super::naming;
use super::source::OpenedSource;
use super::store::OpenedStore;

impl OpenedSource {
    /// The tags of those of its names that state this repository.
    pub fn tags_in(&self, repository: &Repository) -> Vec<Tag> {
        let references = self.names.iter().filter_map(|name| whole_reference(name));
        let here = references.filter(|name| name.repository() == repository);
        distinct(here.map(|name| name.tag_or_latest()))
    }

    /// The tags of those of its names that state a repository of this name in any registry, or
    /// none; else its tag, else `latest`.
    pub fn tags_named(&self, repository: &RepositoryName) -> Vec<Tag> {
        let here = self
            .names
            .iter()
            .filter_map(|name| match whole_reference(name) {
                Some(name) if naming::unqualified(&name) == *repository => {
                    Some(name.tag_or_latest())
                }
                Some(_) => None,
                None => name.parse().ok(),
            });
        let tags = distinct(here);
        match tags.is_empty() {
            true => vec![self.tag_or_latest()],
            false => tags,
        }
    }

    /// Those of its names that `stores` do not give it, if it has several.
    pub fn names_beside(&self, stores: &[OpenedStore]) -> Vec<&str> {
        self.names_but(|name, tag| {
            stores.iter().any(|store| {
                let repository = store.repository.as_ref();
                let here = |name: &Reference| repository == Some(name.repository());
                name.is_none_or(here) && store.tags.contains(tag)
            })
        })
    }

    /// Those of its names that are not among [`OpenedSource::tags_named`], if it has several.
    pub fn names_beside_named(&self, repository: &RepositoryName) -> Vec<&str> {
        let here = |name: &Reference| naming::unqualified(name) == *repository;
        self.names_but(|name, _| name.is_none_or(here))
    }

    /// A name that is only a tag has no reference; any other text is given nowhere.
    fn names_but(&self, is_given: impl Fn(Option<&Reference>, &Tag) -> bool) -> Vec<&str> {
        let names = self.names.iter().map(String::as_str);
        let others = names.filter(|text| match (whole_reference(text), text.parse()) {
            (Some(name), _) => !is_given(Some(&name), &name.tag_or_latest()),
            (None, Ok(tag)) => !is_given(None, &tag),
            (None, Err(_)) => true,
        });
        match self.names.len() {
            0 | 1 => Vec::new(),
            _ => others.collect(),
        }
    }
}

/// A name that states a repository; a tag alone states none.
fn whole_reference(name: &str) -> Option<Reference> {
    name.contains(['/', ':']).then(|| name.parse().ok())?
}

fn distinct(tags: impl Iterator<Item = Tag>) -> Vec<Tag> {
    let mut distinct: Vec<Tag> = Vec::new();
    for tag in tags {
        if !distinct.contains(&tag) {
            distinct.push(tag);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wharf_oci::{Descriptor, Digest, MediaType};

    use super::*;
    use crate::store::Memory;

    fn image(names: &[&str]) -> OpenedSource {
        let digest = Digest::of(b"a");
        let content = Descriptor::new(MediaType::OCI_IMAGE_MANIFEST, digest, 1);
        OpenedSource {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..OpenedSource::new(Arc::new(Memory::new()), content)
        }
    }

    fn shown(tags: &[Tag]) -> Vec<&str> {
        tags.iter().map(Tag::as_str).collect()
    }

    #[test]
    fn fault_b8_a_repository_gets_the_tags_of_the_names_that_state_it() {
        let image = image(&[
            "r.example/app:1",
            "r.example/app:2",
            "app:3",
            "4",
            "some text",
        ]);
        let tags = |repository: &str| image.tags_in(&repository.parse().unwrap());
        assert_eq!(shown(&tags("r.example/app")), ["1", "2"]);
        assert_eq!(shown(&tags("docker.io/library/app")), ["3"]);
        assert!(tags("r.example/other").is_empty());
        let named = |name: &str| image.tags_named(&name.parse().unwrap());
        assert_eq!(shown(&named("app")), ["1", "2", "3", "4"]);
        assert_eq!(shown(&named("other")), ["4"]);
    }

    #[test]
    fn fault_b8_the_names_that_are_left_are_told_if_there_are_several() {
        let store = |repository: &str, tags: &[&str]| {
            let tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
            let mut store = OpenedStore::new(Arc::new(Memory::new()), repository, tags);
            store.repository = Some(repository.parse().unwrap());
            store
        };
        let several = image(&["r.example/app:1", "other/app:2", "latest", "some text"]);
        let stores = [store("r.example/app", &["1", "latest"])];
        assert_eq!(several.names_beside(&stores), ["other/app:2", "some text"]);
        let name = "app".parse().unwrap();
        assert_eq!(
            several.names_beside_named(&name),
            ["other/app:2", "some text"]
        );
        assert!(image(&["r.example/app:1"]).names_beside(&[]).is_empty());
    }
}
