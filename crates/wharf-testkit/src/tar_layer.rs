//! Layers with entries of all kinds, also such as no honest program writes.

use std::io::Write;

use tar::{EntryType, Header};

use crate::layer::LayerSpec;

/// A tar that is written entry by entry. Names are bytes, and are written as they are.
#[derive(Clone, Debug)]
pub struct TarLayer {
    bytes: Vec<u8>,
    mode: u32,
    owner: (u64, u64),
    modified: u64,
    records: Vec<u8>,
}

impl Default for TarLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl TarLayer {
    /// A tar without entries.
    pub fn new() -> Self {
        TarLayer {
            bytes: Vec::new(),
            mode: 0o644,
            owner: (0, 0),
            modified: 1_700_000_000,
            records: Vec::new(),
        }
    }

    /// The mode of the entries that follow.
    #[must_use]
    pub fn mode(self, mode: u32) -> Self {
        TarLayer { mode, ..self }
    }

    /// Owner and group of the entries that follow.
    #[must_use]
    pub fn owner(self, uid: u64, gid: u64) -> Self {
        let owner = (uid, gid);
        TarLayer { owner, ..self }
    }

    /// The time of the entries that follow, in seconds since 1970.
    #[must_use]
    pub fn modified(self, modified: u64) -> Self {
        TarLayer { modified, ..self }
    }

    /// A record of the extended header of the next entry (POSIX pax).
    #[must_use]
    pub fn record(mut self, key: &str, value: &[u8]) -> Self {
        let rest = key.len() + value.len() + 3;
        let mut length = rest;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        write!(self.records, "{length} {key}=").expect("memory");
        self.records.extend_from_slice(value);
        self.records.push(b'\n');
        self
    }

    /// A file.
    #[must_use]
    pub fn file(self, name: impl AsRef<[u8]>, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, name.as_ref(), b"", content)
    }

    /// A directory.
    #[must_use]
    pub fn directory(self, name: impl AsRef<[u8]>) -> Self {
        self.entry(EntryType::Directory, name.as_ref(), b"", b"")
    }

    /// A link by name.
    #[must_use]
    pub fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(EntryType::Symlink, name.as_ref(), target.as_ref(), b"")
    }

    /// Another name of the file `target`.
    #[must_use]
    pub fn hard_link(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(EntryType::Link, name.as_ref(), target.as_ref(), b"")
    }

    /// A pipe.
    #[must_use]
    pub fn fifo(self, name: impl AsRef<[u8]>) -> Self {
        self.entry(EntryType::Fifo, name.as_ref(), b"", b"")
    }

    /// A character device.
    #[must_use]
    pub fn device(self, name: impl AsRef<[u8]>, major: u32, minor: u32) -> Self {
        self.write(
            EntryType::Char,
            name.as_ref(),
            b"",
            b"",
            Some((major, minor)),
        )
    }

    /// An entry of any kind.
    #[must_use]
    pub fn entry(self, kind: EntryType, name: &[u8], link: &[u8], content: &[u8]) -> Self {
        self.write(kind, name, link, content, None)
    }

    /// Bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The tar so far, with its end mark.
    pub fn tar(&self) -> Vec<u8> {
        [&self.bytes[..], &[0; 1024]].concat()
    }

    /// The tar as an uncompressed layer.
    pub fn layer(&self) -> LayerSpec {
        LayerSpec::bytes("application/vnd.oci.image.layer.v1.tar", &self.tar())
    }

    fn write(
        mut self,
        kind: EntryType,
        name: &[u8],
        link: &[u8],
        content: &[u8],
        device: Option<(u32, u32)>,
    ) -> Self {
        if name.len() > 100 {
            self = self.record("path", name);
        }
        if link.len() > 100 {
            self = self.record("linkpath", link);
        }
        let records = std::mem::take(&mut self.records);
        if !records.is_empty() {
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::XHeader);
            header.set_mode(0o644);
            self.block(header, b"pax", &records);
        }
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(self.mode);
        header.set_uid(self.owner.0);
        header.set_gid(self.owner.1);
        header.set_mtime(self.modified);
        if let Some((major, minor)) = device {
            header.set_device_major(major).expect("a ustar header");
            header.set_device_minor(minor).expect("a ustar header");
        }
        let link = &link[..link.len().min(100)];
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link);
        self.block(header, name, content);
        self
    }

    fn block(&mut self, mut header: Header, name: &[u8], content: &[u8]) {
        let name = &name[..name.len().min(100)];
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(content);
        let padded = self.bytes.len().next_multiple_of(512);
        self.bytes.resize(padded, 0);
    }
}
