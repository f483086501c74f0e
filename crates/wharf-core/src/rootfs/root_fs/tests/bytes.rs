//! Layers as they stand in their bytes: names, attributes, holes, and what is no tar.

use tar::{EntryType, Header};
use wharf_oci::Digest;

use super::fixtures::{file, layer_of, merged, read_back};
use crate::ErrorKind;

/// A header with a name that no builder takes.
fn raw(name: &[u8], size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_cksum();
    header
}

#[tokio::test]
async fn a_name_that_leaves_the_root_is_an_error_of_its_layer() {
    let layer = raw(b"../x", 0).as_bytes().to_vec();
    let digest = Digest::of(&layer).to_string();
    let error = merged(&[layer]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error
            .to_string()
            .starts_with(&format!("layer {digest}: ../x")),
        "{error}"
    );
}

#[tokio::test]
async fn names_of_any_bytes_and_length_and_attributes_stay() {
    let mut layer = raw(b"\xff\xfe", 0).as_bytes().to_vec();
    let long = "n/".repeat(200) + "\u{e9}";
    let mut records = crate::tar_entries::Records::default();
    records.add(b"path", long.as_bytes());
    records.add(b"SCHILY.xattr.security.capability", b"\x01\n\x00=\n");
    records.add(b"mtime", b"1.5");
    let records = records.to_bytes();
    let mut header = raw(b"x", records.len() as u64);
    header.set_entry_type(EntryType::XHeader);
    header.set_cksum();
    layer.extend_from_slice(header.as_bytes());
    layer.extend_from_slice(&records);
    layer.resize(layer.len().next_multiple_of(512), 0);
    let mut header = raw(b"short", 0);
    // A number of GNU's binary form: -2.
    header.as_mut_bytes()[136..148].fill(0xff);
    header.as_mut_bytes()[147] = 0xfe;
    header.as_mut_bytes()[108..116].copy_from_slice(&[0x80, 0, 0, 0, 1, 0, 0, 5]);
    header.set_cksum();
    layer.extend_from_slice(header.as_bytes());
    let tar = merged(&[layer]).await.unwrap();
    // The reader of the crate `tar` stops at the line end in the attribute.
    let mut entries = crate::tar_entries::Entries::new(&tar[..]);
    let first = entries.next().unwrap().unwrap();
    assert_eq!(first.name, b"\xff\xfe");
    let second = entries.next().unwrap().unwrap();
    assert_eq!(second.name, long.as_bytes());
    let found = |bytes: &[u8]| tar.windows(bytes.len()).any(|part| part == bytes);
    assert!(found(b"SCHILY.xattr.security.capability=\x01\n\x00=\n\n"));
    assert!(found(b"mtime=1.5\n") && found(b"uid=16777221\n"));
    assert!(!found(b"mtime=-2\n"), "the record is the newer word");
}

#[tokio::test]
async fn holes_become_zeros_and_are_bounded() {
    let pax = |text: &str, stored: u64| {
        let mut header = raw(b"x", text.len() as u64);
        header.set_entry_type(EntryType::XHeader);
        header.set_cksum();
        let mut layer = header.as_bytes().to_vec();
        layer.extend_from_slice(text.as_bytes());
        layer.resize(layer.len().next_multiple_of(512), 0);
        layer.extend_from_slice(raw(b"stored", stored).as_bytes());
        layer
    };
    let text = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n\
                26 GNU.sparse.realsize=10\n25 GNU.sparse.name=holes\n";
    let mut layer = pax(text, 515);
    let map = "2\n1\n2\n7\n1\n";
    layer.extend_from_slice(map.as_bytes());
    layer.resize(layer.len().next_multiple_of(512), 0);
    layer.extend_from_slice(b"abc");
    layer.resize(layer.len().next_multiple_of(512), 0);
    let tar = merged(&[layer]).await.unwrap();
    let all = read_back(&tar);
    assert_eq!(all.len(), 1);
    assert_eq!((&*all[0].1, &*all[0].2), ("holes", "\0ab\0\0\0\0c\0\0"));

    let text = "34 GNU.sparse.size=99999999999999\n22 GNU.sparse.map=0,0\n";
    let error = merged(&[pax(text, 0)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
}

#[tokio::test]
async fn what_is_no_tar_or_ends_early_says_where() {
    let whole = layer_of(&[file("a", &"x".repeat(2000))]);
    for (bytes, said) in [
        (whole[..1200].to_vec(), "truncated tar"),
        (b"{}".repeat(400), "not a tar: looks like JSON"),
        (
            [whole[..2560].to_vec(), vec![7; 512]].concat(),
            "malformed tar at offset 2560",
        ),
    ] {
        let error = merged(&[bytes]).await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.to_string().starts_with("layer sha256:"), "{error}");
    }
    assert_eq!(merged(&[Vec::new()]).await.unwrap(), [0; 1024]);
}
