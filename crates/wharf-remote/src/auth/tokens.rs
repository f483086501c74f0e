//! The tokens of one host: shared by all requests, and asked for once at a time.

use std::collections::HashMap;
use std::time::Duration;

use super::challenge::Challenge;
use super::scope::ScopeSet;
use super::token_server::Token;
use crate::credentials::Secret;
use wharf_core::sync::{Keyed, Lock};
use wharf_core::{Error, Result};

/// Tokens that are kept before expired ones are thrown away.
const MANY: usize = 512;

/// How long a request waits for the token of another one: its future may not be polled.
const PATIENCE: Duration = Duration::from_secs(15);

/// What identifies a token.
pub(super) type Key = (Challenge, ScopeSet);

/// Tokens by challenge and scopes.
#[derive(Default)]
pub(super) struct Tokens {
    known: Lock<HashMap<Key, Token>>,
    /// The value is the error of the request before, which the requests get that waited for it.
    asking: Keyed<Key, Option<Error>>,
}

/// A token, and its history.
pub(super) struct Got {
    pub(super) token: Token,
    /// What it was fetched for.
    pub(super) allowed: ScopeSet,
    /// Whether it was fetched just now for this request.
    pub(super) new: bool,
}

/// Which tokens serve a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Also those that allow more.
    Wider,
    /// Only those for the same scopes.
    Exact,
}

impl Tokens {
    /// A token for `key` other than `refused`: a known one, or the one that `fetch` returns.
    ///
    /// # Errors
    /// The error of `fetch`, or of the request that fetched while this one waited.
    pub(super) async fn get(
        &self,
        key: &Key,
        refused: Option<&Secret>,
        fetch: impl Future<Output = Result<Token>>,
    ) -> Result<Got> {
        let mut held = tokio::time::timeout(PATIENCE, self.asking.hold(key.clone())).await;
        let allowed = key.1.clone();
        if let Some(token) = self.fresh(key, refused) {
            return Ok(Got {
                token,
                allowed,
                new: false,
            });
        }
        if let Ok(Some(error)) = held.as_deref() {
            return Err(error.clone());
        }
        match fetch.await {
            Ok(token) => {
                self.keep(key, &token);
                Ok(Got {
                    token,
                    allowed,
                    new: true,
                })
            }
            Err(error) => {
                self.known.lock().remove(key);
                if let Ok(held) = &mut held {
                    **held = Some(error.clone());
                    held.end_round();
                }
                Err(error)
            }
        }
    }

    /// A fresh token other than `refused` that allows at least `scopes`, if there is one: that for
    /// the same scopes, else the one that allows the least (wire.md M3).
    pub(super) fn covering(
        &self,
        challenge: &Challenge,
        scopes: &ScopeSet,
        refused: Option<&Secret>,
    ) -> Option<Got> {
        let known = self.known.lock();
        let fitting = known.iter().filter(|((known, allowed), token)| {
            known == challenge
                && allowed.covers(scopes)
                && allowed.begins_like(scopes)
                && usable(token, refused)
        });
        let narrowest =
            fitting.min_by_key(|((_, allowed), _)| (allowed != scopes, allowed.breadth()));
        narrowest.map(|((_, allowed), token)| Got {
            token: token.clone(),
            allowed: allowed.clone(),
            new: false,
        })
    }

    /// Stops using `refused`.
    pub(super) fn forget(&self, refused: &Secret) {
        let mut known = self.known.lock();
        known.retain(|_, token| token.secret != *refused);
    }

    fn fresh(&self, key: &Key, refused: Option<&Secret>) -> Option<Token> {
        let known = self.known.lock();
        known
            .get(key)
            .filter(|token| usable(token, refused))
            .cloned()
    }

    fn keep(&self, key: &Key, token: &Token) {
        let mut known = self.known.lock();
        if known.len() >= MANY {
            known.retain(|_, token| token.is_fresh());
        }
        known.insert(key.clone(), token.clone());
    }
}

fn usable(token: &Token, refused: Option<&Secret>) -> bool {
    token.is_fresh() && refused != Some(&token.secret)
}
