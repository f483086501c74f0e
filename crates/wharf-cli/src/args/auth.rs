//! What can be typed after `wharf auth`.

use clap::Subcommand;

use crate::logins::Hidden;

#[derive(Debug, Subcommand)]
pub(crate) enum Auth {
    /// Check credentials with a registry, and keep them
    Login(Login),
    /// Forget the credentials for a registry
    Logout {
        /// The registry, such as ghcr.io or localhost:5000
        host: String,
    },
    /// Print the credentials for a registry, as a credential helper does
    Get {
        /// The registry; read from standard input when left out
        host: Option<String>,
    },
    /// Print a token for a repository
    Token(Token),
}

/// What `wharf auth login` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Login {
    /// The registry, such as ghcr.io or localhost:5000
    pub(crate) host: String,
    /// Who logs in
    #[arg(short, long, value_name = "USER")]
    pub(crate) username: String,
    /// The password, for all to see who may list processes
    #[arg(short, long, value_name = "PASSWORD")]
    pub(crate) password: Option<Hidden>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "password")]
    pub(crate) password_stdin: bool,
}

/// What `wharf auth token` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Token {
    /// The repository, REGISTRY/REPOSITORY
    #[arg(value_name = "REPO")]
    pub(crate) repository: String,
    /// Print the line of a request's header instead of JSON
    #[arg(short = 'H', long)]
    pub(crate) header: bool,
    /// A token that allows pushing too
    #[arg(long)]
    pub(crate) push: bool,
    /// A repository of the same registry that blobs may be mounted from
    #[arg(short, long, value_name = "REPO")]
    pub(crate) mount: Vec<String>,
}
