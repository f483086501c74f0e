//! `wharf auth token REPO`: a token for other programs.

use wharf::credentials::Secret;
use wharf::remote::{Access, Granted};
use wharf::{Error, ErrorKind, Result};
use wharf_oci::RepositoryName;

use crate::arguments::InRepository;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::json_line::JsonLine;

/// Print a token for a repository
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Token {
    /// Repository, REGISTRY/REPOSITORY
    #[arg(value_name = "REPO")]
    repository: InRepository,
    /// Print the header of a request instead of JSON, without a newline
    #[arg(short = 'H', long)]
    header: bool,
    /// Request a token that also allows pushing
    #[arg(long)]
    push: bool,
    /// Also allow mounting blobs from these repositories of the same registry, a comma between them
    #[arg(short, long, value_name = "REPO", value_delimiter = ',')]
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
        let granted = wharf.authorization(repository, access, &sources?).await?;
        if !granted.header.expose().starts_with("Bearer ") {
            let message = "the registry uses a password, not a token; wharf auth get prints it";
            return Err(Error::new(ErrorKind::Unsupported, message).target(repository));
        }
        match self.header {
            true => {
                let header = format!("Authorization: {}", granted.header.expose());
                context.printer.bytes(header.as_bytes())
            }
            false => context.printer.data(&json(&granted)),
        }
    }
}

/// The answer of the token server in one line. A token that no server granted stands alone.
fn json(granted: &Granted) -> String {
    let alone = granted.header.expose();
    let alone = alone.strip_prefix("Bearer ").unwrap_or(alone);
    let grant = granted.grant.as_deref();
    let token = grant.map_or(alone, |grant| grant.token.expose());
    let mut line = JsonLine::new("token", token);
    if let Some(access) = grant.and_then(|grant| grant.access_token.as_ref()) {
        line = line.text("access_token", access.expose());
    }
    let refresh = grant.and_then(|grant| grant.refresh_token.as_ref());
    let expires = grant.and_then(|grant| grant.expires_in);
    line.text("refresh_token", refresh.map_or("", Secret::expose))
        .number("expires_in", expires.unwrap_or_default())
        .to_string()
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
