//! Archives of images: the bytes of a tar or, if the first byte is odd, a tar made of names and
//! contents, so that the documents inside are reached.
#![no_main]

use std::io::Write;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;
use wharf::Source;
use wharf::store::archive::{self, Archive, ArchiveOptions, Input};

type Entries<'a> = Vec<(&'a str, &'a [u8])>;

fuzz_target!(|input: (bool, Entries<'_>, &[u8])| {
    let (made, entries, raw) = input;
    let tar = match made {
        true => tar_of(&entries),
        false => raw.to_vec(),
    };
    open(&tar);
});

fn tar_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let name = match name.as_bytes().first() {
            Some(b'0'..=b'9') => "manifest.json",
            Some(b'A'..=b'F') => "index.json",
            Some(b'G'..=b'L') => "oci-layout",
            _ => name,
        };
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // A name that does not fit into a tar makes no entry.
        let _ = builder.append_data(&mut header, name, *content);
    }
    builder
        .into_inner()
        .expect("a vector takes all that is written")
}

fn open(tar: &[u8]) {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.build().expect("a runtime without input and output")
    });
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(tar).expect("room for it");
    let options = ArchiveOptions {
        spool_dir: std::env::temp_dir(),
        compression: wharf::layer::Settings::default(),
        memory: None,
    };
    let input = Input::Path(file.path().to_owned());
    runtime.block_on(async {
        match archive::open(input, options).await {
            Ok(Archive::Docker(archive)) => {
                for image in archive.images() {
                    let _ = archive.draft(image).await;
                }
            }
            Ok(Archive::Oci(archive)) => {
                for entry in archive.entries().unwrap_or_default() {
                    let _ = archive.manifest(&entry.descriptor).await;
                }
            }
            Ok(_) => {}
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
}
