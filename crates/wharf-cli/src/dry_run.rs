//! Prints what a copy would do: a line for each blob, manifest and tag, and a summary.
//!
//! The plan is the data here, so it goes to standard output.

use wharf::Result;
use wharf::copy::{Fate, Survey};
use wharf::layer::PendingLayer;
use wharf_oci::Descriptor;

use crate::json_line::JsonLine;
use crate::printer::{Printer, Voice};
use crate::progress::Company;
use crate::units::{bytes, count, kind};

/// Prints what `survey` found for a copy to `destination`; with several destinations the summary
/// names it.
///
/// # Errors
/// If standard output cannot be written to.
pub(crate) fn print(
    printer: &Printer,
    destination: &str,
    company: Company,
    survey: &Survey,
) -> Result<()> {
    let steps = steps(destination, survey);
    for step in &steps {
        match printer.voice() {
            Voice::Json => printer.data(&step.json(destination).to_string())?,
            _ => printer.data(&step.line())?,
        }
    }
    match printer.voice() {
        Voice::Json => printer.event(json_summary(destination, survey)),
        _ => printer.say(&company.label(destination).before(&summary(survey))),
    }
    Ok(())
}

/// One thing that would be done, or skipped.
enum Step<'a> {
    Blob(&'static str, &'a Descriptor),
    Mount(&'a Descriptor, String),
    Layer(&'a PendingLayer),
    /// A manifest that is made when its layers are made.
    PutDraft,
    Tag(String),
}

fn steps<'a>(destination: &str, survey: &'a Survey) -> Vec<Step<'a>> {
    let layers = survey.layers.iter().map(Step::Layer);
    let blobs = survey.blobs.iter().map(|(blob, fate)| match fate {
        Fate::Existing => Step::Blob("exists", blob),
        Fate::Mount(from) => Step::Mount(blob, from.to_string()),
        Fate::Upload => Step::Blob("upload", blob),
    });
    let skipped = survey.skipped.iter().map(|blob| Step::Blob("skip", blob));
    let unchanged = survey.unchanged.iter();
    let unchanged = unchanged.map(|manifest| Step::Blob("exists", manifest));
    let manifests = survey.manifests.iter().flat_map(|manifest| {
        let put = match &manifest.descriptor {
            Some(descriptor) => Step::Blob("put", descriptor),
            None => Step::PutDraft,
        };
        let tags = manifest.tags.iter();
        let tags = tags.map(|tag| Step::Tag(format!("{destination}:{tag}")));
        std::iter::once(put).chain(tags)
    });
    layers
        .chain(blobs)
        .chain(skipped)
        .chain(unchanged)
        .chain(manifests)
        .collect()
}

impl Step<'_> {
    fn line(&self) -> String {
        let about = |action: &str, blob: &Descriptor| {
            let (kind, size) = (kind(&blob.media_type), bytes(blob.size));
            format!("{action:<6}  {kind:<8}  {}  {size}", blob.digest)
        };
        match self {
            Step::Blob(action, blob) => about(action, blob),
            Step::Mount(blob, from) => format!("{}  from {from}", about("mount", blob)),
            Step::Layer(layer) => {
                let name = match layer.diff_id() {
                    Some(diff_id) => format!("diff id {diff_id}"),
                    None => layer.name().escape_debug().to_string(),
                };
                let size = layer.size().map(bytes);
                let size = size.unwrap_or_else(|| "size not known".to_owned());
                format!("upload  layer     {name}  {size} before compression")
            }
            Step::PutDraft => "put     manifest  made when its layers are compressed".to_owned(),
            Step::Tag(reference) => format!("tag     {reference}"),
        }
    }

    fn json(&self, destination: &str) -> JsonLine {
        let line = |action| JsonLine::new("action", action).text("destination", destination);
        let about = |action, blob: &Descriptor| {
            line(action)
                .text("kind", kind(&blob.media_type))
                .text("digest", &blob.digest)
                .text("media_type", blob.media_type.as_str())
                .number("size", blob.size)
        };
        match self {
            Step::Blob(action, blob) => about(action, blob),
            Step::Mount(blob, from) => about("mount", blob).text("from", from),
            Step::Layer(layer) => {
                let line = line("upload")
                    .text("kind", "layer")
                    .text("layer", layer.key())
                    .text("media_type", layer.media_type().as_str());
                let line = match layer.diff_id() {
                    Some(diff_id) => line.text("diff_id", diff_id),
                    None => line,
                };
                match layer.size() {
                    Some(size) => line.number("uncompressed_size", size),
                    None => line,
                }
            }
            Step::PutDraft => line("put").text("kind", "manifest"),
            Step::Tag(reference) => line("tag").text("reference", reference),
        }
    }
}

/// The numbers of a survey: how many, and how many bytes.
struct Sums {
    uploads: (usize, u64),
    layers: (usize, u64),
    mounts: (usize, u64),
    existing: (usize, u64),
}

fn sums(survey: &Survey) -> Sums {
    let layers = survey.layers.iter().filter_map(PendingLayer::size);
    Sums {
        uploads: survey.count(|fate| *fate == Fate::Upload),
        layers: (survey.layers.len(), layers.fold(0, u64::saturating_add)),
        mounts: survey.count(|fate| matches!(fate, Fate::Mount(_))),
        existing: survey.count(|fate| *fate == Fate::Existing),
    }
}

fn summary(survey: &Survey) -> String {
    if survey.manifests.is_empty() {
        return "already up to date; nothing to do".to_owned();
    }
    let sums = sums(survey);
    let (uploads, upload_bytes) = sums.uploads;
    let uploads = count(uploads as u64, "blob");
    let mut line = format!("would upload {uploads}, {}", bytes(upload_bytes));
    if let (layers @ 1.., uncompressed) = sums.layers {
        let layers = count(layers as u64, "layer");
        let more = format!(" and {layers}, {} before compression", bytes(uncompressed));
        line.push_str(&more);
    }
    let rest = format!(
        "; {} there, {} to mount; {} to put; nothing was changed",
        sums.existing.0,
        sums.mounts.0,
        count(survey.manifests.len() as u64, "manifest")
    );
    line + &rest
}

fn json_summary(destination: &str, survey: &Survey) -> JsonLine {
    let sums = sums(survey);
    JsonLine::new("event", "dry_run")
        .text("destination", destination)
        .number("uploads", sums.uploads.0 as u64)
        .number("upload_bytes", sums.uploads.1)
        .number("layers", sums.layers.0 as u64)
        .number("uncompressed_bytes", sums.layers.1)
        .number("mounts", sums.mounts.0 as u64)
        .number("mount_bytes", sums.mounts.1)
        .number("existing", sums.existing.0 as u64)
        .number("existing_bytes", sums.existing.1)
        .number("manifests", survey.manifests.len() as u64)
        .number("unchanged", survey.unchanged.len() as u64)
        .number("skipped", survey.skipped.len() as u64)
}
