//! Sends a tar from standard input to a repository as a layer, compressed on the way: `tar c rootfs
//! | cargo run --example stream_layer -- registry.example/app`.

use wharf::layer::{Family, LayerInput, Packing};
use wharf::{Client, Repository, Result, Wharf};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [repository] = arguments.as_slice() else {
        eprintln!("usage: stream_layer REPOSITORY <TAR");
        std::process::exit(2);
    };
    let to: Repository = repository.parse()?;

    let input = LayerInput::reader("standard input", std::io::stdin());
    let layer = input.tar(&Packing::default(), Family::Oci)?;

    let wharf = Wharf::new(Client::builder().build()?);
    let made = wharf.push_layer(&layer, &to).await?;

    // What a config and a manifest need.
    println!("digest {}", made.descriptor.digest);
    println!("size {}", made.descriptor.size);
    if let Some(diff_id) = made.diff_id {
        println!("diff-id {diff_id}");
    }
    Ok(())
}
