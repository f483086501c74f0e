//! The one operation works: a tree is copied into the store and out of it.

use wharf_oci::{Manifest, MediaType};

use super::clause::{Kept, Trial, ensure, tag, tagged};
use super::content::{image, json};
use crate::Result;
use crate::copy::{CopyOptions, Root, copy};
use crate::store::{Memory, Names, Source, Store};

/// An index of two images is copied in and out again, complete and byte for byte.
pub(super) async fn go_in_and_out(trial: &Trial<'_>) -> Kept {
    let (source, target) = (Memory::new(), Memory::new());
    let index = tree(&source).await?;
    let root = Root {
        content: index.descriptor().clone().into(),
        tags: vec![tag("v1")?],
    };
    let (store, options) = (&*trial.store, CopyOptions::default());
    let roots = std::slice::from_ref(&root);
    copy(&source, store, roots, &options).await?;
    trial.names(&["v1"], &index).await?;
    copy(store, &target, roots, &options).await?;
    let found = target.resolve(&tagged("v1")?).await?;
    let found = target.manifest(&found).await?;
    ensure!(found.bytes() == index.bytes(), "the index has other bytes");
    ensure!(target.blobs() == source.blobs(), "not all blobs came out");
    let again = copy(&source, store, roots, &options).await?;
    ensure!(
        again.written == 0,
        "{} blobs were moved again",
        again.written
    );
    Ok(())
}

async fn tree(source: &Memory) -> Result<Manifest> {
    let mut children = Vec::new();
    for seed in [90, 91] {
        let child = image(source, seed, "").await?;
        source.put_manifest(&child, Names::Child).await?;
        children.push(json(child.descriptor())?);
    }
    let text = format!(
        "{{\"schemaVersion\": 2, \"mediaType\":\"{}\", \"manifests\":[{}] }}",
        MediaType::OCI_IMAGE_INDEX,
        children.join(", ")
    );
    let index = Manifest::parse(None, text.into())?;
    let names = Names::Root(&[]);
    source.put_manifest(&index, names).await?;
    Ok(index)
}
