//! Reads what is in an image: its config, its layers, and one file, without unpacking it:
//! `cargo run --example read_image -- registry.example/app:1 /etc/os-release [linux/arm64]`.

use futures::TryStreamExt;
use wharf::{Client, Reference, Result, Wharf};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (image, path, platform) = match arguments.as_slice() {
        [image, path] => (image, path, "linux/amd64"),
        [image, path, platform] => (image, path, platform.as_str()),
        _ => {
            eprintln!("usage: read_image IMAGE PATH [PLATFORM]");
            std::process::exit(2);
        }
    };
    let image: Reference = image.parse()?;

    let wharf = Wharf::new(Client::builder().build()?);
    let image = wharf.image_for(&image, &platform.parse()?).await?;

    let config = image.config().await?;
    eprintln!("platform {}", config.platform());

    for layer in image.layers().await? {
        // Decompressed and checked against its diff id on the way.
        let mut bytes = layer.uncompressed().await?;
        let mut size = 0;
        while let Some(chunk) = bytes.try_next().await? {
            size += chunk.len();
        }
        eprintln!("layer {} of {size} bytes", layer.descriptor().digest);
    }

    let file = image.file(path).await?;
    eprintln!("file {} of {} bytes", file.path(), file.size());
    let mut bytes = file.into_stream();
    while let Some(chunk) = bytes.try_next().await? {
        std::io::Write::write_all(&mut std::io::stdout(), &chunk)?;
    }
    Ok(())
}
