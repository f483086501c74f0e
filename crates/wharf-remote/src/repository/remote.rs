//! A repository in a registry that tries its requests again.

use super::raw::RawRepository;
use crate::retrying::Retrying;

/// One repository of a registry. Cheap to clone.
///
/// Each method is tried again after a transient error, as the policy of the client allows
/// ([`ClientBuilder::retry`](crate::ClientBuilder::retry)); an interrupted blob continues at its
/// next byte. `single_tries` gives the repository to a program that has
/// retries of its own. A copy ([`wharf_core::copy`]) goes by its own policy, and retries do not
/// multiply.
///
/// ```no_run
/// # mod wharf {
/// #     pub use wharf_core::{Result, Source};
/// #     pub use wharf_remote::Client;
/// # }
/// use wharf::Source;
///
/// # async fn example() -> wharf::Result<()> {
/// let client = wharf::Client::builder().build()?;
/// let hello = client.repository(&"ghcr.io/octo/hello".parse().expect("a repository"));
/// let patient = hello.resolve(&"latest".parse().expect("a tag")).await?;
/// let at_once = hello.single_tries().resolve(&"latest".parse().expect("a tag")).await?;
/// # Ok(())
/// # }
/// ```
pub type RemoteRepository = Retrying<RawRepository>;
