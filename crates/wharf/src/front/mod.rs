//! The front door: one long-lived [`Wharf`] with a verb for each operation.
//!
//! Each verb calls [`crate::copy`] or methods of a [`Store`](crate::store::Store); nothing here
//! sends requests by itself. Every verb retries as the [`RetryPolicy`](crate::copy::RetryPolicy) in
//! its [`Options`] says.
//!
//! All users of one [`Client`](crate::remote::Client) share connections, knowledge of repositories,
//! and uploads under way: two pushes that need the same blob upload it once.
//!
//! Futures are `Send`, so they can be spawned. Dropping one cancels its work: it sends nothing
//! more, and [`Client::tidy`](crate::remote::Client::tidy) waits until the registry has ended the
//! open sessions.
//!
#![doc = include_str!("../../../../docs/requests.md")]

mod attach;
mod blob;
mod copy_referrers;
mod copy_tags;
mod delete;
mod delete_tag;
mod edit;
mod everything;
mod export;
mod files;
mod finding;
mod flatten;
mod image;
mod index;
mod inspect;
mod layers;
mod list;
mod login;
mod open;
mod part;
mod plan;
mod pull;
mod push;
mod read;
mod rebase;
mod tag;
mod tree;
mod validate;
mod wharf;
mod write;

pub use self::blob::OpenedBlob;
pub use self::copy_referrers::CopiedReferrers;
pub use self::copy_tags::CopiedTag;
pub use self::delete::deletable;
pub use self::delete_tag::only_tag;
pub use self::edit::is_attestation;
pub use self::finding::{CheckDepth, Fault, Finding};
pub use self::index::{Nesting, OpenedIndex};
pub use self::inspect::{ImageFacts, Inspection, LayerFacts, ManifestFacts};
pub use self::login::{LoggedIn, THIS_LOGIN};
pub use self::part::PlatformPart;
pub use self::push::Pushed;
pub use self::read::Content;
pub use self::rebase::Bases;
pub use self::tree::{TreeNode, TreeRole};
pub use self::wharf::{Options, Wharf};
pub use self::write::{Copied, Receiver};
