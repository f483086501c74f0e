//! The layers of a docker archive as Docker before 1.10 reads it: unpacked, each in a folder that is
//! named after the layer and all below it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use wharf_oci::{Algorithm, Descriptor, Digest, History, ImageConfig, ImageManifest, MediaType};

use super::catalogue::found;
use super::tarball::Tarball;
use crate::blob::Blob;
use crate::image::unpacked;
use crate::spool::{self, Spooled};
use crate::store::files::Region;
use crate::sync::Lock;
use crate::verify;
use crate::{Error, ErrorKind, Result};

/// The member that names each image by its top layer.
pub(super) const REPOSITORIES_FILE: &str = "repositories";

/// The unpacked layers, in temporary files until the archive ends: their sizes stand before them.
#[derive(Debug, Default)]
pub(super) struct LegacyLayers {
    unpacked: Lock<HashMap<Digest, Unpacked>>,
}

/// An unpacked layer, and the size of what it was unpacked from.
#[derive(Clone, Debug)]
struct Unpacked {
    blob: Blob,
    size: u64,
}

/// The folders of an image that was written.
#[derive(Debug)]
pub(super) struct Folders {
    /// `layer.tar` of each layer, the lowest first.
    pub(super) layers: Vec<String>,
    /// The name of the top layer's folder.
    pub(super) top: Option<String>,
}

impl LegacyLayers {
    pub(super) fn contains(&self, descriptor: &Descriptor) -> bool {
        let unpacked = self.unpacked.lock();
        let layer = unpacked.get(&descriptor.digest);
        layer.is_some_and(|layer| layer.size == descriptor.size)
    }

    /// Unpacks a layer, which is checked as it flows.
    pub(super) async fn keep(&self, blob: &Blob, spool_dir: &Path) -> Result<()> {
        let (sender, receiver) = oneshot::channel();
        let stream = unpacked(blob.read().await?);
        let stream = verify::learn(stream, Algorithm::Sha256, sender);
        let Spooled { file, length } = spool::stream(stream, spool_dir).await?;
        let unread = |_| Error::new(ErrorKind::Cancelled, "content was not read to its end");
        let (digest, _) = receiver.await.map_err(unread)?;
        let region = Region {
            file: Arc::new(file),
            name: "temporary file".to_owned(),
            start: 0,
            length,
        };
        let layer = Unpacked {
            blob: region.blob(Descriptor::new(MediaType::OCI_LAYER, digest, length)),
            size: blob.descriptor().size,
        };
        let digest = blob.descriptor().digest.clone();
        self.unpacked.lock().insert(digest, layer);
        Ok(())
    }

    /// Writes the folders of an image that are not in `written` yet.
    pub(super) async fn write(
        &self,
        tarball: &Tarball,
        (image, bytes): (&ImageManifest, &Bytes),
        written: &mut HashSet<String>,
    ) -> Result<Folders> {
        let config = parsed(image, bytes)?;
        let history = history(image, &config)?;
        let (mut layers, mut parent) = (Vec::new(), None);
        for (at, (layer, history)) in image.layers.iter().zip(history).enumerate() {
            let is_top = at + 1 == image.layers.len();
            let whole = is_top.then_some((&config, bytes));
            let id = id(
                &layer.digest,
                parent.as_deref(),
                whole.map(|(_, bytes)| bytes),
            );
            let tar = format!("{id}/layer.tar");
            if written.insert(id.clone()) {
                let unpacked = self.unpacked.lock().get(&layer.digest).cloned();
                let unpacked = found(unpacked, &layer.digest, &tarball.name())?;
                tarball.copy(&tar, &unpacked.blob).await?;
                let facts = facts(
                    &id,
                    parent.as_deref(),
                    &history,
                    whole.map(|(config, _)| config),
                );
                tarball.document(&format!("{id}/json"), facts).await?;
                let version = Bytes::from_static(b"1.0");
                tarball.document(&format!("{id}/VERSION"), version).await?;
            }
            layers.push(tar);
            parent = Some(id);
        }
        Ok(Folders {
            layers,
            top: parent,
        })
    }
}

/// Whether the history of an image fits its layers.
///
/// # Errors
/// [`ErrorKind::Invalid`] if not.
pub(super) fn check(image: &ImageManifest, bytes: &Bytes) -> Result<()> {
    history(image, &parsed(image, bytes)?).map(drop)
}

fn parsed(image: &ImageManifest, bytes: &Bytes) -> Result<ImageConfig> {
    let config = ImageConfig::parse(bytes);
    config.map_err(|error| Error::from(error).target(&image.config.digest))
}

/// The history of each layer; none at all is fine.
fn history(image: &ImageManifest, config: &ImageConfig) -> Result<Vec<History>> {
    let history = config.history.iter().filter(|step| !step.empty_layer);
    let history: Vec<History> = history.cloned().collect();
    let layers = image.layers.len();
    match history.len() {
        0 => Ok(vec![History::default(); layers]),
        steps if steps == layers => Ok(history),
        steps => {
            let message =
                format!("the config has the history of {steps} layers, the image {layers}");
            Err(Error::new(ErrorKind::Invalid, message).target(&image.config.digest))
        }
    }
}

/// The name of a layer's folder, by the layer and all below it; that of the top one also by the
/// config.
fn id(layer: &Digest, parent: Option<&str>, config: Option<&Bytes>) -> String {
    let mut text = format!("{} {}", layer.hex(), parent.unwrap_or_default()).into_bytes();
    if let Some(config) = config {
        text.push(b' ');
        text.extend_from_slice(config);
    }
    Digest::of(&text).hex().to_owned()
}

/// The file `json` of a layer.
fn facts(id: &str, parent: Option<&str>, history: &History, top: Option<&ImageConfig>) -> Bytes {
    let mut facts = Map::new();
    let mut set = |name: &str, value: Value| {
        if !value.is_null() {
            facts.insert(name.to_owned(), value);
        }
    };
    set("id", json!(id));
    set("parent", json!(parent));
    set("created", json!(history.created));
    set("author", json!(history.author));
    set("comment", json!(history.comment));
    let command = history.created_by.as_deref().unwrap_or_default();
    set("container_config", json!({"Cmd": [command]}));
    if let Some(config) = top {
        set("created", json!(config.created));
        set("architecture", json!(config.architecture));
        set("os", json!(config.os));
        set("config", json!(config.config));
    }
    Value::Object(facts).to_string().into()
}

/// The file `repositories`: the top layer of each name.
pub(super) fn repositories(tops: &[(String, String)]) -> Bytes {
    let mut repositories: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for (name, top) in tops {
        if let Some((repository, tag)) = name.rsplit_once(':') {
            let tags = repositories.entry(repository).or_default();
            tags.insert(tag, top);
        }
    }
    json!(repositories).to_string().into()
}
