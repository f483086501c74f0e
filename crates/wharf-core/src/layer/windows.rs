//! Layers of Windows images: files are below `Files/`, registry hives below `Hives/`.

use std::io::Write;
use std::sync::Arc;

use futures::{StreamExt, stream};
use tar::{EntryType, Header};
use tokio::runtime::Handle;

use super::pipe;
use crate::blob::ByteStream;
use crate::rootfs::head;
use crate::store::archive::peel;
use crate::stream_reader::StreamReader;
use crate::tar_entries::{Entries, Entry};
use crate::{Error, ErrorKind, Result};

/// The security descriptor of each file, in base64: owner and group are BUILTIN\Users.
const USERS: &str = "AQAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAhAgAAAQIAAAAAAAUgAAAAIQIAAA==";

/// The record that holds it.
const SECURITY: &[u8] = b"MSWINDOWS.rawsd";

/// The same tar, plain or compressed, as a layer of Windows.
pub(super) fn repacked(stream: ByteStream, name: Arc<str>) -> ByteStream {
    let opened = async move {
        let reader = StreamReader::new(stream, Handle::current());
        pipe::written_by(move |pipe| {
            let tar = peel(Box::new(reader), "content").and_then(|plain| {
                let mut entries = Entries::new(plain);
                repack(&mut entries, pipe)?;
                entries.finish()
            });
            tar.map_err(|error| error.target(&name))
        })
    };
    stream::once(opened).flatten().boxed()
}

fn repack<R: std::io::Read>(entries: &mut Entries<R>, target: &mut impl Write) -> Result<()> {
    for name in [&b"Files"[..], b"Hives"] {
        target.write_all(directory(name).as_bytes())?;
    }
    while let Some(mut entry) = entries.next()? {
        let name = below_files(&entry.name)?;
        entry.records.add(SECURITY, USERS.as_bytes());
        match entry.kind {
            EntryType::Link => {
                let to = below_files(&entry.link)?;
                head::hard_link(&entry, &name, &to, target)?;
            }
            _ => put(&mut entry, &name, entries, target)?,
        }
    }
    head::end(target)
}

fn put<R: std::io::Read>(
    entry: &mut Entry,
    name: &[u8],
    entries: &mut Entries<R>,
    target: &mut impl Write,
) -> Result<()> {
    head::own(entry, name, target)?;
    let size = entry.size();
    entries.copy(entry, target)?;
    head::pad(size, target)
}

/// A directory that depends on nothing. Windows knows no permission to execute.
fn directory(name: &[u8]) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Directory);
    header.set_mode(0o555);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    let field = header.as_old_mut().name.iter_mut();
    field.zip(name).for_each(|(field, byte)| *field = *byte);
    header.set_cksum();
    header
}

/// The place of an entry below `Files/`.
///
/// # Errors
/// [`ErrorKind::Invalid`] for an entry that is there already, or leads out of it.
fn below_files(name: &[u8]) -> Result<Vec<u8>> {
    let parts = name.split(|byte| *byte == b'/');
    let parts = parts.filter(|part| !part.is_empty() && *part != b".");
    let parts: Vec<&[u8]> = std::iter::once(&b"Files"[..]).chain(parts).collect();
    let wrong = match parts.get(1) {
        _ if parts.contains(&&b".."[..]) => "leads out of the layer",
        Some(first) if *first == b"Files" => "is below Files/ already, as in a layer of Windows",
        _ => return Ok(parts.join(&b'/')),
    };
    let error = Error::new(ErrorKind::Invalid, wrong);
    Err(error.target(String::from_utf8_lossy(name)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::TryStreamExt;

    use super::*;

    async fn made(name: &str) -> Result<Vec<u8>> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_size(2);
        header.set_mode(0o755);
        builder.append_data(&mut header, name, &b"hi"[..]).unwrap();
        let mut link = Header::new_gnu();
        link.set_entry_type(EntryType::Link);
        link.set_size(0);
        link.set_mode(0o644);
        builder.append_link(&mut link, "again", name).unwrap();
        let tar = Bytes::from(builder.into_inner().unwrap());
        let stream = stream::once(async move { Ok(tar) }).boxed();
        let chunks: Vec<Bytes> = repacked(stream, "x.tar".into()).try_collect().await?;
        Ok(chunks.concat())
    }

    #[tokio::test]
    async fn every_entry_is_below_files_with_a_security_descriptor() {
        let bytes = made("./dir/a.txt").await.unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let link = entry.link_name().unwrap();
            let link = link.map(|link| link.display().to_string());
            let records = entry.pax_extensions().unwrap().into_iter().flatten();
            let records = records.map(|record| record.unwrap());
            let secured = records.filter(|record| {
                record.key() == Ok("MSWINDOWS.rawsd") && record.value() == Ok(USERS)
            });
            let secured = secured.count() == 1;
            found.push((path, link, entry.header().mode().unwrap(), secured));
        }
        let one = |path: &str, link: Option<&str>, mode, secured| {
            (path.to_owned(), link.map(str::to_owned), mode, secured)
        };
        let expected = [
            one("Files", None, 0o555, false),
            one("Hives", None, 0o555, false),
            one("Files/dir/a.txt", None, 0o755, true),
            one("Files/again", Some("Files/dir/a.txt"), 0o644, true),
        ];
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn a_layer_of_windows_is_not_made_again() {
        let error = made("Files/a").await.unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with("x.tar: Files/a: is below Files/ already"),
            "{message}"
        );
    }
}
