//! `manifest.json` of a docker archive, and the configs it names.

use serde::Deserialize;
use wharf_oci::{Descriptor, Digest, ImageConfig, MediaType, Platform};

use super::members::Members;
use crate::store::files::{Files, Region};
use crate::{Error, ErrorKind, Result};

/// The file that lists the images.
pub(super) const MANIFEST_FILE: &str = "manifest.json";

/// One image as `manifest.json` lists it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ManifestEntry {
    pub(super) config: String,
    #[serde(default)]
    pub(super) repo_tags: Option<Vec<String>>,
    #[serde(default)]
    pub(super) layers: Option<Vec<String>>,
}

/// The parsed config of an image.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) descriptor: Descriptor,
    pub(super) region: Region,
    pub(super) diff_ids: Vec<Digest>,
    pub(super) platform: Platform,
}

/// The images of the archive, or `None` if it has no `manifest.json`. Blocking.
pub(super) fn read(members: &Members) -> Result<Option<Vec<ManifestEntry>>> {
    let Some(bytes) = members.document(MANIFEST_FILE)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        Error::new(ErrorKind::Invalid, error.to_string())
            .target(MANIFEST_FILE)
            .target(members.name())
    })
}

/// Reads the config that `entry` names. Blocking.
pub(super) fn config(members: &Members, entry: &ManifestEntry) -> Result<Config> {
    let path = &entry.config;
    let (Some(region), Some(bytes)) = (members.find(path)?, members.document(path)?) else {
        return Err(missing(members, "config", path));
    };
    let config = ImageConfig::parse(&bytes).map_err(|error| {
        Error::new(ErrorKind::Invalid, format!("config: {error}")).target(&region.name)
    })?;
    let digest = Digest::of(&bytes);
    check_name(path, &digest).map_err(|error| error.target(&region.name))?;
    Ok(Config {
        descriptor: Descriptor::new(MediaType::DOCKER_CONFIG, digest, bytes.len() as u64),
        region,
        platform: config.platform(),
        diff_ids: config.rootfs.diff_ids,
    })
}

/// The error of a file that an image names and the archive lacks.
pub(super) fn missing(members: &Members, what: &str, path: &str) -> Error {
    let path = path.escape_debug();
    let said = format!("{MANIFEST_FILE} names {what} {path}, which the archive does not have");
    Error::new(ErrorKind::NotFound, said).target(members.name())
}

/// Docker names a config after its digest; other names are not checked.
fn check_name(path: &str, actual: &Digest) -> Result<()> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let hex = file.strip_suffix(".json").unwrap_or(file);
    let Ok(promised) = format!("sha256:{hex}").parse::<Digest>() else {
        return Ok(());
    };
    if promised == *actual {
        return Ok(());
    }
    Err(Error::digest_mismatch(&promised, actual))
}
