//! Attaches a file to an image, such as a signature or an SBOM: `cargo run --example
//! attach_artifact -- registry.example/app:1 FILE application/spdx+json`.

use std::path::Path;

use wharf::{Client, MediaType, Reference, Result, Wharf};

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
    let blob = wharf::file::blob(Path::new(file), artifact_type.clone()).await?;
    let attached = wharf.attach(&image, artifact_type, &[blob]).await?;

    // It has no tag: it is found with its subject.
    println!("{}", image.with_digest(attached.digest));
    for referrer in wharf.referrers(&image).await? {
        eprintln!("attached: {}", referrer.digest);
    }
    Ok(())
}
