//! `wharf auth token REPO`: a token for other programs.

use wharf::remote::Access;
use wharf::{Error, ErrorKind, Result};
use wharf_oci::RepositoryName;

use crate::arguments::InRepository;
use crate::command::{OnSignal, Run};
use crate::context::Context;

/// Print a token for a repository
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Token {
    /// Repository, REGISTRY/REPOSITORY
    #[arg(value_name = "REPO")]
    repository: InRepository,
    /// Print the header of a request instead of JSON
    #[arg(short = 'H', long)]
    header: bool,
    /// Request a token that also allows pushing
    #[arg(long)]
    push: bool,
    /// Also allow mounting blobs from this repository of the same registry
    #[arg(short, long, value_name = "REPO")]
    mount: Vec<InRepository>,
}

const HELP: &str = "\
Example:
  curl -H \"$(wharf auth token -H ghcr.io/team/app)\" https://ghcr.io/v2/team/app/tags/list";

impl Run for Token {
    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    /// Prints the token and nothing else.
    async fn run(self, context: &Context) -> Result<()> {
        let sources: Result<Vec<RepositoryName>> =
            self.mount.iter().map(|from| self.source(from)).collect();
        let InRepository(repository) = &self.repository;
        let access = match self.push {
            true => Access::Write,
            false => Access::Read,
        };
        let wharf = context.wharf()?;
        let value = wharf.authorization(repository, access, &sources?).await?;
        if self.header {
            let line = format!("Authorization: {}", value.expose());
            return context.printer.data(&line);
        }
        let token = value.expose().strip_prefix("Bearer ").ok_or_else(|| {
            let message = "the registry uses a password, not a token; --header prints it";
            Error::new(ErrorKind::Unsupported, message).target(repository)
        })?;
        let token = serde_json::Value::from(token);
        context.printer.data(&format!(r#"{{"token":{token}}}"#))
    }
}

impl Token {
    /// Only repositories of one registry share a token.
    fn source(&self, from: &InRepository) -> Result<RepositoryName> {
        let registry = self.repository.0.registry();
        if from.0.registry() == registry {
            return Ok(from.0.name().clone());
        }
        let message = format!("not in {registry}: blobs are mounted within one registry");
        Err(Error::new(ErrorKind::Invalid, message).target(&from.0))
    }
}
