//! The tokens of one host: shared by all requests, asked for once however many want one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::challenge::Challenge;
use super::scope::ScopeSet;
use super::token::Token;
use crate::credentials::Secret;
use wharf_core::{Error, ErrorKind, Result};

/// Tokens that are kept before those that are over are thrown away.
const MANY: usize = 512;

/// What a token is for.
pub(super) type Key = (Challenge, ScopeSet);

/// Tokens by what they are for.
#[derive(Default)]
pub(super) struct Tokens {
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
}

/// One token, or the lack of it. Whoever holds the lock of `state` is the one who asks.
#[derive(Default)]
struct Slot {
    /// How often somebody asked to the end, with or without success.
    asked: AtomicU64,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    refusal: Option<Refusal>,
}

/// An error that all who waited for the same answer get.
struct Refusal {
    kind: ErrorKind,
    text: String,
    status: Option<u16>,
    transient: bool,
}

/// A token, and whether it was got just now, for this very request.
pub(super) struct Got {
    pub(super) token: Token,
    pub(super) new: bool,
}

impl Tokens {
    /// A token for `key` other than `refused`: one that is there, or what `fetch` brings.
    ///
    /// # Errors
    /// What `fetch` says, also where another one ran it while we waited.
    pub(super) async fn get(
        &self,
        key: &Key,
        refused: Option<&Secret>,
        fetch: impl Future<Output = Result<Token>>,
    ) -> Result<Got> {
        let slot = self.slot(key);
        let before = slot.asked.load(Ordering::Acquire);
        let mut state = slot.state.lock().await;
        let usable = |token: &&Token| token.is_fresh() && refused != Some(&token.secret);
        if let Some(token) = state.token.as_ref().filter(usable) {
            let token = token.clone();
            return Ok(Got { token, new: false });
        }
        if let Some(refusal) = &state.refusal
            && slot.asked.load(Ordering::Acquire) != before
        {
            return Err(refusal.error());
        }
        let fetched = fetch.await;
        slot.asked.fetch_add(1, Ordering::AcqRel);
        match fetched {
            Ok(token) => {
                state.refusal = None;
                state.token = Some(token.clone());
                Ok(Got { token, new: true })
            }
            Err(error) => {
                state.token = None;
                state.refusal = Some(Refusal::of(&error));
                Err(error)
            }
        }
    }

    /// A fresh token other than `refused` that allows `scopes`, or more, if there is one.
    pub(super) fn covering(
        &self,
        challenge: &Challenge,
        scopes: &ScopeSet,
        refused: Option<&Secret>,
    ) -> Option<Token> {
        let slots = self.slots();
        let fitting = slots
            .iter()
            .filter(|((known, allowed), _)| known == challenge && allowed.covers(scopes));
        let mut tokens = fitting.filter_map(|(_, slot)| slot.state.try_lock().ok()?.token.clone());
        tokens.find(|token| token.is_fresh() && refused != Some(&token.secret))
    }

    /// Shows `refused` to nobody any more.
    pub(super) fn forget(&self, refused: &Secret) {
        for slot in self.slots().values() {
            // Whoever holds the lock is about to replace it.
            if let Ok(mut state) = slot.state.try_lock() {
                state.token.take_if(|token| token.secret == *refused);
            }
        }
    }

    fn slot(&self, key: &Key) -> Arc<Slot> {
        let mut slots = self.slots();
        if slots.len() >= MANY {
            // One that is asked for at this moment is locked.
            slots.retain(|_, slot| match slot.state.try_lock() {
                Ok(state) => state.token.as_ref().is_some_and(Token::is_fresh),
                Err(_) => true,
            });
        }
        Arc::clone(slots.entry(key.clone()).or_default())
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        // No code that holds the lock can panic half-way through a change.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Refusal {
    fn of(error: &Error) -> Self {
        Refusal {
            kind: error.kind(),
            text: error.to_string(),
            status: error.status(),
            transient: error.is_transient(),
        }
    }

    fn error(&self) -> Error {
        let error = Error::new(self.kind, &self.text).transient(self.transient);
        match self.status {
            Some(status) => error.answer(status, None),
            None => error,
        }
    }
}
