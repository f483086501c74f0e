//! Where the bytes of a result go.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use futures::StreamExt;
use wharf::blob::ByteStream;
use wharf::{Error, ErrorKind, Result, verify};

use super::{NewFile, judge};

/// Where the bytes of a result go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl Target {
    /// The target of an argument. Without one, and for `-`, it is standard output.
    pub(crate) fn of(argument: Option<PathBuf>) -> Self {
        match argument {
            Some(path) if path.as_os_str() != "-" => Target::File(path),
            _ => Target::Stdout,
        }
    }

    /// The same target, unless it is a terminal, which cannot show `what`: "a tar", "an archive".
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a terminal.
    pub(crate) fn unless_terminal(self, what: &str) -> Result<Self> {
        if self == Target::Stdout && io::stdout().is_terminal() {
            let message =
                format!("{what} is not written to a terminal: name a FILE, or use a pipe");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(self)
    }

    /// Writes all of `bytes`, and nothing else. A file appears, or is replaced, only when it is whole.
    /// A reader that closes its pipe ends the writing without an error.
    ///
    /// # Errors
    /// The stream's error; the system's, naming the file.
    pub(crate) async fn write(self, bytes: ByteStream) -> Result<()> {
        match self {
            Target::Stdout => to_stdout(bytes).await,
            Target::File(path) => to_file(bytes, path).await,
        }
    }
}

async fn to_stdout(mut bytes: ByteStream) -> Result<()> {
    while let Some(chunk) = bytes.next().await.transpose()? {
        let written = verify::blocking(move || io::stdout().lock().write_all(&chunk)).await?;
        if written.is_err() {
            return judge(written);
        }
    }
    judge(verify::blocking(|| io::stdout().lock().flush()).await?)
}

async fn to_file(mut bytes: ByteStream, path: PathBuf) -> Result<()> {
    let mut file = verify::blocking(move || NewFile::open(&path)).await??;
    while let Some(chunk) = bytes.next().await.transpose()? {
        file = verify::blocking(move || file.write(&chunk).map(|()| file)).await??;
    }
    verify::blocking(move || file.publish()).await?
}
