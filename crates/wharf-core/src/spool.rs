//! Keeps streams of unknown length in a temporary file without a name.
//!
//! The file has no name from the start (or loses it at once on systems without that), so nothing is
//! left behind, however the program ends.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use crate::blob::ByteStream;
use crate::verify::blocking;
use crate::{Error, Result, file};

/// A stream that was kept.
#[derive(Debug)]
pub struct Spooled {
    /// The file, open for reading and writing; its position is anywhere.
    pub file: File,
    /// Its length in bytes.
    pub length: u64,
}

/// Keeps all of `stream` in a temporary file on the file system of `directory`.
///
/// # Errors
/// The stream's error; [`crate::ErrorKind::NoSpace`] and other errors of the file, naming the
/// directory.
pub async fn stream(stream: ByteStream, directory: &Path) -> Result<Spooled> {
    let place = directory.to_owned();
    let file = blocking(move || create(&place)).await??;
    let (file, length) = file::write(file, stream).await?;
    Ok(Spooled { file, length })
}

/// Keeps all of `reader`, as [`stream`] does; `name` is for errors. Blocking: call it off the
/// reactor.
///
/// # Errors
/// As [`stream`].
pub fn reader(mut reader: impl Read, name: &str, directory: &Path) -> Result<Spooled> {
    let mut target = BufWriter::new(create(directory)?);
    let mut buffer = vec![0; file::CHUNK];
    let mut length = 0;
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io(name, error)),
        };
        let chunk = buffer.get(..read).unwrap_or_default();
        target
            .write_all(chunk)
            .map_err(|error| unwritable(directory, error))?;
        length += read as u64;
    }
    let file = target
        .into_inner()
        .map_err(|error| unwritable(directory, error.into_error()))?;
    Ok(Spooled { file, length })
}

fn create(directory: &Path) -> Result<File> {
    tempfile::tempfile_in(directory).map_err(|error| unwritable(directory, error))
}

fn unwritable(directory: &Path, error: std::io::Error) -> Error {
    Error::io(
        format_args!("temporary file in {}", directory.display()),
        error,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::file::read_exactly_at;

    #[tokio::test]
    async fn keeps_a_stream_and_leaves_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let source = file::reader(std::io::Cursor::new(b"hello".to_vec()), "r");
        let spooled = stream(source, directory.path()).await.unwrap();
        assert_eq!(spooled.length, 5);
        assert_eq!(read_exactly_at(&spooled.file, 0, 5).unwrap(), "hello");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn keeps_what_a_reader_gives() {
        let directory = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..file::CHUNK + 9).map(|i| (i % 251) as u8).collect();
        let spooled = reader(&bytes[..], "r", directory.path()).unwrap();
        assert_eq!(spooled.length, bytes.len() as u64);
        assert_eq!(
            read_exactly_at(&spooled.file, 0, bytes.len()).unwrap(),
            bytes
        );
    }

    #[test]
    fn names_the_directory_it_cannot_write_in() {
        let directory = tempfile::tempdir().unwrap();
        let error = reader(&b"x"[..], "r", &directory.path().join("absent")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("absent"), "{error}");
    }
}
