//! UploadsInFlight under way to one host: concurrent pushes send a blob to a repository once (wire.md S1).

use wharf_oci::{Digest, RepositoryName};

use wharf_core::Result;
use wharf_core::store::Outcome;
use wharf_core::sync::Keyed;

/// The uploads of one host; the value says whether the blob arrived.
#[derive(Debug, Default)]
pub(crate) struct UploadsInFlight(Keyed<(RepositoryName, Digest), bool>);

impl UploadsInFlight {
    /// Runs `upload`, unless another upload of the same blob succeeds while this one waits for it.
    ///
    /// # Errors
    /// The error of `upload`. If another upload fails, the next waiting one runs its own.
    pub(crate) async fn once(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        upload: impl Future<Output = Result<Outcome>>,
    ) -> Result<Outcome> {
        let mut arrived = self.0.hold((name.clone(), digest.clone())).await;
        if *arrived {
            return Ok(Outcome::Existed);
        }
        let outcome = upload.await;
        *arrived = outcome.is_ok();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_core::{Error, ErrorKind};

    fn key() -> (RepositoryName, Digest) {
        ("app".parse().unwrap(), Digest::of(b"blob"))
    }

    #[tokio::test]
    async fn s1_one_sends_and_the_others_find_it_there() {
        let (uploads, (name, digest)) = (UploadsInFlight::default(), key());
        let send = || {
            uploads.once(&name, &digest, async {
                tokio::task::yield_now().await;
                Ok(Outcome::Written)
            })
        };
        let outcomes = tokio::join!(send(), send(), send());
        assert_eq!(outcomes.0.unwrap(), Outcome::Written);
        assert_eq!(outcomes.1.unwrap(), Outcome::Existed);
        assert_eq!(outcomes.2.unwrap(), Outcome::Existed);
    }

    #[tokio::test]
    async fn s1_when_one_fails_or_is_cancelled_the_next_sends() {
        let (uploads, (name, digest)) = (UploadsInFlight::default(), key());
        let failing = uploads.once(&name, &digest, async {
            tokio::task::yield_now().await;
            Err(Error::new(ErrorKind::Server, "500"))
        });
        let cancelled = tokio::time::timeout(
            std::time::Duration::from_millis(1),
            uploads.once(&name, &digest, std::future::pending()),
        );
        let (failed, cancelled) = tokio::join!(failing, cancelled);
        assert!(failed.is_err() && cancelled.is_err());
        let sent = uploads.once(&name, &digest, async { Ok(Outcome::Written) });
        assert_eq!(sent.await.unwrap(), Outcome::Written);
    }
}
