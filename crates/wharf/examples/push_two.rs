//! Pushes an image from a layout or archive's directory to several registries at once:
//! `cargo run --example push_two -- DIRECTORY registry.example/app:1 mirror.example/app:1`.

use wharf::{Client, Layout, Reference, Result, Wharf};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, references @ ..] = arguments.as_slice() else {
        eprintln!("usage: push_two DIRECTORY REFERENCE…");
        std::process::exit(2);
    };
    let mut to: Vec<Reference> = Vec::new();
    for reference in references {
        to.push(reference.parse()?);
    }
    let layout = Layout::open(directory)?;
    let image = layout.select(None)?;

    let wharf = Wharf::new(Client::builder().build()?);
    // Every blob is read once, and sent to all registries that lack it.
    let outcomes = wharf.push_to_all(&layout, image, &to).await;

    let mut last = Ok(());
    for (repository, outcome) in outcomes {
        match outcome {
            Ok(pushed) => println!("{pushed}"),
            Err(error) => {
                eprintln!("{repository}: not pushed");
                last = Err(error);
            }
        }
    }
    last
}
