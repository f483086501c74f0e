//! Whether a tar is whole, seen while its bytes pass.

use std::sync::Arc;

use futures::{StreamExt, stream};
use tar::{EntryType, GnuExtSparseHeader, Header};

use super::entries::{BLOCK, ends, kind_of};
use super::extension::{Extension, MOST};
use crate::Result;
use crate::byte_stream::ByteStream;
use crate::sniff::is_tar;

/// Passes a tar called `name` on. Where it ends in the middle of an entry, the stream fails instead
/// of ending, with [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) and the offset.
pub(crate) fn whole(stream: ByteStream, name: Arc<str>) -> ByteStream {
    let state = (stream, Whole::default(), name);
    stream::try_unfold(state, |(mut stream, mut whole, name)| async move {
        match stream.next().await.transpose()? {
            Some(chunk) => {
                whole.add(&chunk);
                Ok(Some((chunk, (stream, whole, name))))
            }
            None => {
                whole.end().map_err(|error| error.target(name))?;
                Ok(None)
            }
        }
    })
    .boxed()
}

/// Follows a tar from header to header. What does not begin as a tar is not judged, nor what follows
/// its end mark, or bytes that are no header. A tar may end between entries, without its end mark:
/// GNU tar and Docker read such ones.
#[derive(Default)]
pub(crate) struct Whole {
    position: u64,
    state: State,
    /// The bytes so far of a block, or of an extension header.
    held: Vec<u8>,
    /// What is known of the next entry.
    extension: Extension,
}

#[derive(Clone, Copy, Default)]
enum State {
    /// In a header, or before one.
    #[default]
    Header,
    /// In the content of an extension header at an offset.
    Extension(u64, EntryType, usize),
    /// In a block with more holes of a file, of which so many bytes are stored after that.
    Holes(u64),
    /// In content, with what is left of it and of its padding.
    Content(u64, u64),
    /// Whatever follows is not looked at.
    Done,
}

impl Whole {
    /// The next bytes.
    pub(crate) fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.take(bytes);
            self.position += taken as u64;
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    /// There are no more.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) with the offset, where an entry is not whole.
    pub(crate) fn end(&self) -> Result<()> {
        let cut = match self.state {
            State::Done => false,
            // A piece of a block of zeros is the end mark of a careless writer.
            State::Header => {
                self.position >= BLOCK as u64 && self.held.iter().any(|byte| *byte != 0)
            }
            State::Extension(..) | State::Holes(_) => true,
            // The padding of the last entry may be absent.
            State::Content(left, _) => left > 0,
        };
        match cut {
            true => Err(ends(self.position)),
            false => Ok(()),
        }
    }

    /// Takes some of `bytes`, at least one. How many it took.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let want = match self.state {
            State::Done => return bytes.len(),
            State::Content(left, padding) => return self.pass(left, padding, bytes.len()),
            State::Header | State::Holes(_) => BLOCK,
            State::Extension(_, _, size) => size,
        };
        let missing = want.saturating_sub(self.held.len());
        let (part, _) = bytes.split_at(missing.min(bytes.len()));
        self.held.extend_from_slice(part);
        if self.held.len() == want {
            let held = std::mem::take(&mut self.held);
            let at = (self.position + part.len() as u64).saturating_sub(BLOCK as u64);
            // What is not understood is not judged.
            self.state = self.next(at, &held).unwrap_or(State::Done);
        }
        part.len()
    }

    fn pass(&mut self, left: u64, padding: u64, most: usize) -> usize {
        let passed = (left.saturating_add(padding)).min(most as u64);
        let content = passed.min(left);
        let rest = (left - content, padding - (passed - content));
        self.state = match rest {
            (0, 0) => State::Header,
            (left, padding) => State::Content(left, padding),
        };
        // Not more than `most`, so it fits.
        usize::try_from(passed).unwrap_or(most)
    }

    /// What follows a whole piece. Of a block, `at` is the offset.
    fn next(&mut self, at: u64, held: &[u8]) -> Option<State> {
        match self.state {
            State::Header => self.after_header(at, held),
            State::Holes(stored) => {
                let mut block = GnuExtSparseHeader::new();
                block.as_mut_bytes().copy_from_slice(held);
                match block.is_extended() {
                    true => Some(State::Holes(stored)),
                    false => content(stored),
                }
            }
            State::Extension(at, kind, size) => {
                let read = || Ok(held);
                self.extension.add(at, kind, size as u64, read).ok()?;
                match content(size as u64)? {
                    State::Content(_, padding) if padding > 0 => Some(State::Content(0, padding)),
                    _ => Some(State::Header),
                }
            }
            State::Content(..) | State::Done => None,
        }
    }

    fn after_header(&mut self, at: u64, block: &[u8]) -> Option<State> {
        // Not so for zeros: their sum is not that of a header.
        if !is_tar(block) {
            return None;
        }
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        let (kind, own) = (header.entry_type(), header.entry_size().ok()?);
        if Extension::is(kind) {
            return match own {
                0 => Some(State::Header),
                _ if kind.is_pax_global_extensions() => content(own),
                _ if own > MOST => None,
                _ => Some(State::Extension(at, kind, usize::try_from(own).ok()?)),
            };
        }
        let of = std::mem::take(&mut self.extension);
        let stored = of
            .stored(at, kind_of(&header, &of.name(&header)), own)
            .ok()?;
        match header.as_gnu() {
            Some(gnu) if kind.is_gnu_sparse() && gnu.is_extended() => Some(State::Holes(stored)),
            _ => content(stored),
        }
    }
}

/// So many bytes of content, and their padding to whole blocks.
fn content(size: u64) -> Option<State> {
    match size.checked_next_multiple_of(BLOCK as u64)? - size {
        0 if size == 0 => Some(State::Header),
        padding => Some(State::Content(size, padding)),
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use tar::Builder;

    use super::*;
    use crate::ErrorKind;
    use crate::tar_entries::Entries;

    /// Entries of every shape that decides where the next header is.
    fn tar() -> Vec<u8> {
        let mut tar = Builder::new(Vec::new());
        let mut add = |kind, path: &str, size: u64, content: &[u8]| {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(size);
            tar.append_data(&mut header, path, content).unwrap();
        };
        add(EntryType::Directory, "d/", 0, b"");
        add(EntryType::Regular, &"long/".repeat(60), 3, b"abc");
        add(EntryType::Regular, "block", 512, &[7; 512]);
        add(EntryType::Regular, "empty", 0, b"");
        tar.append_pax_extensions([("size", &b"700"[..]), ("comment", b"x")])
            .unwrap();
        let mut header = Header::new_ustar();
        header.set_path("by-record").unwrap();
        header.set_size(700);
        header.set_cksum();
        tar.append(&header, &[9; 700][..]).unwrap();
        let mut link = Header::new_gnu();
        link.set_entry_type(EntryType::Link);
        // No content follows.
        link.set_size(0);
        tar.append_link(&mut link, "link", "block").unwrap();
        tar.into_inner().unwrap()
    }

    fn judged(bytes: &[u8], chunk: usize) -> Result<()> {
        let mut whole = Whole::default();
        bytes.chunks(chunk).for_each(|chunk| whole.add(chunk));
        whole.end()
    }

    /// Whether the reader of entries says that it ends too early.
    fn ends_early(bytes: &[u8]) -> bool {
        let mut entries = Entries::new(bytes);
        loop {
            match entries.next() {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(error) => return error.to_string().starts_with("truncated tar"),
            }
        }
    }

    #[test]
    fn says_the_same_as_the_reader_wherever_a_tar_is_cut() {
        let tar = tar();
        assert!(!ends_early(&tar));
        for length in 0..=tar.len() {
            let cut = tar.get(..length).unwrap();
            for chunk in [1 << 20, 511] {
                let said = judged(cut, chunk);
                assert_eq!(said.is_err(), ends_early(cut), "{length}: {said:?}");
            }
        }
    }

    #[test]
    fn follows_the_list_of_holes_of_the_old_format() {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::GNUSparse);
        header.set_path("holes").unwrap();
        header.set_size(10);
        header.as_gnu_mut().unwrap().isextended[0] = 1;
        header.set_cksum();
        let mut more = GnuExtSparseHeader::new();
        more.as_mut_bytes()[504] = 1;
        let last = GnuExtSparseHeader::new();
        let mut tar = header.as_bytes().to_vec();
        tar.extend_from_slice(more.as_bytes());
        tar.extend_from_slice(last.as_bytes());
        tar.extend_from_slice(&[1; 10]);
        for length in [600, 1024, 1536, 1545] {
            assert!(judged(&tar[..length], 1000).is_err(), "{length}");
        }
        assert!(judged(&tar, 1000).is_ok());
    }

    #[test]
    fn what_is_no_tar_is_not_judged() {
        for content in [&b""[..], b"{}", &[1; 5000], &[0; 700]] {
            assert!(judged(content, 100).is_ok());
        }
        let mut changed = tar();
        changed.truncate(512);
        changed.extend_from_slice(&[1; 600]);
        assert!(judged(&changed, 512).is_ok());
    }

    #[tokio::test]
    async fn a_stream_fails_instead_of_ending() {
        let run = async |bytes: Vec<u8>| {
            let chunks = stream::iter(vec![Ok(bytes.into())]).boxed();
            let chunks = whole(chunks, "x.tar".into());
            chunks.try_collect::<Vec<_>>().await
        };
        assert!(run(tar()).await.is_ok());
        let error = run(tar()[..700].to_vec()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(
            error.to_string(),
            "x.tar: truncated tar: it ends in the middle of an entry, at offset 700"
        );
    }
}
