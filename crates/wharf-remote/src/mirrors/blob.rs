//! Reads one blob from several hosts: if a mirror breaks off, the next one continues.
//!
//! Bytes of mirrors are checked here too, to find out which mirror serves wrong bytes. The next try
//! uses others.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use wharf_oci::Descriptor;

use super::candidates::{Candidates, MirrorErrors};
use super::hosts_file::Need;
use super::mirror::Mirror;
use crate::endpoints::blobs;
use wharf_core::blob::ByteStream;
use wharf_core::store::Source;
use wharf_core::sync::Lock;
use wharf_core::{Error, ErrorKind, Result, verify};

/// Opens a blob at `offset`.
///
/// # Errors
/// The error of the host that is tried last.
pub(super) async fn open(
    candidates: Candidates,
    descriptor: Descriptor,
    offset: u64,
) -> Result<ByteStream> {
    let givers = Givers::default();
    let name = Arc::from(candidates.repository().to_string());
    let mut passage = Passage {
        candidates,
        descriptor: descriptor.clone(),
        at: offset,
        next: 0,
        giver: None,
        errors: MirrorErrors::default(),
        stream: stream::empty().boxed(),
        givers: givers.clone(),
    };
    passage.turn().await?;
    let bytes = stream::try_unfold(passage, |mut passage| async move {
        Ok(passage.step().await?.map(|chunk| (chunk, passage)))
    });
    let bytes = bytes.boxed();
    if offset > 0 {
        // The bytes before the offset are unknown here, so the reader checks the digest.
        return Ok(bytes);
    }
    let checked = verify::blaming(&name, bytes, |bytes| verify::checked(bytes, &descriptor));
    Ok(checked.map_err(move |error| givers.blame(error)).boxed())
}

/// The mirrors that gave some of the bytes.
#[derive(Clone, Debug, Default)]
struct Givers(Arc<Lock<Vec<Arc<Mirror>>>>);

impl Givers {
    fn add(&self, mirror: &Arc<Mirror>) {
        self.0.lock().push(Arc::clone(mirror));
    }

    /// Stops using the mirrors that gave some of the wrong bytes. The error is transient, because
    /// other hosts may have the right ones.
    fn blame(&self, error: Error) -> Error {
        let givers = self.0.lock();
        if error.kind() != ErrorKind::Corrupt || givers.is_empty() {
            return error;
        }
        for mirror in givers.iter() {
            mirror.lied(&error);
        }
        error.transient(true)
    }
}

struct Passage {
    candidates: Candidates,
    descriptor: Descriptor,
    /// The position of the next chunk in the blob.
    at: u64,
    /// The index of the mirror to try next.
    next: usize,
    /// The mirror that gives the bytes; `None`: the registry.
    giver: Option<Arc<Mirror>>,
    /// The errors of the mirrors before.
    errors: MirrorErrors,
    stream: ByteStream,
    givers: Givers,
}

impl Passage {
    async fn step(&mut self) -> Result<Option<bytes::Bytes>> {
        loop {
            let error = match self.stream.next().await {
                Some(Ok(chunk)) => {
                    self.at = self.at.saturating_add(chunk.len() as u64);
                    return Ok(Some(chunk));
                }
                None if self.at >= self.descriptor.size => return Ok(None),
                None => Error::new(ErrorKind::Corrupt, "content ends before its size")
                    .target(&self.descriptor.digest)
                    .target(self.candidates.repository()),
                Some(Err(error)) => error,
            };
            match self.giver.take() {
                Some(mirror) => {
                    mirror.failed(&error);
                    self.errors.add(self.next.saturating_sub(1), error);
                }
                None => return self.ended(Err(error)),
            }
            self.turn().await?;
        }
    }

    /// Continues at the next host that has the blob.
    async fn turn(&mut self) -> Result<()> {
        let mirrors = self.candidates.mirrors(Need::Pull, self.next);
        for (number, mirror) in mirrors {
            let blob = blobs::open(&mirror.api(self.candidates.repository()), &self.descriptor);
            match blob.open(self.at).await {
                Ok(stream) => {
                    mirror.served();
                    self.givers.add(mirror);
                    self.giver = Some(Arc::clone(mirror));
                    self.stream = stream;
                    self.next = number + 1;
                    return Ok(());
                }
                Err(error) => {
                    mirror.failed(&error);
                    self.errors.add(number, error);
                }
            }
        }
        self.next = usize::MAX;
        let last = async {
            let last = self.candidates.last(Need::Pull)?;
            last.blob(&self.descriptor).open(self.at).await
        };
        let last = last.await;
        self.stream = self.ended(last)?;
        Ok(())
    }

    /// The result of the last host, with the errors of the mirrors.
    fn ended<T>(&mut self, last: Result<T>) -> Result<T> {
        let errors = match last.is_err() {
            true => std::mem::take(&mut self.errors),
            false => return last,
        };
        errors.with(&self.candidates, Need::Pull, last)
    }
}
