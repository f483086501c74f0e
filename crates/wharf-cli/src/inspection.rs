//! What an image, an index or an artifact is, in lines for people.

use std::collections::BTreeMap;
use std::fmt::Display;

use wharf::front::{ImageFacts, Inspection, LayerFacts, ManifestFacts};
use wharf_oci::{ManifestKind, Printable};

use crate::units::{bytes, count};

/// The most characters of foreign text in a line.
const MOST_SHOWN: usize = 2000;

/// Describes what was found at a place, which is named as it was typed.
pub(crate) fn lines(reference: &str, about: &Inspection) -> Vec<String> {
    let mut page = Page::default();
    page.fact("Reference", Some(reference));
    page.fact("Kind", Some(about.kind));
    page.fact("Digest", Some(&about.digest));
    page.fact("Media type", Some(about.media_type.as_str()));
    page.fact("Artifact type", about.artifact_type.as_ref());
    page.fact("Size", Some(bytes(about.size)));
    if let Some(subject) = &about.subject {
        page.fact("Subject", Some(&subject.digest));
    }
    if let Some(image) = &about.image {
        page.image(image);
    }
    page.layers(about);
    page.list("Manifests", about.manifests.iter().map(manifest));
    page.pairs("Annotations", &about.annotations);
    match (&about.referrers, &about.unlisted) {
        (_, Some(error)) => page.fact("Referrers", Some(format!("not listed: {error}"))),
        (Some(listed), None) => page.list("Referrers", listed.iter().map(manifest)),
        (None, None) => {}
    }
    page.lines
}

/// Text from elsewhere, in one line.
pub(crate) fn shown(text: impl Display) -> String {
    Printable(&text.to_string(), MOST_SHOWN).to_string()
}

/// What there is to say of a manifest beside its digest.
pub(crate) fn manifest_words(of: &ManifestFacts) -> String {
    let kind = match (of.kind, &of.platform) {
        (Some(ManifestKind::Image), Some(platform)) => platform.clone(),
        (Some(kind), Some(platform)) => format!("{kind}, {platform}"),
        (Some(kind), None) => kind.to_string(),
        (None, _) => of.media_type.to_string(),
    };
    let mut words = shown(kind);
    if let Some(artifact_type) = &of.artifact_type {
        words.push_str(&format!(", {}", shown(artifact_type)));
    }
    words
}

fn manifest(of: &ManifestFacts) -> String {
    let about = of.about.as_ref();
    let about = about.map(|about| format!(" of {}", shown(about)));
    format!(
        "{}  {}{}",
        of.digest,
        manifest_words(of),
        about.unwrap_or_default()
    )
}

#[derive(Default)]
struct Page {
    lines: Vec<String>,
}

impl Page {
    fn fact(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            let name = format!("{name}:");
            self.lines.push(format!("{name:<14} {}", shown(value)));
        }
    }

    fn list(&mut self, name: &str, items: impl Iterator<Item = String>) {
        let mut items = items.map(|item| format!("  {item}")).peekable();
        if items.peek().is_some() {
            self.lines.push(format!("{name}:"));
            self.lines.extend(items);
        }
    }

    fn texts(&mut self, name: &str, texts: &[String]) {
        self.list(name, texts.iter().map(shown));
    }

    fn pairs(&mut self, name: &str, pairs: &BTreeMap<String, String>) {
        let lines = pairs
            .iter()
            .map(|(key, value)| shown(format_args!("{key}={value}")));
        self.list(name, lines);
    }

    fn image(&mut self, image: &ImageFacts) {
        let command = |words: &Option<Vec<String>>| {
            let words = words.as_ref()?;
            Some(serde_json::Value::from(words.as_slice()))
        };
        self.fact("Platform", image.platform.as_ref());
        self.fact("Created", image.created.as_ref());
        self.fact("Author", image.author.as_ref());
        let run = &image.run;
        self.fact("Entrypoint", command(&run.entrypoint));
        self.fact("Cmd", command(&run.cmd));
        self.fact("User", run.user.as_ref());
        self.fact("Working dir", run.working_dir.as_ref());
        self.fact("Stop signal", run.stop_signal.as_ref());
        self.texts("Ports", &run.exposed_ports);
        self.texts("Volumes", &run.volumes);
        self.texts("Env", &run.env);
        self.pairs("Labels", &run.labels);
    }

    fn layers(&mut self, about: &Inspection) {
        let (name, thing) = match about.kind {
            ManifestKind::Image => ("Layers", "layer"),
            _ => ("Blobs", "blob"),
        };
        if about.layers.is_empty() {
            return;
        }
        let number = count(about.layers.len() as u64, thing);
        self.fact(
            name,
            Some(format!("{number}, {}", bytes(about.layers_size()))),
        );
        self.lines.extend(about.layers.iter().map(layer));
    }
}

fn layer(layer: &LayerFacts) -> String {
    let size = bytes(layer.size);
    format!(
        "  {}  {size:>8}  {}",
        layer.digest,
        shown(&layer.media_type)
    )
}
