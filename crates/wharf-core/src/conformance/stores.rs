//! Makes the stores under test.

use std::sync::Arc;

use async_trait::async_trait;

use crate::store::Store;

/// Makes the stores that are checked. A factory that cannot make one panics, as a test does.
#[async_trait]
pub trait Stores: Send + Sync {
    /// A new store that has nothing. No two of them share content.
    async fn empty(&self) -> Arc<dyn Store>;

    /// The content of `store` as a later process opens it; `None` where content ends with its
    /// process. Everything in `store` was flushed.
    async fn reopened(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        let _ = store;
        None
    }
}
