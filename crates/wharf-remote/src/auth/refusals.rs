//! Says why a request was refused, and with which credentials.

use http::header::WWW_AUTHENTICATE;

use super::asking::Authorization;
use super::authorizer::Authorizer;
use super::challenge::{Challenge, Offers};
use super::lack::{self, Shown};
use super::scope::{Needed, ScopeSet};
use crate::credentials::Found;
use crate::transport::Response;
use wharf_core::{Error, Lack, Refusal};

impl Authorizer {
    /// The refusal of a request that needed `needed`; `None` if it was not refused.
    pub(crate) fn refusal(
        &self,
        response: &Response,
        shown: Option<&Authorization>,
        needed: &Needed,
    ) -> Option<Refusal> {
        let offers = Offers::read(response.all(WWW_AUTHENTICATE.as_str()));
        let what = shown.map_or(Shown::Nothing, |shown| shown.shown);
        let status = response.status().as_u16();
        let asked = offers.demand().is_some() || self.challenge().is_some();
        let lack = lack::judge(status, what, &offers, asked)?;
        let source = shown.and_then(|shown| shown.source.as_deref());
        let scopes = shown.map_or(needed.usual(), |shown| &shown.scopes);
        let lack = self.judged(lack);
        let mut words = match (lack, offers.schemes().as_slice()) {
            (Lack::Scheme, []) if status != 401 => "it requests no credentials".to_owned(),
            (Lack::Scheme, []) => "it does not say which credentials it wants".to_owned(),
            (Lack::Scheme, _) if offers.lacks_realm() => {
                "it wants a token, but names no token server".to_owned()
            }
            (Lack::Scheme, schemes) => {
                format!("it wants {}, which is not supported", schemes.join(", "))
            }
            _ => self.whose(source),
        };
        if matches!(what, Shown::Anonymous | Shown::Token) && !scopes.is_empty() {
            words += &format!(", for {scopes}");
        }
        if lack == Lack::Token {
            words += "; the token issued for them was refused";
        }
        Some(Refusal {
            registry: self.registry.clone(),
            lack,
            source: source.map(str::to_owned),
            entry: shown.and_then(|shown| shown.entry.clone()),
            scope: needed.usual().to_string(),
            words,
        })
    }

    /// The error of a token server, with the credentials that it refused.
    pub(super) fn refused_token(
        &self,
        error: Error,
        found: Option<&Found>,
        scopes: &ScopeSet,
    ) -> Error {
        let status = error.status().unwrap_or_default();
        let Some(lack) = lack::judge_token(status, found.is_some()) else {
            return error;
        };
        let source = found.map(|found| found.source.clone());
        error.refused(Refusal {
            registry: self.registry.clone(),
            lack: self.judged(lack),
            words: self.whose(source.as_deref()),
            source,
            entry: found.and_then(|found| found.entry.clone()),
            scope: scopes.to_string(),
        })
    }

    /// Missing credentials may be in a place that could not be read.
    fn judged(&self, lack: Lack) -> Lack {
        match lack {
            Lack::Credentials if self.logins.failure().is_some() => Lack::Source,
            lack => lack,
        }
    }

    /// Which credentials are sent, for a message.
    fn whose(&self, source: Option<&str>) -> String {
        match source {
            Some(source) => format!("tried the credentials from {source}"),
            None => self.unfit().unwrap_or_else(|| self.without_words()),
        }
    }

    /// Says, for a message, that there is a credential, but of a kind that cannot be sent.
    fn unfit(&self) -> Option<String> {
        self.challenge()
            .filter(|wanted| *wanted == Challenge::Basic)?;
        let source = self.logins.token_source()?;
        Some(format!("it requires a password, but {source} has a token"))
    }

    /// Says, for a message, that no credentials are sent, and where they were looked up.
    pub(super) fn without_words(&self) -> String {
        if let Some(failure) = self.logins.failure() {
            return failure.to_string();
        }
        let places = self.logins.places();
        match places.is_empty() {
            false => format!("no credentials in {}", places.join(", ")),
            true => "tried without credentials".to_owned(),
        }
    }
}
