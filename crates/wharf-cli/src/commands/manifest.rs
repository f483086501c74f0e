//! `wharf manifest put REPO FILE|-`: one manifest, byte for byte (wire.md O5).

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use wharf::store::Store;
use wharf::{Error, ErrorKind, Result, Side, verify};
use wharf_oci::{MAX_MANIFEST_SIZE, Manifest, Reference};

use crate::args::ManifestPut;
use crate::context::Context;

/// Puts it and prints its reference with digest.
///
/// # Errors
/// Where REPO makes no sense, or FILE is no manifest or has another digest, before anything is
/// sent; where it cannot be put.
pub(crate) async fn put(args: &ManifestPut, context: &Context) -> Result<()> {
    let invalid =
        |error: wharf_oci::ReferenceError| Error::new(ErrorKind::Invalid, error.to_string());
    let reference: Reference = args.reference.parse().map_err(invalid)?;
    let manifest = manifest(args, &reference).await;
    let manifest = manifest.map_err(|error| error.target(name(&args.file)).side(Side::Source))?;
    let store = context.client()?.repository(reference.repository());
    let put = async || store.put_root(&manifest, reference.tag()).await;
    let put = context.retry.run(put).await;
    put.map_err(|error| error.side(Side::Destination))?;
    let media_type = manifest.media_type();
    context
        .printer
        .say(&format!("{reference}: put as {media_type}"));
    let pushed = reference.with_digest(manifest.digest().clone());
    context.printer.data(&pushed.to_string())
}

async fn manifest(args: &ManifestPut, reference: &Reference) -> Result<Manifest> {
    let file = args.file.clone();
    let bytes = verify::blocking(move || read(&file)).await??;
    if bytes.len() as u64 > MAX_MANIFEST_SIZE {
        let message = format!("more than {MAX_MANIFEST_SIZE} bytes, which no manifest may have");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let media_type = args.media_type.as_ref();
    Ok(Manifest::parse_raw(
        media_type,
        bytes.into(),
        reference.digest(),
    )?)
}

/// All of it, or one byte more than a manifest may have: standard input may never end.
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
