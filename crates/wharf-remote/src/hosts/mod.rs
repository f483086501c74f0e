//! Registry hosts: how each is reached, and what was learned of it in this process.

mod experience;
mod heads;
mod host;
mod in_flight;
mod janitor;
mod journal;
mod kept_sessions;
mod pause;
mod refused_mounts;
mod scheme;
mod sending;
mod takes;
mod urls;

pub(crate) use self::experience::Experience;
pub(crate) use self::host::{ClientSettings, Host, Way};
pub(crate) use self::in_flight::Others;
pub(crate) use self::journal::{Journal, LIFETIME, Note, WORTHWHILE};
pub(crate) use self::kept_sessions::{Filled, KeptSession};
pub(crate) use self::takes::{Optional, says_takes};
pub(crate) use self::urls::{Urls, with_digest};
