//! Finds one file in layers, and reads no more of them than the answer needs.

use std::path::Path;
use std::sync::Arc;

use super::kept::Kept;
use super::layer;
use super::names::{self, Says, parts, says};
use super::seen::{Kind, Place, Seen, in_layer};
use super::tree::{Base, Tree};
use super::walk::{Look, Walk, from_root, walk};
use crate::image::StoredLayer;
use crate::stream_reader::read_by;
use crate::verify::blocking;
use crate::{Error, ErrorKind, Result};

/// A file that was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its path without links, from the root on.
    pub(crate) path: String,
    /// The number of its layer, the lowest first.
    pub(crate) layer: usize,
    pub(crate) kept: Kept,
}

/// The file at `path`, as it is with all layers applied. Links are followed within the root.
///
/// Reads layers from the top until those below cannot change the answer. They can while an entry
/// leads through a directory that no entry states: a lower layer may have a link there. The layer of
/// the file is read again if only lower ones tell which file it is.
///
/// # Errors
/// [`ErrorKind::NotFound`] if there is none; [`ErrorKind::Invalid`] for a directory, a device, a
/// path that leads through too many links, and entries that cannot be in a file system; the errors
/// of [`StoredLayer::uncompressed`].
pub(crate) async fn find(layers: &[StoredLayer], path: &[u8], spool: &Path) -> Result<Found> {
    if path.len() > names::LONGEST {
        let message = format!("a path of more than {} bytes", names::LONGEST);
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let asked: Arc<[u8]> = path.into();
    // The layers that were read, the topmost first; and the file under the expected path.
    let (mut read, mut kept) = (Vec::new(), None);
    let (mut expected, mut unjudged) = (path.to_vec(), Unjudged::default());
    for number in (0..layers.len()).rev() {
        let Some(layer) = layers.get(number) else {
            break;
        };
        let (seen, file) = listed(layer, &expected, spool).await?;
        unjudged.add(&seen, &expected);
        if let Some((entry, file)) = file
            && kept.is_none()
        {
            kept = Some((number, entry, file));
        }
        read.push(seen);
        if number > 0 && kept.is_none() && !unjudged.is_due() {
            continue;
        }
        unjudged.judged();
        let (seen, path) = (read, Arc::clone(&asked));
        let judged = blocking(move || judge(seen, &path, number)).await?;
        let (judgement, seen) = judged;
        read = seen;
        match judgement {
            Err((at, error)) if number == 0 => {
                let faulty = layers.get(at).unwrap_or(layer);
                return Err(in_layer(&faulty.descriptor().digest, error));
            }
            Err(_) => {}
            Ok((walk, Answer::Open)) => expected = walk.parts().join(&b'/'),
            Ok((walk, Answer::Certain)) => {
                let Look::File(place) = walk.look else {
                    return Err(walk.error(&asked));
                };
                let place = Place {
                    layer: place.layer + number,
                    ..place
                };
                let kept = match kept {
                    Some((layer, entry, kept)) if (Place { layer, entry }) == place => kept,
                    _ => read_again(layers, place, spool).await?,
                };
                let (path, layer) = (from_root(&walk.path), place.layer);
                return Ok(Found { path, layer, kept });
            }
        }
    }
    // There are no layers.
    Err(walk(&Tree::upon(Base::Nothing), path).error(path))
}

/// What came since the last judgement. A judgement applies all layers anew, and so costs as much as
/// all entries: most layers say nothing of the path, and wait for the next judgement.
#[derive(Default)]
struct Unjudged {
    all: usize,
    new: usize,
    concerns: bool,
}

impl Unjudged {
    fn add(&mut self, layer: &[Seen], expected: &[u8]) {
        let expected = parts(expected).unwrap_or_default();
        self.all += layer.len();
        self.new += layer.len();
        self.concerns |= layer.iter().any(|seen| concerns(seen, &expected));
    }

    fn is_due(&self) -> bool {
        self.concerns || self.new >= self.all / 4
    }

    fn judged(&mut self) {
        (self.new, self.concerns) = (0, false);
    }
}

/// Whether an entry is, hides or replaces something at the path or above it.
fn concerns(seen: &Seen, expected: &[&[u8]]) -> bool {
    let Ok(parts) = parts(&seen.name) else {
        return true;
    };
    let Some((_, folder)) = parts.split_last() else {
        return false;
    };
    let is_above = |path: &[&[u8]]| expected.starts_with(path);
    match says(&parts) {
        Says::Note => false,
        Says::Opaque => is_above(folder),
        Says::Gone(gone) => is_above(&[folder, &[gone]].concat()),
        Says::Entry => {
            let is_whole = parts.len() == expected.len();
            is_above(&parts) && (is_whole || seen.kind != Kind::Directory)
        }
    }
}

/// Whether lower layers may change an answer.
enum Answer {
    Certain,
    Open,
}

/// The layers again, and what they say of the path; or the layer that is at fault.
type Judged = (Result<(Walk, Answer), (usize, Error)>, Vec<Vec<Seen>>);

/// What layers, the topmost first, say of a path. Those below `lowest` were not read.
fn judge(mut layers: Vec<Vec<Seen>>, path: &[u8], lowest: usize) -> Judged {
    let base = match lowest {
        0 => Base::Nothing,
        _ => Base::Unknown,
    };
    layers.reverse();
    let mut tree = Tree::upon(base);
    let mut numbered = layers.iter().enumerate();
    let applied = numbered.try_for_each(|(number, layer)| {
        tree.apply(layer).map_err(|error| (number + lowest, error))
    });
    let judged = applied.map(|()| {
        let walk = walk(&tree, path);
        let answer = match base == Base::Nothing || walk.is_certain(&tree) {
            true => Answer::Certain,
            false => Answer::Open,
        };
        (walk, answer)
    });
    layers.reverse();
    (judged, layers)
}

/// The entries of a layer, and the last file of them with the name `expected`.
async fn listed(
    layer: &StoredLayer,
    expected: &[u8],
    spool: &Path,
) -> Result<(Vec<Seen>, Option<(usize, Kept)>)> {
    let (expected, spool) = (expected.to_vec(), spool.to_owned());
    let list = move |reader| {
        let expected = parts(&expected).unwrap_or_default();
        let mut kept = None;
        let seen = layer::each(reader, |number, entry, entries| {
            if entry.kind.is_file() && parts(&entry.name)? == expected {
                kept = Some((number, Kept::of(entry, entries, &spool)?));
            }
            Ok(())
        })?;
        Ok((seen, kept))
    };
    let listed = read_by(layer.uncompressed().await?, list).await;
    listed.map_err(|error| in_layer(&layer.descriptor().digest, error))
}

/// The content of an entry of a layer that was read before.
async fn read_again(layers: &[StoredLayer], place: Place, spool: &Path) -> Result<Kept> {
    let changed = || Error::new(ErrorKind::Corrupt, "it changed between two readings");
    let layer = layers.get(place.layer).ok_or_else(changed)?;
    let spool = spool.to_owned();
    let list = move |reader| {
        let mut kept = None;
        layer::each(reader, |number, entry, entries| {
            if number == place.entry {
                kept = Some(Kept::of(entry, entries, &spool)?);
            }
            Ok(())
        })?;
        kept.ok_or_else(changed)
    };
    let kept = read_by(layer.uncompressed().await?, list).await;
    kept.map_err(|error| in_layer(&layer.descriptor().digest, error))
}
