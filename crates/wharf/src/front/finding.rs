//! What a validation finds.

use std::fmt;

use wharf_oci::{Digest, Platform, Printable};

use crate::image::LayerFault;
use crate::{Error, ErrorKind};

/// The most characters of foreign text in a finding.
const MOST_SHOWN: usize = 256;

/// How much a validation reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckDepth {
    /// All content, to its end.
    #[default]
    Content,
    /// Manifests and configs. Layers and other blobs are asked for only, so damage to them is not
    /// found.
    Presence,
}

/// Something that is wrong with content. As text it is one line.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The content that is wrong: a manifest, a config, a layer or another blob.
    pub content: Digest,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with content.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// It is not there, has another size, digest or diff id than is stated, or is not of its form.
    Content(Error),
    /// The config of an image states another number of layers than its manifest.
    LayerCount {
        /// The layers of the manifest.
        layers: usize,
        /// The diff ids of the config.
        diff_ids: usize,
    },
    /// The config of an image has another `rootfs.type` than `layers`.
    RootFs(String),
    /// A layer has the right bytes, and something is wrong with what they unpack to.
    Layer(LayerFault),
    /// An index states another platform for an image than the config of the image.
    Platform {
        /// As the index states it.
        stated: Box<Platform>,
        /// As the config states it.
        found: Box<Platform>,
    },
}

impl Finding {
    pub(super) fn new(content: &Digest, fault: Fault) -> Self {
        let content = content.clone();
        Finding { content, fault }
    }
}

/// Whether an error is about content, and not about reaching it.
pub(super) fn is_of_content(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Corrupt | ErrorKind::Unsupported => {
            true
        }
        // Content that expands out of proportion.
        ErrorKind::Refused => error.guard().is_none(),
        _ => false,
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = &self.content;
        match &self.fault {
            Fault::Content(error) => {
                let said = error.to_string();
                match said.contains(digest.hex()) {
                    true => f.write_str(&said),
                    false => write!(f, "{digest}: {said}"),
                }
            }
            Fault::LayerCount { layers, diff_ids } => {
                write!(
                    f,
                    "{digest}: {layers} layers, but the config has {diff_ids} diff ids"
                )
            }
            Fault::RootFs(kind) => {
                let kind = Printable(kind, MOST_SHOWN);
                write!(f, "{digest}: rootfs.type is \"{kind}\", not \"layers\"")
            }
            Fault::Layer(LayerFault::PathTwice(path)) => {
                let path = Printable(path, MOST_SHOWN);
                write!(f, "layer {digest}: the path {path} is there twice")
            }
            Fault::Layer(_) => write!(f, "layer {digest}: not as it should be"),
            Fault::Platform { stated, found } => {
                write!(
                    f,
                    "{digest}: its config is for {found}, but the index says {stated}"
                )
            }
        }
    }
}
