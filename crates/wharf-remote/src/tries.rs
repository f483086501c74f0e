//! How often the single requests of a handle are tried.

use wharf_core::Result;
use wharf_core::copy::RetryPolicy;

/// As often as a policy allows, or once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tries(Option<RetryPolicy>);

impl Tries {
    pub(crate) const SINGLE: Tries = Tries(None);

    pub(crate) fn by(policy: RetryPolicy) -> Self {
        Tries(Some(policy))
    }

    /// The policy, unless requests are tried once.
    pub(crate) fn policy(&self) -> Option<&RetryPolicy> {
        self.0.as_ref()
    }

    /// Tries a request.
    ///
    /// # Errors
    /// The last one.
    pub(crate) async fn run<T, W>(&self, mut request: impl FnMut() -> W) -> Result<T>
    where
        W: Future<Output = Result<T>>,
    {
        match &self.0 {
            Some(policy) => policy.run(request).await,
            None => request().await,
        }
    }
}
