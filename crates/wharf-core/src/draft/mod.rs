//! Images and indexes without a digest yet, because some of their layers are still to be made.
//!
//! A draft becomes a manifest when every pending layer has been ingested, and never before.

mod fields;
mod image;
mod index;

pub use self::fields::ManifestFields;
pub use self::image::{Draft, DraftConfig, DraftLayer, FinishedDraft, LaterConfig, RecalledLayer};
pub use self::index::{FinishedIndex, IndexChild, IndexDraft};
