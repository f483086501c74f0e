//! `wharf export IMAGE [FILE]`: the file system of an image as one tar.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use futures::StreamExt;
use wharf::blob::ByteStream;
use wharf::{Error, ErrorKind, Result, verify};

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::flags::Effect;
use crate::output;

/// Write the file system of an image as a tar
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Export {
    /// Image in a registry, layout or archive; - for an archive on standard input
    image: Anywhere,
    /// Output; without it, or with -, standard output
    #[arg(value_name = "FILE")]
    to: Option<PathBuf>,
}

const HELP: &str = "\
The layers are merged as a container would see them: whiteouts are applied, and each path is there
once. Links, owners, modes, times, devices and extended attributes stay as they are. Of an index it
is the image for --platform, else that for linux/amd64. FILE is replaced only when the tar is whole.

Examples:
  wharf export alpine:3 - | tar -tv
  docker save app | wharf export - app.tar";

impl Run for Export {
    fn effect(&self) -> Effect {
        Effect::Lasting
    }

    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    /// Writes the tar and nothing else.
    async fn run(self, context: &Context) -> Result<()> {
        let to = self.to.filter(|to| to.as_os_str() != "-");
        if to.is_none() && io::stdout().is_terminal() {
            let message = "a tar is not written to a terminal: name a FILE, or use a pipe";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let wharf = context.wharf()?;
        let image = wharf.open(&self.image.place).await?;
        let tar = wharf.export(&image).await?;
        match to {
            Some(path) => to_file(tar, path).await,
            None => to_stdout(tar).await,
        }
    }
}

async fn to_stdout(mut tar: ByteStream) -> Result<()> {
    while let Some(chunk) = tar.next().await.transpose()? {
        let written = verify::blocking(move || io::stdout().lock().write_all(&chunk)).await?;
        if let Err(error) = written {
            return output::judge(Err(error));
        }
    }
    let flushed = verify::blocking(|| io::stdout().lock().flush()).await?;
    output::judge(flushed)
}

/// Writes a file under another name beside it, and renames it when it is whole.
async fn to_file(tar: ByteStream, path: PathBuf) -> Result<()> {
    let named = |error: io::Error| Error::io(path.display(), error);
    if fs::metadata(&path).is_ok_and(|is| !is.is_file()) {
        // A pipe or device has no content that could be lost.
        let opened = File::options().write(true).open(&path).map_err(named)?;
        return fill(opened, tar, &path).await.map(drop);
    }
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    let new = builder.prefix(".wharf-").make_in(folder, |new| {
        File::options().write(true).create_new(true).open(new)
    });
    let (opened, new) = new.map_err(named)?.into_parts();
    let opened = fill(opened, tar, &path).await?;
    let synced = verify::blocking(move || opened.sync_all()).await?;
    synced.map_err(named)?;
    new.persist(&path).map_err(|error| named(error.error))
}

/// Writes all of `tar` to the file, which errors name as `path`.
async fn fill(mut file: File, mut tar: ByteStream, path: &Path) -> Result<File> {
    while let Some(chunk) = tar.next().await.transpose()? {
        let written = verify::blocking(move || file.write_all(&chunk).map(|()| file)).await?;
        file = written.map_err(|error| Error::io(path.display(), error))?;
    }
    Ok(file)
}
