//! Pushes an image from an OCI image layout:
//! `cargo run --example push_layout -- DIRECTORY registry.example/app:1`.

use wharf::{Client, Layout, Reference, Result, Wharf};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, reference] = arguments.as_slice() else {
        eprintln!("usage: push_layout DIRECTORY REFERENCE");
        std::process::exit(2);
    };
    let to: Reference = reference.parse()?;
    let layout = Layout::open(directory)?;
    // The only image that the layout lists; `select(Some("1.0"))` chooses among several.
    let image = layout.select(None)?;

    let wharf = Wharf::new(Client::builder().build()?);
    let pushed = wharf.push(&layout, image, &to).await?;

    let summary = &pushed.summary;
    eprintln!("{} blobs sent, {} bytes", summary.written, summary.bytes);
    println!("{pushed}");
    Ok(())
}
