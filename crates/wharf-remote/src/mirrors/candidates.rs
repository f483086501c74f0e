//! The hosts to try for the content of one repository, in order.

use std::sync::Arc;

use wharf_oci::Repository;

use super::hosts_file::Need;
use super::mirror::{Mirror, Mirrors};
use crate::repository::RawRepository;
use crate::retrying::Raw;
use wharf_core::{Error, ErrorKind, Result};

/// The mirrors of a registry, and the registry itself, for one repository.
#[derive(Clone, Debug)]
pub(super) struct Candidates {
    /// Tried last: the registry, or the host that the file names instead.
    last: RawRepository,
    mirrors: Arc<Mirrors>,
}

impl Candidates {
    pub(super) fn new(own: RawRepository, mirrors: Arc<Mirrors>) -> Self {
        let last = match &mirrors.last {
            Some(last) => RawRepository::new(last.api(own.repository())),
            None => own,
        };
        Candidates { last, mirrors }
    }

    /// Registry and name.
    pub(super) fn repository(&self) -> &Repository {
        self.last.repository()
    }

    /// The only candidate, if there are no mirrors.
    pub(super) fn only(&self) -> Option<&RawRepository> {
        self.mirrors.first.is_empty().then_some(&self.last)
    }

    /// The mirrors that may be used now, from index `from` on.
    pub(super) fn mirrors(
        &self,
        need: Need,
        from: usize,
    ) -> impl Iterator<Item = (usize, &Arc<Mirror>)> {
        let mirrors = self.mirrors.first.iter().enumerate().skip(from);
        mirrors.filter(move |(_, mirror)| mirror.allows(need) && mirror.is_open())
    }

    /// The last candidate to try.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the file does not allow that.
    pub(super) fn last(&self, need: Need) -> Result<&RawRepository> {
        match &self.mirrors.last {
            Some(last) if !last.allows(need) => Err(untrusted_with(need).target(self.repository())),
            _ => Ok(&self.last),
        }
    }
}

/// The errors of the mirrors that were asked for something, by index.
#[derive(Debug, Default)]
pub(super) struct MirrorErrors(Vec<(usize, Error)>);

impl MirrorErrors {
    pub(super) fn add(&mut self, index: usize, error: Error) {
        self.0.push((index, error));
    }

    /// The result of the last candidate. Its error also says what happened at each mirror, in this
    /// request or before.
    ///
    /// # Errors
    /// That error.
    pub(super) fn with<T>(self, candidates: &Candidates, need: Need, last: Result<T>) -> Result<T> {
        let error = match last {
            Err(error) => error,
            given => return given,
        };
        let mirrors = candidates.mirrors.first.iter().enumerate();
        let others = mirrors.filter(|(_, mirror)| mirror.allows(need));
        let others: Vec<String> = others
            .map(|(index, mirror)| {
                let mut errors = self.0.iter().rev();
                let own = errors.find(|(known, _)| *known == index);
                let why = own.map(|(_, error)| error.to_string());
                let why = why.unwrap_or_else(|| mirror.why_skipped());
                format!("mirror {}: {why}", mirror.name())
            })
            .collect();
        if others.is_empty() {
            return Err(error);
        }
        // The host that the file names is not the registry that the error names.
        let error = match &candidates.mirrors.last {
            Some(last) => error.target(last.name()),
            None => error,
        };
        Err(error.others(others))
    }
}

fn untrusted_with(need: Need) -> Error {
    let what = match need {
        Need::Pull => "pull",
        Need::Resolve => "resolve",
        Need::Referrers => "referrers",
    };
    let message = format!("no usable host in hosts.toml has the capability \"{what}\"");
    Error::new(ErrorKind::Unsupported, message)
}
