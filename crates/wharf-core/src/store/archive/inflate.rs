//! Compares compressed layers of a docker archive with the diff ids that its configs state.
//!
//! Each layer is decompressed once, off the reactor and beside its sending, and nothing is kept of it.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;
use wharf_oci::{Algorithm, Digest, Hasher};

use super::unpack;
use crate::file::{CHUNK, read_exactly_at};
use crate::sniff::Packing;
use crate::store::files::Region;
use crate::sync::Lock;
use crate::tar_entries::Whole;
use crate::verify::blocking;
use crate::{Error, ErrorKind, Result};

/// The most layers that are decompressed at a time: bounds memory on large machines.
const MOST_AT_ONCE: usize = 4;

/// What configs say of the compressed layers of an archive.
#[derive(Debug)]
pub(super) struct Promises {
    layers: Lock<HashMap<Digest, Promised>>,
    places: Semaphore,
}

/// A compressed layer with the diff ids that configs state for it.
#[derive(Clone, Debug)]
struct Promised {
    region: Region,
    packing: Packing,
    diff_ids: Vec<Digest>,
    /// The diff id of its content, once it was decompressed.
    found: Option<Digest>,
}

impl Promises {
    /// None yet.
    pub(super) fn new() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Promises {
            layers: Lock::default(),
            places: Semaphore::new(threads.min(MOST_AT_ONCE)),
        }
    }

    /// Notes that the layer `digest` in `region` must have `diff_id`.
    pub(super) fn add(&self, digest: &Digest, region: &Region, packing: Packing, diff_id: &Digest) {
        let mut layers = self.layers.lock();
        let promised = layers.entry(digest.clone()).or_insert_with(|| Promised {
            region: region.clone(),
            packing,
            diff_ids: Vec::new(),
            found: None,
        });
        if !promised.diff_ids.contains(diff_id) {
            promised.diff_ids.push(diff_id.clone());
        }
    }

    /// Decompresses the layer `digest`, unless that was done, and compares. Content that is no
    /// compressed layer has nothing to compare.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the layer cannot be decompressed or has another diff id;
    /// [`ErrorKind::Refused`] if it expands out of proportion.
    pub(super) async fn keep(&self, digest: &Digest) -> Result<()> {
        let Some(promised) = self.layers.lock().get(digest).cloned() else {
            return Ok(());
        };
        let found = match &promised.found {
            Some(found) => found.clone(),
            None => self.inflate(digest, &promised).await?,
        };
        match promised.diff_ids.iter().find(|diff_id| **diff_id != found) {
            None => Ok(()),
            Some(stated) => {
                let said = format!(
                    "layer has the diff id {found} when it is decompressed, but the config of its image states {stated}"
                );
                Err(Error::new(ErrorKind::Corrupt, said).target(&promised.region.name))
            }
        }
    }

    async fn inflate(&self, digest: &Digest, promised: &Promised) -> Result<Digest> {
        let closed = |_| Error::new(ErrorKind::Cancelled, "the work was cancelled");
        let _place = self.places.acquire().await.map_err(closed)?;
        let stop = Stop::default();
        let (region, packing) = (promised.region.clone(), promised.packing);
        let bytes = Bytes::of(&region, &stop);
        let name = region.name.clone();
        let found = blocking(move || diff_id(Box::new(bytes), packing)).await?;
        let found = found.map_err(|error| Error::io(name, error))?;
        if let Some(promised) = self.layers.lock().get_mut(digest) {
            promised.found = Some(found.clone());
        }
        Ok(found)
    }
}

/// The digest of what `bytes` decompress to, if that is not a tar that ends too early. Blocking.
fn diff_id(bytes: Box<dyn Read + Send>, packing: Packing) -> io::Result<Digest> {
    let mut content = unpack::layer(bytes, packing)?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut whole = Whole::default();
    let mut buffer = vec![0; CHUNK / 4];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => {
                whole.end().map_err(io::Error::other)?;
                return Ok(hasher.finish());
            }
            Ok(read) => {
                let part = buffer.get(..read).unwrap_or_default();
                hasher.update(part);
                whole.add(part);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Ends the reading of a layer when it is dropped, so that given-up work occupies no thread.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The bytes of a region, read where they lie.
struct Bytes {
    region: Region,
    position: u64,
    stopped: Arc<AtomicBool>,
}

impl Bytes {
    fn of(region: &Region, stop: &Stop) -> Self {
        Bytes {
            region: region.clone(),
            position: 0,
            stopped: Arc::clone(&stop.0),
        }
    }
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stopped.load(Ordering::Relaxed) {
            let cancelled = Error::new(ErrorKind::Cancelled, "decompressing was cancelled");
            return Err(io::Error::other(cancelled));
        }
        let left = usize::try_from(self.region.length - self.position).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        let start = self.region.start + self.position;
        let read = read_exactly_at(&self.region.file, start, length)?;
        let (part, _) = buffer.split_at_mut(length);
        part.copy_from_slice(&read);
        self.position += length as u64;
        Ok(length)
    }
}
