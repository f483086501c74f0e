//! Single manifests: tagged, put and deleted, each with the retries of a copy.

use bytes::Bytes;
use wharf_oci::{Descriptor, Manifest, MediaType, Payload, Reference, Selector, Tag};

use super::Pusher;
use crate::store::Store;
use crate::{Error, ErrorKind, Result};

impl Pusher {
    /// Puts what `image` names under further tags of its repository (PUSH.md O4), and says what
    /// it is. Nothing is uploaded but the manifest.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where `image` names nothing; what the registry says otherwise.
    pub async fn tag(&self, image: &Reference, tags: &[Tag]) -> Result<Descriptor> {
        let (store, at) = (self.repository(image.repository()), image.selector());
        let retry = &self.options().retry;
        let manifest = retry.run(|| store.manifest_at(&at)).await?;
        retry.run(|| store.put_tags(&manifest, tags)).await?;
        Ok(manifest.descriptor().clone())
    }

    /// Puts the exact bytes of a manifest at `to` (PUSH.md O5): under the tag there, by digest
    /// where `to` has a digest alone, else as `latest`. What it links to must be in the repository
    /// already. A manifest with a subject becomes a referrer of that.
    ///
    /// Its media type is `media_type` where given, else what the document says of itself, else
    /// that of its form, which for images is Docker schema 2.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the bytes are no manifest, or not of that media type, or have
    /// not the digest in `to`; what the registry says otherwise.
    pub async fn put(
        &self,
        media_type: Option<&MediaType>,
        bytes: impl Into<Bytes>,
        to: &Reference,
    ) -> Result<Descriptor> {
        let manifest = read(media_type, bytes.into(), to).map_err(|error| error.target(to))?;
        let tag = match to.digest() {
            Some(_) => to.tag().cloned(),
            None => Some(to.tag_or_latest()),
        };
        let store = self.repository(to.repository());
        let put = || store.put_root(&manifest, tag.as_ref());
        self.options().retry.run(put).await?;
        Ok(manifest.descriptor().clone())
    }

    /// Takes a tag away, or a manifest with all its tags (PUSH.md O9), whichever `at` says: here
    /// no tag does not mean `latest`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where `at` has neither tag nor digest, or both;
    /// [`ErrorKind::NotFound`] where it names nothing; [`ErrorKind::Unsupported`] where the
    /// registry does not delete; what it says otherwise.
    pub async fn delete(&self, at: &Reference) -> Result<()> {
        let selector = match (at.tag(), at.digest()) {
            (Some(tag), None) => Selector::Tag(tag.clone()),
            (None, Some(digest)) => Selector::Digest(digest.clone()),
            (None, None) => return Err(unclear(at, "has no tag and no digest")),
            (Some(_), Some(_)) => return Err(unclear(at, "has a tag and a digest")),
        };
        let store = self.repository(at.repository());
        self.options().retry.run(|| store.delete(&selector)).await
    }
}

fn unclear(at: &Reference, what: &str) -> Error {
    let message = format!("{what}: say which of them to delete");
    Error::new(ErrorKind::Invalid, message).target(at)
}

fn read(media_type: Option<&MediaType>, bytes: Bytes, to: &Reference) -> Result<Manifest> {
    let parse = |media_type| match to.digest() {
        Some(digest) => Manifest::parse_as(media_type, bytes.clone(), digest),
        None => Manifest::parse(media_type, bytes.clone()),
    };
    let manifest = parse(media_type)?;
    match manifest.payload() {
        Payload::Image(image) if media_type.is_none() && image.media_type.is_none() => {
            Ok(parse(Some(&MediaType::DOCKER_MANIFEST))?)
        }
        _ => Ok(manifest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o5_the_media_type_is_what_the_caller_says_or_the_document_or_docker_schema_2() {
        let config = r#""config":{"mediaType":"a/b","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]"#;
        let image = format!(r#"{{"schemaVersion":2,{config}}}"#);
        let typed = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}",{config}}}"#,
            MediaType::OCI_IMAGE_MANIFEST
        );
        let index = r#"{"schemaVersion":2,"manifests":[]}"#.to_owned();
        let to: Reference = "r.example/a:1".parse().unwrap();
        for (said, document, expected) in [
            (None, &image, MediaType::DOCKER_MANIFEST),
            (None, &typed, MediaType::OCI_IMAGE_MANIFEST),
            (None, &index, MediaType::OCI_IMAGE_INDEX),
            (
                Some(MediaType::OCI_IMAGE_MANIFEST),
                &image,
                MediaType::OCI_IMAGE_MANIFEST,
            ),
        ] {
            let found = read(said.as_ref(), document.clone().into(), &to).unwrap();
            assert_eq!(*found.media_type(), expected, "{document}");
        }
        let said = Some(MediaType::DOCKER_MANIFEST);
        let error = read(said.as_ref(), typed.into(), &to).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}
