//! The front door: one long-lived [`Wharf`] with a verb for each operation.
//!
//! Each verb is a short word for [`crate::copy`] or for methods of a
//! [`Store`](crate::store::Store); nothing here sends anything by itself. Every verb tries its work
//! again as the one [`RetryPolicy`](crate::copy::RetryPolicy) of its [`Options`] says.
//!
//! Everything made of one [`Client`](crate::remote::Client) shares connections, knowledge of what a
//! repository has, and uploads under way: two pushes that need the same blob upload it once.
//!
//! Futures are `Send`, so they can be spawned. Dropping one cancels its work: nothing more is
//! sent, and [`Client::tidy`](crate::remote::Client::tidy) waits until the registry has ended the
//! sessions that were open.
//!
#![doc = include_str!("../../../../docs/requests.md")]

mod blob;
mod delete;
mod list;
mod login;
mod open;
mod plan;
mod pull;
mod push;
mod read;
mod tag;
mod wharf;
mod write;

pub use self::blob::OpenedBlob;
pub use self::delete::deletable;
pub use self::login::{LoggedIn, THIS_LOGIN};
pub use self::push::Pushed;
pub use self::read::Content;
pub use self::wharf::{Options, Wharf};
pub use self::write::{Copied, Receiver};
