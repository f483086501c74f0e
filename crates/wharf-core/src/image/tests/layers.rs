//! Config and layers of an image, as they are stored and uncompressed.

use futures::TryStreamExt;
use serde_json::json;
use wharf_oci::{Digest, MediaType};

use super::fixtures::{File, failure, gzip, image_of, packed, plain, stored_image, tar_of, zstd};
use crate::ErrorKind;
use crate::layer::NewImage;
use crate::store::Memory;

#[tokio::test]
async fn fault_l1_config_layers_and_uncompressed_content_are_read() {
    let items = [File("a", b"one")];
    let tar = tar_of(&items);
    let diff_id = Digest::of(&tar);
    let lying = (MediaType::OCI_LAYER, gzip(&tar), diff_id.clone());
    let squeezed = (MediaType::OCI_LAYER_ZSTD, zstd(&tar), diff_id);
    let image = image_of(vec![plain(&items), packed(&items), squeezed, lying]).await;
    assert_eq!(image.config().await.unwrap().architecture, "amd64");
    let layers = image.layers().await.unwrap();
    assert_eq!(layers.len(), 4);
    for layer in layers {
        assert_eq!(layer.diff_id(), Some(&Digest::of(&tar)));
        let read: Vec<_> = layer
            .uncompressed()
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        assert_eq!(read.concat(), tar);
        let stored: Vec<_> = layer
            .compressed()
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        assert_eq!(Digest::of(&stored.concat()), layer.descriptor().digest);
    }
}

#[tokio::test]
async fn fault_l1_a_layer_of_another_diff_id_or_cut_short_never_ends_well() {
    let tar = tar_of(&[File("a", &[7; 3 << 20])]);
    let right = Digest::of(&tar);
    let cut = gzip(&tar);
    let cut = cut[..cut.len() - 9].to_vec();
    for (bytes, diff_id) in [
        (gzip(&tar), Digest::of(b"another")),
        (tar.clone(), Digest::of(b"another")),
        (cut, right),
    ] {
        let image = image_of(vec![(MediaType::OCI_LAYER_GZIP, bytes, diff_id)]).await;
        let layers = image.layers().await.unwrap();
        let stream = layers[0].uncompressed().await.unwrap();
        let error = stream.try_for_each(async |_| Ok(())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        let error = failure(&image, "a").await;
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

#[tokio::test]
async fn fault_l1_a_config_must_state_each_layer_once() {
    let memory = Memory::new();
    let layer = memory.add_blob(MediaType::OCI_LAYER, tar_of(&[]));
    let config = json!({ "os": "linux", "architecture": "amd64" }).to_string();
    let config = memory.add_blob(MediaType::OCI_IMAGE_CONFIG, config);
    let image = stored_image(memory, &config, &[layer]).await;
    let error = image.layers().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error
            .to_string()
            .contains("1 layers, but the config states 0"),
        "{error}"
    );
}

#[tokio::test]
async fn fault_l1_an_artifact_has_layers_without_diff_ids() {
    let memory = Memory::new();
    let layer = memory.add_blob("text/plain".parse().unwrap(), "a note");
    let config = memory.add_blob(MediaType::OCI_EMPTY, "{}");
    let image = stored_image(memory, &config, &[layer]).await;
    let layers = image.layers().await.unwrap();
    assert_eq!(layers[0].diff_id(), None);
    let read: Vec<_> = layers[0]
        .uncompressed()
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(read.concat(), b"a note");
    let refused = NewImage::on(&image).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}
