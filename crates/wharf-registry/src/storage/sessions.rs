//! Upload sessions: begin, append any number of times, then finish or cancel.

use std::time::Duration;

use tokio::time::Instant;
use wharf_core::blob::ByteStream;
use wharf_core::{Error, ErrorKind, Result};
use wharf_oci::{Algorithm, Descriptor, Digest, MediaType, RepositoryName};

use super::Storage;
use super::filling::Filling;
use crate::driver::{OpenSession, Session};

/// How long a request waits for another request to leave a session.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long it waits before it tries again.
const PAUSE: Duration = Duration::from_millis(10);

impl Storage {
    /// Opens an upload session.
    pub async fn begin(&self, repository: &RepositoryName) -> Result<Session> {
        let session = Session::fresh(repository.clone());
        self.driver.begin(&session).await?;
        Ok(session)
    }

    /// Adds bytes to a session and returns its new length in bytes.
    ///
    /// `offset` is the position of the bytes; by default the session's end. `algorithm` is used if
    /// these are the first bytes of the session. If `bytes` fails, the bytes before the error stay
    /// in the session; if it fails with [`ErrorKind::Invalid`], the session is left as it was.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such session, or not any more when the bytes are
    /// written, [`ErrorKind::Invalid`] if `offset` is not its end, [`ErrorKind::Busy`] if
    /// another request writes to it and does not end within a second; the error of `bytes`. The
    /// session is gone when there is no space for it.
    pub async fn append(
        &self,
        session: &Session,
        offset: Option<u64>,
        algorithm: Algorithm,
        bytes: ByteStream,
    ) -> Result<u64> {
        let mut filling = self.take_up(session, offset, algorithm).await?;
        let filled = filling.fill(bytes).await;
        self.keep(session, &mut filling, filled).await?;
        Ok(filling.length())
    }

    /// The number of bytes of a session; it grows while a request writes to it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such session.
    pub async fn status(&self, session: &Session) -> Result<u64> {
        let length = self.driver.length(session).await?;
        length.ok_or_else(|| missing(session))
    }

    /// The number of bytes of a session once no request writes to it. Waits at most a second for
    /// the last one, which may be about to notice that its client is gone.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such session, [`ErrorKind::Busy`] if a request still
    /// writes to it.
    pub async fn settled(&self, session: &Session) -> Result<u64> {
        Ok(self.open(session).await?.length())
    }

    /// Ends a session: its bytes become a blob of the repository, durably.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such session, [`ErrorKind::Corrupt`] if its
    /// bytes have another digest: the session is gone then.
    pub async fn finish(&self, session: &Session, digest: &Digest) -> Result<Descriptor> {
        let open = self.open(session).await?;
        let filling = Filling::open(open, digest.algorithm(), self.fills.join()).await?;
        self.commit(session, filling, digest).await
    }

    /// Adds bytes to a session as [`Storage::append`] does, and ends it.
    ///
    /// # Errors
    /// As those of both.
    pub async fn finish_with(
        &self,
        session: &Session,
        offset: Option<u64>,
        bytes: ByteStream,
        digest: &Digest,
    ) -> Result<Descriptor> {
        let mut filling = self.take_up(session, offset, digest.algorithm()).await?;
        if let Err(error) = filling.fill(bytes).await {
            self.keep(session, &mut filling, Err(error)).await?;
        }
        self.commit(session, filling, digest).await
    }

    /// Stores a blob that arrives in one request. If it fails, no session stays.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the bytes have another digest; the error of `bytes`.
    pub async fn put_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        bytes: ByteStream,
    ) -> Result<Descriptor> {
        let session = self.begin(repository).await?;
        let put = async {
            let mut filling = self.take_up(&session, None, digest.algorithm()).await?;
            filling.fill(bytes).await?;
            self.commit(&session, filling, digest).await
        };
        let put = put.await;
        if put.is_err() {
            // It may be gone already.
            let _ = self.driver.abort(&session).await;
        }
        put
    }

    /// Ends a session and drops its bytes, even while a request writes to it. That request then
    /// fails with `NotFound`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such session.
    pub async fn cancel(&self, session: &Session) -> Result<()> {
        match self.driver.abort(session).await? {
            true => Ok(()),
            false => Err(missing(session)),
        }
    }

    /// Opens a session once the request that writes to it has ended.
    async fn open(&self, session: &Session) -> Result<Box<dyn OpenSession>> {
        let begun = Instant::now();
        loop {
            match self.driver.open(session).await {
                Err(error) if error.kind() == ErrorKind::Busy && begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(PAUSE).await;
                }
                opened => return opened?.ok_or_else(|| missing(session)),
            }
        }
    }

    /// Opens a session, and checks that its end is where the request expects it.
    async fn take_up(
        &self,
        session: &Session,
        offset: Option<u64>,
        algorithm: Algorithm,
    ) -> Result<Filling> {
        let open = self.open(session).await?;
        check_offset(offset, open.length())?;
        Filling::open(open, algorithm, self.fills.join()).await
    }

    /// Leaves a session to the next request, whether or not this one succeeded.
    async fn keep(
        &self,
        session: &Session,
        filling: &mut Filling,
        filled: Result<()>,
    ) -> Result<()> {
        match filled {
            Err(error) if error.kind() == ErrorKind::NoSpace => {
                // To free its space.
                self.driver.abort(session).await?;
                Err(error)
            }
            // Bytes that are not what the request says are worth nothing.
            Err(error) if error.kind() == ErrorKind::Invalid => {
                filling.undo().await?;
                Err(error)
            }
            filled => filling.save().await.and(filled),
        }
    }

    async fn commit(
        &self,
        session: &Session,
        mut filling: Filling,
        digest: &Digest,
    ) -> Result<Descriptor> {
        let length = filling.length();
        let found = filling.digest(digest.algorithm()).await?;
        let finished = match found == *digest {
            true => filling.finish(digest).await,
            false => Err(Error::digest_mismatch(digest, &found)),
        };
        if let Err(error) = finished {
            // A client that is told to wait sends the request again.
            if error.kind() != ErrorKind::Busy {
                self.driver.abort(session).await?;
            }
            return Err(error);
        }
        self.link_blob(&session.repository, digest).await?;
        let media_type = MediaType::OCTET_STREAM;
        Ok(Descriptor::new(media_type, digest.clone(), length))
    }
}

/// Bytes must begin where the session ends (distribution-spec: "Pushing a blob in chunks").
fn check_offset(offset: Option<u64>, end: u64) -> Result<()> {
    match offset {
        Some(offset) if offset != end => Err(Error::new(
            ErrorKind::Invalid,
            format!("bytes begin at {offset}, the session ends at {end}"),
        )),
        _ => Ok(()),
    }
}

fn missing(session: &Session) -> Error {
    Error::new(ErrorKind::NotFound, "no such upload session").target(&session.id)
}
