//! All images of an archive or a layout, each under its own names.

use std::collections::HashMap;
use std::sync::Arc;

use wharf_oci::{Digest, Reference, RepositoryName, Tag};

use super::address::{LocalPlace, PathOrStdin};
use super::options::{Part, PlaceOptions, PlatformChoice};
use super::source::{blocking, is_directory, open_archive};
use super::{naming, platform};
use crate::copy::{RetryPolicy, Root, RootContent};
use crate::store::archive::{Archive, DockerArchive};
use crate::store::{Entry, Layout, LayoutReader, Source};
use crate::{Error, ErrorKind, Result, Side};

/// All images of an archive or a layout, by the repositories that their names state.
///
/// A name states a repository and a tag. The registry in it does not count: the caller decides to
/// which one the images go, never a file.
#[derive(Clone, Debug)]
pub struct Everything {
    /// The source to read from.
    pub source: Arc<dyn Source>,
    /// Each repository once, in the order of the source, with its images and their tags there. An
    /// image without a name has no tag: it is put by its digest.
    pub repositories: Vec<(RepositoryName, Vec<Root>)>,
}

/// An image with its names as the source has them: references, tags, or any text.
struct Named {
    content: RootContent,
    names: Vec<String>,
}

impl Everything {
    /// All images of an archive, a layout or standard input, each for the platform in `options`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the place names one image; [`ErrorKind::Ambiguous`] if two images
    /// have one name; otherwise as [`OpenedSource::local`](super::OpenedSource::local).
    pub async fn open(
        local: &LocalPlace,
        retry: &RetryPolicy,
        options: &PlaceOptions,
    ) -> Result<Self> {
        let opened = async {
            nothing_chosen(local)?;
            let directory = is_directory(local).map_err(|error| Error::io(&local.at, error))?;
            let (source, mut images) = match &local.at {
                PathOrStdin::Path(path) if directory => {
                    let path = path.clone();
                    blocking(move || {
                        let layout = Layout::open(path)?;
                        let images = of_layout(&layout)?;
                        let source: Arc<dyn Source> = Arc::new(layout);
                        Ok((source, images))
                    })
                    .await?
                }
                _ => archived(local, options).await?,
            };
            if let PlatformChoice::One(wanted) = &options.platform {
                for image in &mut images {
                    let narrow = || platform::narrow(source.as_ref(), &image.content, wanted);
                    image.content = retry.run(narrow).await?;
                }
            }
            Everything::of(source, images, &local.at)
        };
        opened
            .await
            .map_err(|error: Error| error.side(Side::Source))
    }

    /// Sorts `images` of the source at `at` by repository.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there are none; [`ErrorKind::Ambiguous`] if two images have one
    /// name.
    fn of(source: Arc<dyn Source>, images: Vec<Named>, at: &PathOrStdin) -> Result<Self> {
        if images.is_empty() {
            let error = Error::new(ErrorKind::NotFound, "holds no image");
            return Err(error.target(at));
        }
        let placed: Vec<(RootContent, Vec<Name>)> = images
            .into_iter()
            .map(|image| {
                let names = image.names.iter().map(|name| Name::of(name));
                (image.content, names.collect())
            })
            .collect();
        let named = placed.iter().flat_map(|(_, names)| names);
        let mut stated: Vec<&RepositoryName> = named.filter_map(Name::repository).collect();
        stated.dedup();
        // What states no repository belongs to the only one, if there is one.
        let other = match stated.as_slice() {
            [only] => RepositoryName::clone(only),
            _ => naming::repository(None, at),
        };
        let mut sorted = Sorted::default();
        for (content, names) in placed {
            sorted.enter(content, names, &other);
        }
        sorted.finish(source, at)
    }
}

/// One name of an image.
enum Name {
    Reference(RepositoryName, Tag),
    Tag(Tag),
    /// Text that is neither.
    Text,
}

impl Name {
    fn of(text: &str) -> Self {
        if let Ok(tag) = text.parse() {
            return Name::Tag(tag);
        }
        match text.parse::<Reference>() {
            Ok(reference) => {
                Name::Reference(naming::unqualified(&reference), reference.tag_or_latest())
            }
            Err(_) => Name::Text,
        }
    }

    fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Name::Reference(repository, _) => Some(repository),
            Name::Tag(_) | Name::Text => None,
        }
    }
}

#[derive(Default)]
struct Sorted {
    repositories: Vec<(RepositoryName, Vec<Root>)>,
    /// How often each tag of a repository is given.
    given: HashMap<(RepositoryName, Tag), usize>,
}

impl Sorted {
    fn enter(&mut self, content: RootContent, names: Vec<Name>, other: &RepositoryName) {
        let mut places: Vec<(RepositoryName, Vec<Tag>)> = Vec::new();
        for name in names {
            let (repository, tag) = match name {
                Name::Reference(repository, tag) => (repository, Some(tag)),
                Name::Tag(tag) => (other.clone(), Some(tag)),
                Name::Text => continue,
            };
            let known = places.iter_mut().find(|(known, _)| *known == repository);
            match known {
                Some((_, tags)) => tags.extend(tag.filter(|tag| !tags.contains(tag))),
                None => places.push((repository, tag.into_iter().collect())),
            }
        }
        if places.is_empty() {
            places.push((other.clone(), Vec::new()));
        }
        for (repository, tags) in places {
            for tag in &tags {
                let given = self.given.entry((repository.clone(), tag.clone()));
                *given.or_default() += 1;
            }
            let content = content.clone();
            let root = Root { content, tags };
            let known = self.repositories.iter_mut();
            match known.into_iter().find(|(known, _)| *known == repository) {
                Some((_, roots)) => roots.push(root),
                None => self.repositories.push((repository, vec![root])),
            }
        }
    }

    fn finish(self, source: Arc<dyn Source>, at: &PathOrStdin) -> Result<Everything> {
        let mut twice = self.given.iter().filter(|(_, images)| **images > 1);
        if let Some(((repository, tag), images)) = twice.next() {
            let said = format!("{images} images have the name {repository}:{tag}");
            return Err(Error::new(ErrorKind::Ambiguous, said).target(at));
        }
        Ok(Everything {
            source,
            repositories: self.repositories,
        })
    }
}

async fn archived(
    local: &LocalPlace,
    options: &PlaceOptions,
) -> Result<(Arc<dyn Source>, Vec<Named>)> {
    match open_archive(local, Part::One, options).await? {
        Archive::Oci(archive) => {
            let listed = archive.clone();
            let images = blocking(move || of_layout(&listed)).await?;
            Ok((Arc::new(archive), images))
        }
        Archive::Docker(archive) => {
            let images = of_docker(&archive).await?;
            Ok((Arc::new(archive), images))
        }
        _ => Err(Error::new(ErrorKind::Unsupported, "this kind of archive").target(&local.at)),
    }
}

/// The images of a layout, each content once. Blocking.
fn of_layout(layout: &LayoutReader) -> Result<Vec<Named>> {
    let mut images: Vec<(Digest, Named)> = Vec::new();
    for entry in layout.entries()? {
        let Entry {
            descriptor, name, ..
        } = layout.narrowed(entry)?;
        let known = images
            .iter_mut()
            .find(|(known, _)| *known == descriptor.digest);
        match known {
            Some((_, image)) => image.names.extend(name),
            None => {
                let digest = descriptor.digest.clone();
                let content = RootContent::Manifest(descriptor);
                let names = name.into_iter().collect();
                images.push((digest, Named { content, names }));
            }
        }
    }
    Ok(images.into_iter().map(|(_, image)| image).collect())
}

/// The images of a docker archive.
async fn of_docker(archive: &DockerArchive) -> Result<Vec<Named>> {
    let mut images = Vec::new();
    for image in archive.images() {
        images.push(Named {
            content: RootContent::Draft(archive.draft(image).await?),
            names: image.repo_tags.clone(),
        });
    }
    Ok(images)
}

/// Whether nothing of a place is chosen, as all of it is meant.
///
/// # Errors
/// [`ErrorKind::Invalid`] if one image is chosen.
fn nothing_chosen(local: &LocalPlace) -> Result<()> {
    match local.choice {
        None => Ok(()),
        Some(_) => {
            let message = "all images are pushed, so none of them can be chosen";
            Err(Error::new(ErrorKind::Invalid, message).target(&local.at))
        }
    }
}

#[cfg(test)]
mod tests {
    use wharf_oci::{Descriptor, MediaType};

    use super::*;
    use crate::store::Memory;

    fn image(content: &str, names: &[&str]) -> Named {
        let digest = Digest::of(content.as_bytes());
        Named {
            content: Descriptor::new(MediaType::OCI_IMAGE_MANIFEST, digest, 1).into(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn sorted(images: Vec<Named>) -> Result<Vec<String>> {
        let at = PathOrStdin::Path("some/saved.tar".into());
        let all = Everything::of(Arc::new(Memory::new()), images, &at)?;
        let shown = all.repositories.into_iter().map(|(repository, roots)| {
            let roots = roots.iter().map(|root| {
                let tags: Vec<&str> = root.tags.iter().map(Tag::as_str).collect();
                tags.join(",")
            });
            format!("{repository} {}", roots.collect::<Vec<_>>().join(" "))
        });
        Ok(shown.collect())
    }

    #[test]
    fn fault_b8_each_image_is_sorted_under_its_own_names() {
        let images = vec![
            image(
                "a",
                &["app:1", "docker.io/library/app:2", "other.example/team/x:1"],
            ),
            image("b", &["app:3"]),
        ];
        assert_eq!(sorted(images).unwrap(), ["app 1,2 3", "team/x 1"]);
        // Tags and content without a name belong to the only repository, or to that of the file.
        let images = vec![image("a", &["app:1"]), image("b", &["2"]), image("c", &[])];
        assert_eq!(sorted(images).unwrap(), ["app 1 2 "]);
        let images = vec![image("a", &["1", "latest"]), image("b", &["a name"])];
        assert_eq!(sorted(images).unwrap(), ["saved 1,latest "]);
    }

    #[test]
    fn fault_b8_two_images_of_one_name_are_refused() {
        let images = vec![image("a", &["app:1"]), image("b", &["x.example/app:1"])];
        let error = sorted(images).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Ambiguous);
        assert_eq!(
            error.to_string(),
            "some/saved.tar: 2 images have the name app:1"
        );
        assert_eq!(sorted(Vec::new()).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
