//! `wharf blob push REPO FILE|-`: one blob, without a manifest.

use std::ffi::OsString;
use std::path::Path;
use std::time::Instant;

use clap::ValueEnum;
use wharf::blob::Blob;
use wharf::layer::{
    Family, LayerInput, Packing, PendingLayer, Settings, TreeOptions, ZstdSettings,
};
use wharf::store::Outcome;
use wharf::{Error, ErrorKind, Result, Side, Wharf, file};
use wharf_oci::{Descriptor, MediaType, Repository};

use crate::arguments::InRepository;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::env;
use crate::progress::{Company, Progress};
use crate::units::{bytes, seconds};

/// Upload one blob or layer and print its digest
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Push {
    /// Destination, REGISTRY/REPOSITORY
    #[arg(value_name = "REPO")]
    repository: InRepository,
    /// File, - for standard input, or a directory with --compress
    file: OsString,
    /// Upload a compressed layer: FILE is a tar, or a directory that is packed into one
    #[arg(long, value_name = "FORMAT")]
    compress: Option<Compress>,
}

/// How a layer is compressed while it is sent.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Compress {
    // Doc comments here would double the lines of the help.
    Gzip,
    Zstd,
}

const HELP: &str = "\
A file is not sent if the repository has it already. With --compress, the diff id is printed on
standard error. The tar of a directory has sorted entries that belong to root; their times are
those of SOURCE_DATE_EPOCH, if it is set.

Example:
  wharf blob push --compress zstd registry.example/app ./rootfs";

impl Run for Push {
    fn on_signal(&self) -> OnSignal {
        OnSignal::PauseBlob
    }

    /// Pushes and prints the digest.
    async fn run(self, context: &Context) -> Result<()> {
        let InRepository(repository) = &self.repository;
        if self.file == "-" {
            context.reads_input("the content");
        }
        let content = Content::open(&self).await;
        let content = content.map_err(|error| error.side(Side::Source))?;
        let name = repository.to_string();
        let progress = Progress::new(&context.printer, &name, Company::Alone);
        let wharf = context.wharf()?.observed_by(progress.observer());
        let started = Instant::now();
        let (descriptor, did) = content.push(repository, &wharf, context).await?;
        let (size, time) = (bytes(descriptor.size), seconds(started.elapsed()));
        context.printer.say(&format!("{did}, {size}; {time}"));
        context.printer.data(&descriptor.digest.to_string())
    }
}

/// The content to push.
enum Content {
    /// A file that was read to learn its digest; it is not sent if it is there.
    Known(Box<Blob>),
    /// Its digest is learned while it is sent.
    Unknown(PendingLayer),
}

impl Content {
    async fn open(args: &Push) -> Result<Self> {
        let path = Path::new(&args.file);
        let input = match (args.file == "-", args.compress) {
            (true, _) => LayerInput::reader("standard input", std::io::stdin()),
            (false, Some(_)) if path.is_dir() => LayerInput::directory(path, tree_options()?),
            (false, None) if path.is_dir() => {
                let message = "is a directory; --compress gzip or zstd pushes it as a layer";
                return Err(Error::new(ErrorKind::Invalid, message).target(path.display()));
            }
            (false, None) if path.is_file() => {
                let blob = file::blob(path, MediaType::OCTET_STREAM).await?;
                return Ok(Content::Known(Box::new(blob)));
            }
            (false, _) => LayerInput::file(path).await?,
        };
        let layer = match args.compress {
            None => input.blob(MediaType::OCTET_STREAM),
            Some(compress) => input.only_tar().tar(&packing(compress), Family::Oci)?,
        };
        Ok(Content::Unknown(layer))
    }

    /// Returns its descriptor, and a text about what was done.
    async fn push(
        &self,
        to: &Repository,
        wharf: &Wharf,
        context: &Context,
    ) -> Result<(Descriptor, &'static str)> {
        match self {
            Content::Known(blob) => {
                let did = match wharf.push_blob(blob, to).await? {
                    Outcome::Existed => "already there",
                    Outcome::Mounted => "mounted",
                    Outcome::Written => "pushed",
                };
                Ok((blob.descriptor().clone(), did))
            }
            Content::Unknown(layer) => {
                let made = wharf.push_layer(layer, to).await?;
                if let Some(diff_id) = &made.diff_id {
                    context.printer.say(&format!("diff id {diff_id}"));
                }
                Ok((made.descriptor, "pushed"))
            }
        }
    }
}

fn tree_options() -> Result<TreeOptions> {
    Ok(TreeOptions {
        times: env::source_date_epoch()?,
        ..TreeOptions::default()
    })
}

fn packing(compress: Compress) -> Packing {
    match compress {
        Compress::Gzip => Packing::Gzip(Settings::default()),
        Compress::Zstd => Packing::Zstd(ZstdSettings::default()),
    }
}
