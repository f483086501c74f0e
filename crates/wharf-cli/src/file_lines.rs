//! The files of an image as lines, for people and for programs.

use bytes::Bytes;
use jiff::Timestamp;
use wharf::rootfs::{FileEntry, FileKind};

use crate::json_line::JsonLine;

/// How a file is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Its path.
    Short,
    /// As by `ls -l`, with numbers for owner and group.
    Long,
    /// A JSON object.
    Json,
}

/// Lines that are printed at a time.
const AT_ONCE: usize = 1000;

/// The lines for these files, some at a time.
pub(crate) fn lines(files: Vec<FileEntry>, style: Style) -> impl Iterator<Item = Bytes> {
    let widths = Widths::of(&files);
    let mut files = files.into_iter();
    std::iter::from_fn(move || {
        let mut lines = Vec::new();
        for file in files.by_ref().take(AT_ONCE) {
            match style {
                Style::Short => lines.extend_from_slice(&rooted(&file.path)),
                Style::Long => long(&file, &widths, &mut lines),
                Style::Json => lines.extend_from_slice(json(&file).to_string().as_bytes()),
            }
            lines.push(b'\n');
        }
        (!lines.is_empty()).then(|| lines.into())
    })
}

/// A path from the root on.
fn rooted(path: &[u8]) -> Vec<u8> {
    [b"/", path].concat()
}

/// The widths of the columns.
struct Widths {
    owner: usize,
    size: usize,
}

impl Widths {
    fn of(files: &[FileEntry]) -> Self {
        let widest = |width: fn(&FileEntry) -> usize| files.iter().map(width).max().unwrap_or(0);
        Widths {
            owner: widest(|file| owner(file).len()),
            size: widest(|file| size(file).len()),
        }
    }
}

fn owner(file: &FileEntry) -> String {
    format!("{}:{}", file.uid, file.gid)
}

/// The size, or the numbers of a device.
fn size(file: &FileEntry) -> String {
    match &file.kind {
        FileKind::CharDevice(major, minor) | FileKind::BlockDevice(major, minor) => {
            format!("{major},{minor}")
        }
        _ => file.size.to_string(),
    }
}

fn long(file: &FileEntry, widths: &Widths, line: &mut Vec<u8>) {
    let columns = format!(
        "{}{} {:<owner$} {:>size$} {} ",
        letter(&file.kind),
        permissions(file.mode),
        owner(file),
        size(file),
        time(file.modified),
        owner = widths.owner,
        size = widths.size,
    );
    line.extend_from_slice(columns.as_bytes());
    line.extend_from_slice(&rooted(&file.path));
    match &file.kind {
        FileKind::Symlink(target) => line.extend_from_slice(&[b" -> ", &target[..]].concat()),
        FileKind::HardLink(path) => line.extend_from_slice(&[b" link to /", &path[..]].concat()),
        _ => {}
    }
}

fn letter(kind: &FileKind) -> char {
    match kind {
        FileKind::Directory => 'd',
        FileKind::Symlink(_) => 'l',
        FileKind::CharDevice(..) => 'c',
        FileKind::BlockDevice(..) => 'b',
        FileKind::Fifo => 'p',
        _ => '-',
    }
}

/// `rwxr-xr-x`, with `s`, `S`, `t` and `T` as in `ls`.
fn permissions(mode: u32) -> String {
    let special = [(0o4000, 's', 'S'), (0o2000, 's', 'S'), (0o1000, 't', 'T')];
    let mut text = String::with_capacity(9);
    for (at, (bit, both, alone)) in special.into_iter().enumerate() {
        let bits = mode >> (6 - 3 * at);
        let letter = |wanted: u32, letter: char| match bits & wanted {
            0 => '-',
            _ => letter,
        };
        text.push(letter(4, 'r'));
        text.push(letter(2, 'w'));
        text.push(match (mode & bit != 0, bits & 1 != 0) {
            (true, true) => both,
            (true, false) => alone,
            (false, _) => letter(1, 'x'),
        });
    }
    text
}

/// In UTC; what no calendar has is in seconds since 1970.
fn time(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(time) => time.to_string(),
        Err(_) => seconds.to_string(),
    }
}

fn json(file: &FileEntry) -> JsonLine {
    let path = rooted(&file.path);
    let (word, link) = match &file.kind {
        FileKind::File => ("file", None),
        FileKind::HardLink(path) => ("hardlink", Some(rooted(path))),
        FileKind::Directory => ("directory", None),
        FileKind::Symlink(target) => ("symlink", Some(target.clone())),
        FileKind::CharDevice(..) => ("char", None),
        FileKind::BlockDevice(..) => ("block", None),
        FileKind::Fifo => ("fifo", None),
        _ => ("unknown", None),
    };
    let line = JsonLine::new("path", &String::from_utf8_lossy(&path));
    let mut line = exact(line, "path_hex", &path)
        .text("type", word)
        .text("mode", format_args!("{:04o}", file.mode))
        .number("uid", file.uid.into())
        .number("gid", file.gid.into())
        .number("size", file.size)
        .text("modified", time(file.modified))
        .number("layer", file.layer as u64);
    if let FileKind::CharDevice(major, minor) | FileKind::BlockDevice(major, minor) = &file.kind {
        line = line.number("major", (*major).into());
        line = line.number("minor", (*minor).into());
    }
    match link {
        None => line,
        Some(link) => {
            let line = line.text("link", String::from_utf8_lossy(&link));
            exact(line, "link_hex", &link)
        }
    }
}

/// Adds bytes that JSON cannot have as text.
fn exact(line: JsonLine, key: &str, bytes: &[u8]) -> JsonLine {
    match std::str::from_utf8(bytes) {
        Ok(_) => line,
        Err(_) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            line.text(key, hex)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_written_as_by_ls() {
        for (mode, text) in [
            (0o755, "rwxr-xr-x"),
            (0o4755, "rwsr-xr-x"),
            (0o6640, "rwSr-S---"),
            (0o1777, "rwxrwxrwt"),
            (0o1776, "rwxrwxrwT"),
        ] {
            assert_eq!(permissions(mode), text);
        }
    }
}
