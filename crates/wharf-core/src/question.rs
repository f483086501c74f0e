//! What is asked when work fails, and an error does not say why.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::Error;

/// What asks.
pub type Ask = dyn Fn() -> BoxFuture<'static, Option<Error>> + Send + Sync;

/// How more can be learned of what went wrong: a HEAD has no body to say it. What is asked answers
/// with the same error in the registry's words, if it has any.
#[derive(Clone)]
pub struct Question(pub Arc<Ask>);

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Question")
    }
}
