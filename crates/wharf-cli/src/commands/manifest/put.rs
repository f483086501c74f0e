//! `wharf manifest put REPO FILE|-`: puts one manifest, byte for byte (wire.md O5).

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use wharf::{Error, ErrorKind, Result, Side, verify};
use wharf_oci::{MAX_MANIFEST_SIZE, MediaType};

use crate::arguments::Image;
use crate::command::Run;
use crate::context::Context;

/// Upload a manifest, byte for byte, and print its reference with digest
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Put {
    /// Destination, REGISTRY/REPOSITORY[:TAG][@DIGEST]
    #[arg(value_name = "REPO")]
    reference: Image,
    /// Manifest file, or - for standard input
    file: OsString,
    /// Media type; without it, the mediaType in FILE, else Docker schema 2
    #[arg(long, value_name = "TYPE")]
    media_type: Option<MediaType>,
}

const HELP: &str = "\
Uploads the manifest alone: everything it links to must be in the repository. Without a TAG, the
manifest is stored by its digest. A DIGEST in REPO must be the digest of FILE. A manifest with a
subject becomes a referrer of it, also in registries that keep no lists of referrers.

Example:
  wharf manifest put registry.example/app:1 manifest.json";

impl Run for Put {
    /// Puts it and prints its reference with digest. Bytes that are not a manifest are never sent.
    async fn run(self, context: &Context) -> Result<()> {
        let Image(to) = &self.reference;
        let media_type = self.media_type.as_ref();
        if self.file == "-" {
            context.reads_input("a manifest");
        }
        let bytes = content(&self.file).await;
        let put = match bytes {
            Ok(bytes) => context.wharf()?.put(media_type, bytes, to).await,
            Err(error) => Err(error.side(Side::Source)),
        };
        let put = put.map_err(|error| match error.failed_side() {
            Some(Side::Source) => error.target(name(&self.file)),
            _ => error,
        })?;
        let line = format!("{to}: put as {}", put.media_type);
        context.printer.say(&line);
        let pushed = to.with_digest(put.digest);
        context.printer.data(&pushed.to_string())
    }
}

async fn content(file: &OsStr) -> Result<Vec<u8>> {
    let file = file.to_owned();
    let bytes = verify::blocking(move || read(&file)).await??;
    if bytes.len() as u64 > MAX_MANIFEST_SIZE {
        let message = format!("more than {MAX_MANIFEST_SIZE} bytes, the limit of a manifest");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(bytes)
}

/// Reads all of it, or one byte more than the limit of a manifest: standard input may never end.
fn read(file: &OsStr) -> Result<Vec<u8>> {
    let input: Box<dyn Read> = match file == "-" {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(file)?),
    };
    let mut bytes = Vec::new();
    input.take(MAX_MANIFEST_SIZE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn name(file: &OsString) -> String {
    match file == "-" {
        true => "standard input".to_owned(),
        false => Path::new(file).display().to_string(),
    }
}
