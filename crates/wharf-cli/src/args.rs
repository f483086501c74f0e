//! What can be typed. What it means is decided elsewhere.

use std::ffi::OsString;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};
use wharf_oci::Platform;

/// Moves container images between files, streams and registries
#[derive(Debug, Parser)]
#[command(name = "wharf", version, disable_help_subcommand = true)]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Allow plain http and untrusted certificates
    #[arg(long, global = true)]
    pub(crate) insecure: bool,
    /// Take only the image for this platform, OS/ARCH[/VARIANT][:OSVERSION]
    #[arg(long, global = true, value_name = "PLATFORM", default_value = "all")]
    #[arg(value_parser = platform)]
    pub(crate) platform: PlatformChoice,
    /// Move layers too that are marked as not distributable
    #[arg(long, global = true)]
    pub(crate) allow_nondistributable_artifacts: bool,
    /// How often work is tried before it is given up
    #[arg(long, global = true, value_name = "N", default_value = "5")]
    pub(crate) retries: NonZeroU32,
    /// Say more on standard error; twice or thrice for even more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say nothing on standard error but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

/// Which images of an index are wanted.
#[derive(Clone, Debug)]
pub(crate) enum PlatformChoice {
    /// The whole index.
    All,
    /// The one image for this platform.
    One(Box<Platform>),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Push an image from disk to registries, or into the embedded registry
    Push(Push),
    /// Copy an image from anywhere to a registry or a layout directory
    #[command(visible_alias = "cp")]
    Copy(Copy),
    /// The embedded registry
    #[command(subcommand, arg_required_else_help = true)]
    Registry(Registry),
    /// Log in to registries, and use credentials
    #[command(subcommand, arg_required_else_help = true)]
    Auth(Auth),
    /// Print the version
    Version,
}

/// What `wharf push` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = PUSH_HELP)]
pub(crate) struct Push {
    /// OCI layout directory, archive of one, docker archive, or - for an archive on standard input
    pub(crate) path: OsString,
    /// Where to push to, REGISTRY/REPOSITORY[:TAG]; the embedded registry when left out
    #[arg(value_name = "REF")]
    pub(crate) references: Vec<String>,
    /// Write the pushed references with their digests to this file too
    #[arg(long, value_name = "FILE")]
    pub(crate) image_refs: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) moving: Moving,
}

/// What `wharf copy` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = COPY_HELP)]
pub(crate) struct Copy {
    /// What to copy
    #[arg(value_name = "SRC")]
    pub(crate) source: String,
    /// Where to: a registry reference or oci:DIR[:TAG]
    #[arg(value_name = "DST")]
    pub(crate) destination: String,
    #[command(flatten)]
    pub(crate) moving: Moving,
}

/// How content is moved, whatever the command.
#[derive(Debug, clap::Args)]
pub(crate) struct Moving {
    /// How many blobs are moved at once
    #[arg(short, long, value_name = "N", default_value = "4")]
    pub(crate) jobs: NonZeroUsize,
    /// Look for every blob even behind a manifest that is there, and repair what is missing
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Registry {
    /// Serve a registry from a directory until interrupted
    Serve(Serve),
}

/// What `wharf registry serve` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_ADDRESS)]
    pub(crate) address: String,
    /// Where the content lies; the user's data directory when left out
    #[arg(long, value_name = "DIR")]
    pub(crate) disk: Option<PathBuf>,
}

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
    #[arg(
        short,
        long,
        value_name = "PASSWORD",
        required_unless_present = "password_stdin"
    )]
    pub(crate) password: Option<Hidden>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "password")]
    pub(crate) password_stdin: bool,
}

/// What was typed and is not to be printed.
#[derive(Clone)]
pub(crate) struct Hidden(pub(crate) wharf::credentials::Secret);

impl From<&str> for Hidden {
    fn from(text: &str) -> Self {
        Hidden(text.into())
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
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

/// Where the embedded registry listens when nothing else is said.
const DEFAULT_ADDRESS: &str = "127.0.0.1:5000";

const PUSH_HELP: &str = "\
The reference with its digest is printed for each REF. A REF without a tag takes the tag that the
image has on disk, else `latest`. Where PATH holds several images, one is chosen by
oci:DIR:TAG, oci-archive:FILE:TAG, docker-archive:FILE:NAME[:TAG], or PATH@DIGEST.";

const COPY_HELP: &str = "\
SRC and DST are each one of:
  REGISTRY/REPOSITORY[:TAG][@DIGEST]   an image in a registry
  oci:DIR[:TAG|@DIGEST]                an OCI image layout directory
  oci-archive:FILE[:TAG|@DIGEST]       a tar of one (SRC only; - is standard input)
  docker-archive:FILE[:NAME[:TAG]|@DIGEST]
                                       what `docker save` writes (SRC only)
A DST without a tag takes that of SRC.";

fn platform(text: &str) -> Result<PlatformChoice, wharf_oci::PlatformError> {
    match text {
        "all" => Ok(PlatformChoice::All),
        text => text
            .parse()
            .map(|platform| PlatformChoice::One(Box::new(platform))),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_of_the_arguments_is_consistent() {
        Args::command().debug_assert();
    }
}
