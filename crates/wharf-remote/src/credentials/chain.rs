//! Credentials from several places, and credentials for one run.

use std::sync::Arc;

use async_trait::async_trait;
use wharf_oci::{Registry, RepositoryName};

use super::credential::{Credential, Credentials, Found};
use wharf_core::Result;

/// Several places, tried in turn; the first with a credential decides. A place that cannot be read
/// is passed over.
#[derive(Clone, Debug, Default)]
pub struct Chain(Vec<Arc<dyn Credentials>>);

impl Chain {
    /// The places, the most important first.
    pub fn new(places: Vec<Arc<dyn Credentials>>) -> Self {
        Chain(places)
    }
}

#[async_trait]
impl Credentials for Chain {
    async fn find(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Found>> {
        let mut failure = None;
        for place in &self.0 {
            match place.find(registry, repository).await {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) => drop(failure.get_or_insert(error)),
            }
        }
        match failure {
            Some(failure) => Err(failure),
            None => Ok(None),
        }
    }

    fn places(&self) -> Vec<String> {
        self.0.iter().flat_map(|place| place.places()).collect()
    }
}

/// One credential, for one registry only.
#[derive(Clone, Debug)]
pub struct Given {
    registry: Registry,
    found: Found,
}

impl Given {
    /// `credential` for `registry`; `source` names its origin in messages.
    pub fn new(registry: Registry, credential: Credential, source: impl Into<String>) -> Self {
        Given {
            registry,
            found: Found {
                credential,
                source: source.into(),
                entry: None,
            },
        }
    }
}

#[async_trait]
impl Credentials for Given {
    async fn find(&self, registry: &Registry, _: Option<&RepositoryName>) -> Result<Option<Found>> {
        Ok((*registry == self.registry).then(|| self.found.clone()))
    }

    fn places(&self) -> Vec<String> {
        vec![self.found.source.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_who_knows_decides_and_nobody_gets_what_is_for_another() {
        let given = |registry: &str, secret: &str| -> Arc<dyn Credentials> {
            let credential = Credential::password("user", secret.into());
            Arc::new(Given::new(registry.parse().unwrap(), credential, secret))
        };
        let chain = Chain::new(vec![
            given("a.example", "one"),
            given("b.example", "two"),
            given("b.example", "three"),
        ]);
        let source = async |registry: &str| {
            let found = chain.find(&registry.parse().unwrap(), None).await.unwrap();
            found.map(|found| found.source)
        };
        assert_eq!(source("a.example").await.as_deref(), Some("one"));
        assert_eq!(source("b.example").await.as_deref(), Some("two"));
        assert_eq!(source("c.example").await, None);
        assert_eq!(source("b.example:5000").await, None);
    }
}
