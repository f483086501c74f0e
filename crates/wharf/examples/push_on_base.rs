//! Pushes a base image with a directory as one more layer. If both are in one registry, the layers
//! of the base are mounted, and never downloaded:
//! `cargo run --example push_on_base -- registry.example/base:1 DIRECTORY registry.example/app:1`.

use wharf::layer::{LayerInput, NewImage, Packing, TreeOptions};
use wharf::{Client, Reference, Result, Wharf};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [base, directory, reference] = arguments.as_slice() else {
        eprintln!("usage: push_on_base BASE DIRECTORY REFERENCE");
        std::process::exit(2);
    };
    let (base, to): (Reference, Reference) = (base.parse()?, reference.parse()?);

    let wharf = Wharf::new(Client::builder().build()?);
    let base = wharf.image_for(&base, &"linux/amd64".parse()?).await?;
    let app = LayerInput::directory(directory, TreeOptions::default());
    let mut image = NewImage::on(&base).await?.layer(app, &Packing::default())?;
    image.config.author = Some("an example".to_owned());

    // The base's layers come from where the base is.
    let pushed = wharf.push(base.source().as_ref(), image, &to).await?;
    eprintln!("{} blobs mounted", pushed.summary.mounted);
    println!("{pushed}");
    Ok(())
}
