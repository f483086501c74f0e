//! Plans a push without doing it.

use wharf_oci::Reference;

use super::Wharf;
use crate::Result;
use crate::copy::{RootContent, Survey};
use crate::place::pairing;
use crate::store::Source;

impl Wharf {
    /// Finds out what [`Wharf::push`] would do with the same arguments, and changes nothing.
    /// [`Plan::build`](crate::copy::Plan::build) makes the plan itself.
    ///
    /// ```no_run
    /// use wharf::copy::Fate;
    /// use wharf::{Client, Layout, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let layout = Layout::open("app")?;
    /// let to = "registry.example/app:1".parse()?;
    /// let survey = wharf.plan(&layout, layout.select(None)?, &to).await?;
    /// let (blobs, bytes) = survey.count(|fate| *fate == Fate::Upload);
    /// println!("{blobs} blobs of {bytes} bytes to upload");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Wharf::push`], if content is missing at the source or the registry cannot be asked.
    pub async fn plan(
        &self,
        source: &dyn Source,
        content: impl Into<RootContent>,
        to: &Reference,
    ) -> Result<Survey> {
        let root = pairing::root(content.into(), to)?;
        let store = self.repository(to.repository());
        self.survey(source, &store, root).await
    }
}
