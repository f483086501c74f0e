//! A tar under construction, with members of known digest.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use tokio::sync::{Mutex, oneshot};
use wharf_oci::{Algorithm, Descriptor, Digest, MediaType};

use super::head;
use super::output::{Output, folder};
use super::placed::{Place, Placed};
use super::streamed::{Streamed, Turn};
use crate::blob::Blob;
use crate::file::CHUNK;
use crate::intake::Intake;
use crate::spool::{self, Spooled};
use crate::store::Outcome;
use crate::store::files::Region;
use crate::store::parts::{self, Filled};
use crate::sync::Lock;
use crate::verify::{self, Seen, blocking};
use crate::{Error, ErrorKind, Result};

/// A tar under construction.
#[derive(Debug)]
pub(super) struct Tarball {
    target: Target,
    spool_dir: PathBuf,
    members: Lock<HashMap<Digest, Arc<Mutex<Member>>>>,
    /// The content that is there: where it can be read, and its size.
    whole: Lock<HashMap<Digest, Whole>>,
}

#[derive(Debug)]
enum Target {
    Placed(Arc<Placed>),
    Streamed(Streamed),
}

#[derive(Clone, Debug)]
struct Whole {
    size: u64,
    /// `None` in a stream.
    region: Option<Region>,
}

/// A member that is not whole yet.
#[derive(Debug, Default)]
enum Member {
    #[default]
    Nothing,
    Begun(Begun),
}

/// Content that broke off; the next try continues it.
#[derive(Debug)]
struct Begun {
    spot: Spot,
    seen: Seen,
    size: u64,
}

#[derive(Debug)]
enum Spot {
    Place(Arc<Place>),
    Turn(Turn),
}

impl Tarball {
    pub(super) async fn create(output: Output, spool_dir: &Path) -> Result<Self> {
        let spool_dir = spool_dir.to_owned();
        blocking(move || {
            let (target, spool_dir) = match (output.replaced(), output) {
                (Some(path), _) => {
                    let folder = folder(&path).to_owned();
                    (Target::Placed(Arc::new(Placed::create(path)?)), folder)
                }
                (None, Output::Path(path)) => (Target::Streamed(Streamed::open(&path)?), spool_dir),
                (None, Output::Writer(out, name)) => {
                    (Target::Streamed(Streamed::new(out, &name)), spool_dir)
                }
            };
            Ok(Tarball {
                target,
                spool_dir,
                members: Lock::default(),
                whole: Lock::default(),
            })
        })
        .await?
    }

    /// Its name in messages.
    pub(super) fn name(&self) -> String {
        match &self.target {
            Target::Placed(placed) => placed.path().display().to_string(),
            Target::Streamed(streamed) => streamed.name().to_owned(),
        }
    }

    /// Whether this content is there, of this size.
    pub(super) fn contains(&self, descriptor: &Descriptor) -> bool {
        let whole = self.whole.lock();
        let whole = whole.get(&descriptor.digest);
        whole.is_some_and(|whole| whole.size == descriptor.size)
    }

    /// The size of content that is there.
    pub(super) fn size(&self, digest: &Digest) -> Option<u64> {
        self.whole.lock().get(digest).map(|whole| whole.size)
    }

    /// Where content is that is there.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Unsupported`] in a stream.
    pub(super) fn region(&self, digest: &Digest) -> Result<Region> {
        let absent = || Error::new(ErrorKind::NotFound, "not in this archive");
        let gone = || Error::new(ErrorKind::Unsupported, "was written to a stream");
        let whole = self.whole.lock().get(digest).cloned();
        let region = whole
            .ok_or_else(absent)
            .and_then(|whole| whole.region.ok_or_else(gone));
        region.map_err(|error| error.target(digest).target(self.name()))
    }

    /// Content as a blob, which fails to open where it is not there or cannot be read.
    pub(super) fn blob(&self, descriptor: &Descriptor) -> Blob {
        match self.region(&descriptor.digest) {
            Ok(region) => region.blob(descriptor.clone()),
            Err(error) => Blob::new(descriptor.clone(), move |_| {
                let error = error.clone();
                async move { Err(error) }.boxed()
            }),
        }
    }

    /// Writes a blob as the member `name`, checked as it flows. A try that broke off is continued.
    ///
    /// # Errors
    /// As [`Blob::read`]; the system's error about the output.
    pub(super) async fn put(&self, name: &str, blob: &Blob) -> Result<Outcome> {
        let Descriptor { digest, size, .. } = blob.descriptor();
        let member = Arc::clone(self.members.lock().entry(digest.clone()).or_default());
        let mut member = member.lock().await;
        if self.contains(blob.descriptor()) {
            return Ok(Outcome::Existed);
        }
        let mut begun = match std::mem::take(&mut *member) {
            Member::Begun(begun) if begun.size == *size => begun,
            _ => self.begin(name, *size).await?,
        };
        if let Err(error) = self.fill(&mut begun, blob).await {
            *member = begun.after(&error);
            return Err(error);
        }
        let region = self.end(begun.spot).await?;
        let whole = Whole {
            size: *size,
            region,
        };
        self.whole.lock().insert(digest.clone(), whole);
        Ok(Outcome::Written)
    }

    /// Writes content under another name than its own. It can be read any number of times.
    pub(super) async fn copy(&self, name: &str, blob: &Blob) -> Result<()> {
        let mut begun = self.begin(name, blob.descriptor().size).await?;
        self.fill(&mut begun, blob).await?;
        self.end(begun.spot).await.map(drop)
    }

    /// Where layers are kept that are made or unpacked before they are written.
    pub(super) fn spool_dir(&self) -> &Path {
        &self.spool_dir
    }

    /// Writes a small file that has no digest.
    pub(super) async fn document(&self, name: &str, bytes: Bytes) -> Result<()> {
        let mut begun = self.begin(name, bytes.len() as u64).await?;
        self.write(&mut begun.spot, 0, vec![bytes]).await?;
        self.end(begun.spot).await.map(drop)
    }

    /// Keeps content of unknown digest and size in a temporary file, to be [put](Tarball::put) with
    /// the name that it then has.
    ///
    /// # Errors
    /// The intake's, or those of the temporary file.
    pub(super) async fn keep(
        &self,
        media_type: &MediaType,
        intake: Arc<dyn Intake>,
    ) -> Result<Blob> {
        let (sender, receiver) = oneshot::channel();
        let stream = verify::learn(intake.open(0).await?, Algorithm::Sha256, sender);
        let Spooled { file, .. } = spool::stream(stream, &self.spool_dir).await?;
        let unread = |_| Error::new(ErrorKind::Cancelled, "content was not read to its end");
        let (digest, length) = receiver.await.map_err(unread)?;
        let region = Region {
            file: Arc::new(file),
            name: "temporary file".to_owned(),
            start: 0,
            length,
        };
        let descriptor = Descriptor::new(media_type.clone(), digest, length);
        Ok(region.blob(descriptor))
    }

    /// Ends the tar, and gives a file its name.
    pub(super) async fn finish(&self) -> Result<()> {
        match &self.target {
            Target::Placed(placed) => {
                let placed = Arc::clone(placed);
                blocking(move || placed.finish()).await?
            }
            Target::Streamed(streamed) => streamed.finish().await,
        }
    }

    async fn begin(&self, name: &str, size: u64) -> Result<Begun> {
        let head = head::of_file(name, size)?;
        let spot = match &self.target {
            Target::Placed(placed) => Spot::Place(Arc::new(placed.begin(head, size)?)),
            Target::Streamed(streamed) => Spot::Turn(streamed.begin(head, size).await?),
        };
        let seen = Seen::default();
        Ok(Begun { spot, seen, size })
    }

    /// Writes the rest of the blob. The source is opened only now: nothing is held open while a
    /// member waits for its turn.
    async fn fill(&self, begun: &mut Begun, blob: &Blob) -> Result<()> {
        if let (Target::Placed(placed), Spot::Place(place)) = (&self.target, &begun.spot) {
            let spot = placed.spot(place);
            if parts::fill(blob, &spot, &begun.seen, parts::USUAL).await? == Filled::Yes {
                return Ok(());
            }
        }
        let mut at = begun.seen.bytes();
        let mut stream = blob.read_on(&begun.seen).await?;
        loop {
            let (mut chunks, mut length) = (Vec::new(), 0);
            let ended = loop {
                match stream.next().await {
                    Some(Ok(chunk)) => {
                        length += chunk.len();
                        chunks.push(chunk);
                        if length >= CHUNK {
                            break None;
                        }
                    }
                    Some(Err(error)) => break Some(Err(error)),
                    None => break Some(Ok(())),
                }
            };
            if length > 0 {
                self.write(&mut begun.spot, at, chunks).await?;
                at += length as u64;
            }
            if let Some(ended) = ended {
                return ended;
            }
        }
    }

    async fn write(&self, spot: &mut Spot, at: u64, chunks: Vec<Bytes>) -> Result<()> {
        match (&self.target, spot) {
            (Target::Placed(placed), Spot::Place(place)) => {
                let (placed, place) = (Arc::clone(placed), Arc::clone(place));
                blocking(move || placed.write(&place, at, &chunks)).await?
            }
            (Target::Streamed(streamed), Spot::Turn(turn)) => streamed.write(turn, chunks).await,
            _ => Err(misplaced()),
        }
    }

    async fn end(&self, spot: Spot) -> Result<Option<Region>> {
        match (&self.target, spot) {
            (Target::Placed(placed), Spot::Place(place)) => {
                let placed = Arc::clone(placed);
                blocking(move || placed.end(&place)).await?.map(Some)
            }
            (Target::Streamed(streamed), Spot::Turn(turn)) => {
                streamed.end(turn).await.map(|()| None)
            }
            _ => Err(misplaced()),
        }
    }
}

impl Begun {
    /// What is left for the next try.
    fn after(self, error: &Error) -> Member {
        match self.spot {
            // What was wrong is written over.
            Spot::Place(_) if error.kind() == ErrorKind::Corrupt => Member::Begun(Begun {
                seen: Seen::default(),
                ..self
            }),
            // Without a next try it would keep its turn for ever.
            Spot::Turn(_) if !error.is_transient() => Member::Nothing,
            _ => Member::Begun(self),
        }
    }
}

/// A spot is of the target that it is used with, because that made it.
fn misplaced() -> Error {
    Error::new(ErrorKind::Invalid, "a place in another archive")
}
