//! Reads a whole layer to check it.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::stored_layer::StoredLayer;
use crate::rootfs::{parts, shown};
use crate::stream_reader::{StreamReader, read_by};
use crate::tar_entries::Entries;
use crate::{ErrorKind, Result};

/// The most paths of a layer that are compared with each other. Later paths are compared with
/// these, so that no layer takes more memory than some 40 MB.
const MOST_PATHS: usize = 1 << 20;

/// What is wrong with a layer that has the right bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerFault {
    /// A path is there more than once, which some container runtimes refuse.
    PathTwice(String),
}

impl StoredLayer {
    /// Reads the whole layer: compares the stored bytes with size and digest, the uncompressed ones
    /// with the diff id, reads them as a tar, and looks for paths that are there twice.
    ///
    /// # Errors
    /// As [`StoredLayer::uncompressed`]; [`ErrorKind::Corrupt`] if it is not a tar;
    /// [`ErrorKind::Invalid`] for a name that leaves the root. If the stored
    /// bytes are wrong, the error is about them, and not about what they unpack to.
    pub async fn check(&self) -> Result<Option<LayerFault>> {
        let read = async { read_by(self.uncompressed().await?, look).await };
        let error = match read.await {
            Ok(fault) => return Ok(fault),
            Err(error) => error,
        };
        if matches!(
            error.kind(),
            ErrorKind::Corrupt | ErrorKind::Invalid | ErrorKind::Io
        ) {
            // Damaged bytes cannot be unpacked: their digest is the better reason.
            self.check_stored().await?;
        }
        Err(error.target(format_args!("layer {}", self.descriptor().digest)))
    }

    /// Reads the stored bytes, and compares them with size and digest.
    ///
    /// # Errors
    /// As [`StoredLayer::compressed`].
    pub async fn check_stored(&self) -> Result<()> {
        use futures::{TryStreamExt, future};

        let stored = self.compressed().await?;
        stored.try_for_each(|_| future::ready(Ok(()))).await
    }
}

/// Reads a tar to its end. Blocking.
fn look(mut reader: StreamReader) -> Result<Option<LayerFault>> {
    let mut paths = Paths::new();
    let mut twice = None;
    let mut entries = Entries::new(&mut reader);
    while let Some(entry) = entries.next()? {
        let path = parts(&entry.name)?;
        if twice.is_none() && !paths.is_new(&path) {
            let path = format!("/{}", shown(&path.join(&b'/')));
            twice = Some(LayerFault::PathTwice(path));
        }
    }
    entries.finish()?;
    Ok(twice)
}

/// Paths that were seen, as fingerprints: paths may be long. Keys that differ from run to run keep
/// a layer from being made so that fingerprints of different paths are equal.
struct Paths {
    seen: HashSet<(u64, u64)>,
    keys: [RandomState; 2],
}

impl Paths {
    fn new() -> Self {
        Paths {
            seen: HashSet::new(),
            keys: [RandomState::new(), RandomState::new()],
        }
    }

    fn is_new(&mut self, path: &[&[u8]]) -> bool {
        let [one, other] = &self.keys;
        let print = (one.hash_one(path), other.hash_one(path));
        match self.seen.len() < MOST_PATHS {
            true => self.seen.insert(print),
            false => !self.seen.contains(&print),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use wharf_oci::{Descriptor, Digest, MediaType};

    use super::*;
    use crate::blob::Blob;
    use crate::copy::RetryPolicy;

    fn tar(names: &[&str]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for name in names {
            let mut header = tar::Header::new_ustar();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(0);
            header.set_cksum();
            tar.append(&header, &[][..]).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn layer(bytes: &[u8], stated: &[u8], diff_id: Digest) -> StoredLayer {
        let (digest, size) = (Digest::of(stated), stated.len() as u64);
        let descriptor = Descriptor::new(MediaType::OCI_LAYER, digest, size);
        let blob = Blob::from_bytes(descriptor, Bytes::copy_from_slice(bytes));
        StoredLayer::new(&blob, Some(diff_id), RetryPolicy::default())
    }

    #[tokio::test]
    async fn a_path_is_there_once_however_it_is_written() {
        for (names, twice) in [
            (&["a", "b/", "b/a"][..], None),
            (&["a", "b", "./a"], Some("/a")),
            (&["b/", "b"], Some("/b")),
            (&["b//c", "b/c"], Some("/b/c")),
            (&[], None),
        ] {
            let bytes = tar(names);
            let found = layer(&bytes, &bytes, Digest::of(&bytes)).check().await;
            let twice = twice.map(|path: &str| LayerFault::PathTwice(path.to_owned()));
            assert_eq!(found.unwrap(), twice, "{names:?}");
        }
    }

    #[tokio::test]
    async fn wrong_bytes_are_the_reason_before_what_they_unpack_to() {
        let good = tar(&["a"]);
        let mut bad = good.clone();
        bad[700] ^= 1;
        bad[0] ^= 1;
        let error = layer(&bad, &good, Digest::of(&good))
            .check()
            .await
            .unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains(&format!("expected {}", Digest::of(&good))),
            "{said}"
        );
        let error = layer(&good, &good, Digest::of(b"other")).check().await;
        let said = error.unwrap_err().to_string();
        assert!(
            said.contains(&format!("expected {}", Digest::of(b"other"))),
            "{said}"
        );
        let noise = vec![7; 1000];
        let error = layer(&noise, &noise, Digest::of(&noise)).check().await;
        assert!(error.unwrap_err().to_string().contains("layer sha256:"));
    }
}
