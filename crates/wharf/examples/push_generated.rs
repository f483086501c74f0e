//! Pushes an image of one layer, made of a directory while it is sent:
//! `cargo run --example push_generated -- DIRECTORY registry.example/app:1`.

use wharf::layer::{Family, LayerInput, NewImage, Packing, Times, TreeOptions};
use wharf::oci::ImageConfig;
use wharf::{Client, Memory, Reference, Result, Wharf};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, reference] = arguments.as_slice() else {
        eprintln!("usage: push_generated DIRECTORY REFERENCE");
        std::process::exit(2);
    };
    let to: Reference = reference.parse()?;

    // The same tree gives the same layer, whatever its file times.
    let options = TreeOptions {
        times: Times::Fixed(0),
        ..TreeOptions::default()
    };
    let layer = LayerInput::directory(directory, options).tar(&Packing::default(), Family::Oci)?;
    let image = NewImage {
        config: ImageConfig {
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            ..ImageConfig::default()
        },
        layers: vec![layer],
        family: Family::Oci,
    };

    let wharf = Wharf::new(Client::builder().build()?);
    // All of the image is made on the way, so its source is empty.
    let pushed = wharf.push(&Memory::new(), image, &to).await?;
    println!("{pushed}");
    Ok(())
}
