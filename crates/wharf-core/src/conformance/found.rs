//! What the checks found.

use std::fmt;

/// The findings of [`check`](super::check). `Display` writes a line for each breach.
#[derive(Clone, Debug, Default)]
pub struct Found {
    kept: Vec<&'static str>,
    unsupported: Vec<&'static str>,
    breaches: Vec<(&'static str, String)>,
}

impl Found {
    pub(super) fn note(&mut self, clause: &'static str, outcome: Result<(), Stop>) {
        match outcome {
            Ok(()) => self.kept.push(clause),
            Err(Stop::Unsupported) => self.unsupported.push(clause),
            Err(Stop::Breach(why)) => self.breaches.push((clause, why)),
        }
    }

    /// The clauses that the store keeps.
    pub fn kept(&self) -> &[&'static str] {
        &self.kept
    }

    /// The clauses about something that the store does not offer.
    pub fn unsupported(&self) -> &[&'static str] {
        &self.unsupported
    }

    /// The clauses that the store breaks, and how.
    pub fn breaches(&self) -> &[(&'static str, String)] {
        &self.breaches
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (clause, why) in &self.breaches {
            writeln!(f, "{clause}: {why}")?;
        }
        let (kept, unsupported) = (self.kept.len(), self.unsupported.len());
        let breaches = self.breaches.len();
        write!(
            f,
            "{kept} clauses kept, {unsupported} unsupported, {breaches} broken"
        )
    }
}

/// Why a check ends before its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The store does not offer what the clause is about.
    Unsupported,
    /// The store breaks the clause.
    Breach(String),
}

impl From<crate::Error> for Stop {
    fn from(error: crate::Error) -> Self {
        Stop::Breach(format!("{error:?}"))
    }
}
