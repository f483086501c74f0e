//! What the checks of the single clauses share.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use wharf_oci::{Descriptor, Manifest, Selector, Tag};

use super::found::Stop;
use super::stores::Stores;
use crate::store::{Names, Store};
use crate::{ErrorKind, Result};

/// What the check of a clause says.
pub(super) type Kept = Result<(), Stop>;

/// One clause of the contract.
pub(super) struct Clause {
    pub(super) name: &'static str,
    pub(super) check: for<'a> fn(&'a Trial<'a>) -> BoxFuture<'a, Kept>,
}

/// One check of one clause.
pub(super) struct Trial<'a> {
    pub(super) stores: &'a dyn Stores,
    /// It is empty when the check begins.
    pub(super) store: Arc<dyn Store>,
}

/// Ends the check with a breach unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err($crate::conformance::found::Stop::Breach(format!($($why)+)));
        }
    };
}
pub(super) use ensure;

/// The value of a method with a default, which a store need not offer.
pub(super) fn offered<T>(result: Result<T>) -> Result<T, Stop> {
    offers(&result)?;
    Ok(result?)
}

/// That a method with a default was not left at that.
pub(super) fn offers<T>(result: &Result<T>) -> Kept {
    match result {
        Err(error) if error.kind() == ErrorKind::Unsupported => Err(Stop::Unsupported),
        _ => Ok(()),
    }
}

/// That a call failed with an error of `kind`.
pub(super) fn fails<T: Debug>(what: &str, kind: ErrorKind, result: Result<T>) -> Kept {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(Stop::Breach(format!(
            "{what} gives {error:?}, expected an error of kind {kind:?}"
        ))),
        Ok(value) => Err(Stop::Breach(format!(
            "{what} gives {value:?}, expected an error of kind {kind:?}"
        ))),
    }
}

impl Trial<'_> {
    /// All bytes of a blob in the store.
    pub(super) async fn read(&self, descriptor: &Descriptor) -> Result<Bytes> {
        self.store.blob(descriptor).read_all(u64::MAX).await
    }

    /// That content is in the store, bytes and all.
    pub(super) async fn has(&self, descriptor: &Descriptor, bytes: &[u8]) -> Kept {
        let contained = self.store.contains(descriptor).await?;
        ensure!(contained, "contains says no to {}", descriptor.digest);
        let read = self.read(descriptor).await?;
        ensure!(read == bytes, "other bytes are read of {descriptor:?}");
        Ok(())
    }

    /// That content is not in the store.
    pub(super) async fn lacks(&self, descriptor: &Descriptor) -> Kept {
        let contained = self.store.contains(descriptor).await?;
        ensure!(!contained, "contains says yes to {}", descriptor.digest);
        let read = self.read(descriptor).await;
        ensure!(read.is_err(), "{} can be read", descriptor.digest);
        Ok(())
    }

    /// That each of `names` is resolved to `manifest`.
    pub(super) async fn names(&self, names: &[&str], manifest: &Manifest) -> Kept {
        for name in names {
            let found = self.store.resolve(&tagged(name)?).await?;
            let (expected, found) = (manifest.digest(), found.digest);
            ensure!(found == *expected, "tag {name} is {found}, not {expected}");
        }
        Ok(())
    }

    /// Puts a manifest under tags.
    pub(super) async fn put(&self, manifest: &Manifest, names: &[&str]) -> Kept {
        let tags = names.iter().copied().map(tag).collect::<Result<Vec<_>>>()?;
        let put = self.store.put_manifest(manifest, Names::Root(&tags)).await;
        Ok(put?)
    }
}

pub(super) fn tag(name: &str) -> Result<Tag> {
    Ok(name.parse()?)
}

pub(super) fn tagged(name: &str) -> Result<Selector> {
    Ok(Selector::Tag(tag(name)?))
}
