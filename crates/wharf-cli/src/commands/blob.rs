//! `wharf blob push REPO FILE|-`: one blob, without a manifest.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use wharf::blob::Blob;
use wharf::copy::{CopyOptions, push_blob, push_layer};
use wharf::layer::{
    Family, LayerInput, Packing, PendingLayer, Settings, TreeOptions, ZstdSettings,
};
use wharf::remote::RemoteRepository;
use wharf::store::{Outcome, Store};
use wharf::{Error, ErrorKind, Result, Side, file};
use wharf_oci::{Descriptor, MediaType, Reference};

use crate::args::{BlobPush, Compress, Moving};
use crate::context::{self, Context};
use crate::progress::{Company, Progress};
use crate::units::{bytes, seconds};

/// Pushes and prints the digest.
///
/// # Errors
/// Where REPO or FILE makes no sense, before anything is sent; where the push fails.
pub(crate) async fn push(args: &BlobPush, context: &Context) -> Result<()> {
    let store = repository(&args.repository, context)?;
    let content = Content::open(args).await;
    let content = content.map_err(|error| error.side(Side::Source))?;
    let progress = Progress::new(
        context.printer,
        &context.bars,
        &args.repository,
        Company::Alone,
    );
    let options = context.copy_options(&ALONE, progress.observer());
    let started = Instant::now();
    let (descriptor, did) = content.push(&store, &options, context).await?;
    let (size, time) = (bytes(descriptor.size), seconds(started.elapsed()));
    context.printer.say(&format!("{did}, {size}; {time}"));
    context.printer.data(&descriptor.digest.to_string())
}

/// A blob alone goes one at a time, and behind no manifest.
const ALONE: Moving = Moving {
    jobs: NonZeroUsize::MIN,
    checks: NonZeroUsize::MIN,
    force: false,
    dry_run: false,
    stats: false,
};

/// The repository that was typed; blobs have no tags.
fn repository(text: &str, context: &Context) -> Result<RemoteRepository> {
    let invalid = |message: String| Error::new(ErrorKind::Invalid, message);
    let reference: Reference = text
        .parse()
        .map_err(|error: wharf_oci::ReferenceError| invalid(error.to_string()))?;
    if reference.tag().is_some() || reference.digest().is_some() {
        let message = "a blob goes into a repository and has no tag: write REGISTRY/REPOSITORY";
        return Err(invalid(message.to_owned()).target(text));
    }
    Ok(context.client()?.repository(reference.repository()))
}

/// What is pushed.
enum Content {
    /// A file that was read to learn its digest: it is not sent where it is there.
    Known(Box<Blob>),
    /// Its digest is learned while it is sent.
    Unknown(PendingLayer),
}

impl Content {
    async fn open(args: &BlobPush) -> Result<Self> {
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
            Some(compress) => input.tar(&packing(compress), Family::Oci)?,
        };
        Ok(Content::Unknown(layer))
    }

    /// Gives what it is, and words for what was done.
    async fn push(
        &self,
        store: &dyn Store,
        options: &CopyOptions,
        context: &Context,
    ) -> Result<(Descriptor, &'static str)> {
        match self {
            Content::Known(blob) => {
                let did = match push_blob(store, blob, options).await? {
                    Outcome::Existed => "unchanged, it was there",
                    Outcome::Mounted => "mounted",
                    Outcome::Written => "pushed",
                };
                Ok((blob.descriptor().clone(), did))
            }
            Content::Unknown(layer) => {
                let made = push_layer(store, layer, options).await?;
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
        times: context::source_date_epoch()?,
        ..TreeOptions::default()
    })
}

fn packing(compress: Compress) -> Packing {
    match compress {
        Compress::Gzip => Packing::Gzip(Settings::default()),
        Compress::Zstd => Packing::Zstd(ZstdSettings::default()),
    }
}
