//! The front door: one long-lived [`Pusher`] for everything that is done to registries.
//!
//! Its calls are short words for [`crate::copy`] and the methods of a
//! [`Store`](crate::store::Store); nothing here sends anything by itself. All pushers made of one
//! [`Client`](crate::remote::Client) share connections, what is known to be in a repository, and
//! uploads under way: two pushes that need one blob upload it once.
//!
//! Futures are `Send`, so they can be spawned, and dropping one cancels its work: nothing more is
//! sent, and [`Client::tidy`](crate::remote::Client::tidy) waits until the registry has heard that
//! sessions it opened are not needed any more.
//!
#![doc = include_str!("../../../../docs/requests.md")]

mod address;
mod manifests;
mod pusher;

pub use self::pusher::{Pushed, Pusher};
