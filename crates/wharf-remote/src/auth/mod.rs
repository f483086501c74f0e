//! Authenticates requests to registries (wire.md A1, A2, M3).
//!
//! The first request goes out without credentials; the answer 401 states the challenge, which is
//! remembered for the host. Credentials and tokens go to the registry's own origin and to its token
//! server only.

mod asking;
mod authorizer;
mod challenge;
mod finals;
mod lack;
mod login;
mod logins;
mod realm;
mod refusals;
mod scope;
mod token_answer;
mod token_server;
mod tokens;

pub(super) use self::asking::{Asker, Authorization};
pub(super) use self::authorizer::Authorizer;
pub(super) use self::challenge::choose;
#[cfg(fuzzing)]
pub(super) use self::challenge::chosen;
pub use self::login::{Checked, Granted};
pub(super) use self::login::{authorization, check};
pub use self::scope::Access;
pub(super) use self::scope::{Needed, ScopeSet, needed};
pub use self::token_answer::Grant;
#[cfg(fuzzing)]
pub(super) use self::token_answer::judged as token;
