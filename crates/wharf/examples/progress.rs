//! Pushes an image from a layout and prints its progress on standard error: `cargo run --example
//! progress -- DIRECTORY registry.example/app:1`.

use std::sync::{Arc, Mutex, PoisonError};

use wharf::copy::{Subject, Tally};
use wharf::{Client, Event, Layout, Observer, Reference, Result, Wharf};

/// Prints a line for each tenth of the bytes, and for unusual events.
#[derive(Debug, Default)]
struct Lines(Mutex<(Tally, u64)>);

impl Observer for Lines {
    fn on(&self, event: Event<'_>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (tally, printed) = &mut *state;
        tally.on(&event);
        match event {
            Event::Mounted(blob, from) => eprintln!("{}: linked from {from}", blob.digest),
            Event::Retried(subject, retry) => eprintln!(
                "{}: again in {:?}, after: {}",
                name(subject),
                retry.wait,
                retry.error
            ),
            _ => {}
        }
        let tenths = tally.complete().saturating_mul(10) / tally.total().max(1);
        if tenths > *printed {
            *printed = tenths;
            eprintln!("{} of {} bytes", tally.complete(), tally.total());
        }
    }
}

fn name(subject: Subject<'_>) -> String {
    match subject {
        Subject::Content(content) => content.digest.to_string(),
        Subject::Layer(layer) => layer.name().to_owned(),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, reference] = arguments.as_slice() else {
        eprintln!("usage: progress DIRECTORY REFERENCE");
        std::process::exit(2);
    };
    let to: Reference = reference.parse()?;
    let layout = Layout::open(directory)?;
    let image = layout.select(None)?;

    let wharf = Wharf::new(Client::builder().build()?);
    let watched = wharf.observed_by(Arc::new(Lines::default()));
    println!("{}", watched.push(&layout, image, &to).await?);
    Ok(())
}
