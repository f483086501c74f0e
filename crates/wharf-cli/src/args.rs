//! What can be typed. What it means is decided elsewhere.

mod auth;

use std::ffi::OsString;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use wharf::place::PlatformChoice;
use wharf::remote::Neighbour;
use wharf_oci::MediaType;

use crate::ceilings::Ceilings;
use crate::context::Effect;
use crate::logins::LoginArgs;
use crate::timing::Timing;
use crate::tls::TlsArgs;
use crate::units;

pub(crate) use self::auth::{Auth, Login, Token};

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
    /// Let registries in the world send us to this host, address or network next to us
    #[arg(long, global = true, value_name = "HOST[:PORT]")]
    pub(crate) allow_near: Vec<Neighbour>,
    /// Take only the image for this platform, OS/ARCH[/VARIANT][:OSVERSION]
    #[arg(long, global = true, value_name = "PLATFORM", default_value = "all")]
    pub(crate) platform: PlatformChoice,
    /// Move layers too that are marked as not distributable
    #[arg(long, global = true)]
    pub(crate) allow_nondistributable_artifacts: bool,
    /// How often work is tried before it is given up
    #[arg(long, global = true, value_name = "N", default_value = "5")]
    #[arg(value_parser = units::at_least_one::<NonZeroU32>)]
    pub(crate) retries: NonZeroU32,
    /// Neither use nor keep what was learned of layers and registries in earlier runs
    #[arg(long, global = true)]
    pub(crate) no_cache: bool,
    /// Send blobs in requests of at most so many bytes; found out by itself where a registry refuses
    /// large ones
    #[arg(long, global = true, value_name = "BYTES", value_parser = units::size)]
    pub(crate) chunk_size: Option<NonZeroU64>,
    /// How many requests of each kind one registry is sent at once, at the most: KIND=N with the kinds
    /// checks, opens, sends, manifests and reads, separated by commas
    #[arg(long, global = true, value_name = "KIND=N,…", default_value_t)]
    pub(crate) max_requests: Ceilings,
    /// Read from the mirrors that DIR/HOST[:PORT]/hosts.toml names for a registry, as containerd does
    /// (also: WHARF_HOSTS_DIR)
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) hosts_dir: Option<PathBuf>,
    /// Say more on standard error; twice or thrice for even more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// How to show on standard error what is done
    #[arg(long, global = true, value_name = "HOW", default_value = "auto")]
    progress: ProgressChoice,
    /// Say nothing on standard error but errors, as --progress none
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    #[command(flatten)]
    pub(crate) logins: LoginArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    #[command(flatten)]
    pub(crate) timing: Timing,
}

impl Global {
    /// How to show what is done.
    pub(crate) fn progress(&self) -> ProgressChoice {
        match self.quiet {
            true => ProgressChoice::None,
            false => self.progress,
        }
    }
}

/// How to show what is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressChoice {
    /// Bars on a terminal, plain lines elsewhere
    Auto,
    /// A bar for each blob that moves; plain lines where there is no terminal
    Bars,
    /// A line for each blob that was moved
    Plain,
    /// A JSON object a line, for programs
    Json,
    /// Nothing
    None,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Push an image from disk to registries, or into the embedded registry
    Push(Push),
    /// Copy an image from anywhere to a registry or a layout directory
    #[command(visible_alias = "cp")]
    Copy(Copy),
    /// Put an image of a repository under further tags
    Tag(Tag),
    /// Delete tags, or manifests by digest
    Delete(Delete),
    /// Single manifests, without what they link to
    #[command(subcommand, arg_required_else_help = true)]
    Manifest(Manifest),
    /// Single blobs, such as layers, without a manifest
    #[command(subcommand, arg_required_else_help = true)]
    Blob(Blob),
    /// The embedded registry
    #[command(subcommand, arg_required_else_help = true)]
    Registry(Registry),
    /// Log in to registries, and use credentials
    #[command(subcommand, arg_required_else_help = true)]
    Auth(Auth),
    /// Print the version
    Version,
}

impl Command {
    /// Whether it leaves anything behind.
    pub(crate) fn effect(&self) -> Effect {
        let moving = match self {
            Command::Push(push) => &push.moving,
            Command::Copy(copy) => &copy.moving,
            _ => return Effect::Lasting,
        };
        match moving.dry_run {
            true => Effect::None,
            false => Effect::Lasting,
        }
    }
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
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(crate) image_refs: Option<PathBuf>,
    /// Push all that a layout lists as one index: its index.json, byte for byte
    #[arg(long)]
    pub(crate) index: bool,
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

/// What `wharf tag` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Tag {
    /// What to tag, REGISTRY/REPOSITORY[:TAG][@DIGEST]
    pub(crate) image: String,
    /// The tags it gets in the same repository
    #[arg(required = true, value_name = "TAG")]
    pub(crate) tags: Vec<wharf_oci::Tag>,
}

/// What `wharf delete` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = DELETE_HELP)]
pub(crate) struct Delete {
    /// What to delete, REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@DIGEST
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Manifest {
    /// Put a manifest's bytes as they are and print its reference with digest
    Put(ManifestPut),
}

/// What `wharf manifest put` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = MANIFEST_PUT_HELP)]
pub(crate) struct ManifestPut {
    /// Where to put it, REGISTRY/REPOSITORY[:TAG][@DIGEST]
    #[arg(value_name = "REPO")]
    pub(crate) reference: String,
    /// A file, or - for standard input
    pub(crate) file: OsString,
    /// What it is; its own mediaType when left out, else Docker schema 2
    #[arg(long, value_name = "TYPE")]
    pub(crate) media_type: Option<MediaType>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Blob {
    /// Push one blob or layer into a repository and print its digest
    Push(BlobPush),
}

/// What `wharf blob push` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = BLOB_PUSH_HELP)]
pub(crate) struct BlobPush {
    /// Where to push to, REGISTRY/REPOSITORY
    #[arg(value_name = "REPO")]
    pub(crate) repository: String,
    /// A file, - for standard input, or, with --compress, a directory
    pub(crate) file: OsString,
    /// Compress it while it is sent; FILE is a tar then, or a directory of which one is made
    #[arg(long, value_name = "FORMAT")]
    pub(crate) compress: Option<Compress>,
}

/// How a layer is compressed while it is sent.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Compress {
    // Comments for readers of the help would spread all of it over twice the lines.
    Gzip,
    Zstd,
}

/// How content is moved, whatever the command.
#[derive(Debug, clap::Args)]
pub(crate) struct Moving {
    /// How many blobs are moved at once
    #[arg(short, long, value_name = "N", default_value = "4")]
    #[arg(value_parser = units::at_least_one::<NonZeroUsize>)]
    pub(crate) jobs: NonZeroUsize,
    /// How many are asked for at once whether they are there
    #[arg(long, value_name = "N", default_value = "16")]
    #[arg(value_parser = units::at_least_one::<NonZeroUsize>)]
    pub(crate) checks: NonZeroUsize,
    /// Look for every blob even behind a manifest that is there, and repair what is missing
    #[arg(long)]
    pub(crate) force: bool,
    /// Print what would be done, a line for each blob, manifest and tag, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Say at the end how many requests were made, by kind
    #[arg(long)]
    pub(crate) stats: bool,
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

/// Where the embedded registry listens when nothing else is said.
const DEFAULT_ADDRESS: &str = "127.0.0.1:5000";

const PUSH_HELP: &str = "\
The reference with its digest is printed for each REF. A REF without a tag takes the tag that the
image has on disk, else `latest`. Where PATH holds several images, one is chosen by
oci:DIR:TAG, oci-archive:FILE:TAG, docker-archive:FILE:NAME[:TAG], or PATH@DIGEST.";

const DELETE_HELP: &str = "\
A tag is taken away and its manifest stays; a digest takes the manifest away with all its tags.
Not every registry allows either. Each IMAGE is deleted or not on its own.";

const MANIFEST_PUT_HELP: &str = "\
Nothing else is uploaded: what the manifest links to must be there. Without a tag it is put by its
digest; a DIGEST that is written must be that of FILE. A manifest with a subject becomes a referrer
of that, also in registries that keep no lists of referrers.";

const BLOB_PUSH_HELP: &str = "\
The digest is printed; with --compress, the diff id is said on standard error. What comes from a
file is not sent when the repository has it. A tar made of a directory has its entries sorted and
belonging to root, and the times of SOURCE_DATE_EPOCH where that is set.";

const COPY_HELP: &str = "\
SRC and DST are each one of:
  REGISTRY/REPOSITORY[:TAG][@DIGEST]   an image in a registry
  oci:DIR[:TAG|@DIGEST]                an OCI image layout directory
  oci-archive:FILE[:TAG|@DIGEST]       a tar of one (SRC only; - is standard input)
  docker-archive:FILE[:NAME[:TAG]|@DIGEST]
                                       what `docker save` writes (SRC only)
A DST without a tag takes that of SRC.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_of_the_arguments_is_consistent() {
        Args::command().debug_assert();
    }
}
