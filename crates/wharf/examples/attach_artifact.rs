//! Attaches a file to an image, such as a signature or an SBOM: `cargo run --example
//! attach_artifact -- registry.example/app:1 FILE application/spdx+json`.

use std::path::Path;

use wharf::{Client, Digest, MediaType, Reference, Result, Wharf};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [image, file, artifact_type] = arguments.as_slice() else {
        eprintln!("usage: attach_artifact IMAGE FILE ARTIFACT_TYPE");
        std::process::exit(2);
    };
    let image: Reference = image.parse()?;
    let artifact_type: MediaType = artifact_type.parse()?;

    let wharf = Wharf::new(Client::builder().build()?);
    let subject = wharf.manifest(&image).await?.descriptor().clone();

    // The blobs first: a registry refuses a manifest before what it links to.
    let blob = wharf::file::blob(Path::new(file), artifact_type.clone()).await?;
    wharf.push_blob(&blob, image.repository()).await?;
    let empty = wharf::blob::Blob::from_bytes(empty_config(), "{}".into());
    wharf.push_blob(&empty, image.repository()).await?;

    // image-spec: "Guidelines for Artifact Usage".
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_IMAGE_MANIFEST,
        "artifactType": artifact_type,
        "config": empty.descriptor(),
        "layers": [blob.descriptor()],
        "subject": subject,
    })
    .to_string();
    // A referrer has no tag: it is put by its digest, and found with its subject.
    let to = Reference::new(image.repository().clone(), None, None);
    let attached = wharf.put(None, manifest, &to).await?;
    println!("{}", to.with_digest(attached.digest));

    for referrer in wharf.referrers(&to.with_digest(subject.digest)).await? {
        eprintln!("attached: {}", referrer.digest);
    }
    Ok(())
}

fn empty_config() -> wharf::Descriptor {
    wharf::Descriptor::new(MediaType::OCI_EMPTY, Digest::of(b"{}"), 2)
}
