//! The methods by which the client builds errors, hidden from the documentation.

use std::sync::Arc;

use futures::future::BoxFuture;
use wharf_oci::Digest;

use super::detail::{Asked, Detail, Distrust, Guard, Refusal, Unreached};
use super::error::{Error, Parts, Question};
use super::kind::ErrorKind;

#[doc(hidden)]
impl Error {
    /// Attaches what the registry refused.
    #[must_use]
    pub fn refused(mut self, refusal: Refusal) -> Self {
        self.parts().detail = Some(Detail::Refusal(refusal));
        self
    }

    /// An error of [`ErrorKind::Refused`], by this guard.
    pub fn guarded(guard: Guard, message: impl Into<String>) -> Self {
        let mut error = Error::new(ErrorKind::Refused, message);
        error.parts().detail = Some(Detail::Guard(guard));
        error
    }

    /// Attaches what is wrong with the TLS of the other end.
    #[must_use]
    pub fn distrusted(mut self, distrust: Option<Distrust>) -> Self {
        self.parts().detail = distrust.map(Detail::Distrust);
        self
    }

    /// Attaches the content that the registry does not know, although it took it or says that it has
    /// it; empty if the registry does not say which.
    #[must_use]
    pub fn lost(mut self, content: Vec<Digest>) -> Self {
        self.parts().detail = Some(Detail::Lost(content));
        self
    }

    /// Records that no manifest has a tag or digest. The line then needs no endpoint, and no code
    /// of the registry that says the same.
    #[must_use]
    pub fn absent(mut self) -> Self {
        self.parts().detail = Some(Detail::Absent);
        self
    }

    /// Records that the reader of what was being written is gone.
    #[must_use]
    pub fn unread(mut self) -> Self {
        self.parts().detail = Some(Detail::Unread);
        self
    }

    /// Attaches why the host was not reached.
    #[must_use]
    pub fn not_reached(mut self, why: Option<Unreached>) -> Self {
        if let Some(why) = why {
            self.parts().detail = Some(Detail::Unreached(why));
        }
        self
    }

    /// Attaches what was requested.
    #[must_use]
    pub fn asked_for(mut self, asked: Option<Asked>) -> Self {
        self.parts().asked = asked;
        self
    }

    /// Records that content was being transferred.
    #[must_use]
    pub fn moving(mut self) -> Self {
        self.parts().moving = true;
        self
    }

    /// Records that nothing stays for the next run of what was being transferred.
    #[must_use]
    pub fn in_vain(mut self) -> Self {
        self.parts().moving = false;
        self
    }

    /// Records that the request that failed is not needed: the next try goes without it.
    #[must_use]
    pub fn moot(mut self) -> Self {
        self.parts().moot = true;
        self
    }

    /// Adds the other end's own text.
    #[must_use]
    pub fn words(mut self, words: String) -> Self {
        let parts = self.parts();
        parts.message = format!("{}: {words}", parts.message);
        self
    }

    /// Records that the answer was a web page with this title.
    #[must_use]
    pub fn page(mut self, title: String) -> Self {
        self.parts().page = Some(title);
        self
    }

    /// Adds what happened at other sources of the same content, each with its name.
    #[must_use]
    pub fn others(mut self, others: Vec<String>) -> Self {
        self.parts().others.extend(others);
        self
    }

    /// Attaches how to learn more, if the work fails because of this error; see
    /// [`Error::explained`].
    #[must_use]
    pub fn question<F>(mut self, ask: F) -> Self
    where
        F: Fn() -> BoxFuture<'static, Option<Error>> + Send + Sync + 'static,
    {
        self.parts().question = Some(Question(Arc::new(ask)));
        self
    }

    /// The same error, with nothing more to learn.
    #[must_use]
    pub fn unquestioned(mut self) -> Self {
        self.parts().question = None;
        self
    }

    /// The same error with the text of `said`, the registry's answer about the same thing.
    #[must_use]
    pub fn said(mut self, said: Error) -> Self {
        let Parts {
            message,
            diagnostic,
            page,
            ..
        } = Arc::unwrap_or_clone(said.0);
        let parts = self.parts();
        // The status is part of the message already.
        if message.starts_with(&parts.message) {
            parts.message = message;
        }
        parts.diagnostic = diagnostic;
        parts.page = page;
        self
    }

    /// The same error with the registry's text about it, fetched if it is missing; or the finding
    /// that the failed request is not needed ([`Error::is_moot`]).
    pub async fn explained(mut self) -> Self {
        let Some(Question(ask)) = self.parts().question.take() else {
            return self;
        };
        match ask().await {
            Some(said) if said.is_moot() => self.moot(),
            Some(said) if said.status() == self.status() => self.said(said),
            _ => self,
        }
    }
}
