//! An image upon another version of its base, as a pure function.

use wharf_oci::History;

use super::edited::{EditedImage, NO_TIME};
use super::edited_layer::EditedLayer;
use crate::{Error, ErrorKind, Result};

impl EditedImage {
    /// The image upon `new` in place of `old`, which must have its first layers: by digest, or by
    /// diff id where one of them was compressed anew. It has the platform of the new base, and all
    /// else of its own. Of both histories it has the entries for the layers that it has.
    ///
    /// A copy of the result needs a source with the layers of the new base too; see
    /// [`EditedImage::from_source`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the image is not upon `old`; [`ErrorKind::Unsupported`] for
    /// artifacts.
    pub fn rebased(self, old: &EditedImage, new: &EditedImage) -> Result<Self> {
        if ![&self, old, new].iter().all(|image| image.is_runnable()) {
            let message = "an artifact has no base image, and is none";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let below = old.layers().len();
        let mut layers = self.layers().iter();
        for (at, base) in old.layers().iter().enumerate() {
            if !layers.next().is_some_and(|layer| is_same(layer, base)) {
                let message = format!(
                    "not upon this old base: layer {} of {below} is another",
                    at + 1
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        }
        let own: Vec<EditedLayer> = layers.cloned().collect();
        let mut history = complete(new.config.history.clone(), new.layers().len());
        let skipped = steps_of(&old.config.history, &self.config.history, below);
        let steps = self.config.history.iter().skip(skipped);
        history.extend(complete(steps.cloned().collect(), own.len()));
        let layers = new.layers().iter().cloned().chain(own).collect();
        let mut image = self.with_layers(layers);
        image.config.history = history;
        image
            .config
            .architecture
            .clone_from(&new.config.architecture);
        image.config.os.clone_from(&new.config.os);
        image.config.os_version.clone_from(&new.config.os_version);
        image.config.os_features.clone_from(&new.config.os_features);
        image.config.variant.clone_from(&new.config.variant);
        Ok(image)
    }
}

/// Whether two layers have the same content, whatever they are compressed with.
fn is_same(one: &EditedLayer, other: &EditedLayer) -> bool {
    let digest = |layer: &EditedLayer| {
        let descriptor = layer.descriptor()?;
        Some(descriptor.digest.clone())
    };
    digest(one).is_some_and(|one| digest(other) == Some(one))
        || one
            .diff_id()
            .is_some_and(|one| other.diff_id() == Some(one))
}

/// How many of the first steps of `history` are those of its base, which has so many layers. A base
/// without a history has one step for each layer.
fn steps_of(base: &[History], history: &[History], layers: usize) -> usize {
    if !base.is_empty() {
        return base.len();
    }
    let told = history.iter().enumerate();
    let mut told = told.filter(|(_, step)| !step.empty_layer);
    match layers.checked_sub(1) {
        Some(last) => told.nth(last).map_or(history.len(), |(at, _)| at + 1),
        None => 0,
    }
}

/// The history of as many layers. Layers without an entry get an empty one.
fn complete(mut history: Vec<History>, layers: usize) -> Vec<History> {
    let told = history.iter().filter(|step| !step.empty_layer).count();
    let step = History {
        created: Some(NO_TIME.to_owned()),
        ..History::default()
    };
    history.extend(std::iter::repeat_n(step, layers.saturating_sub(told)));
    history
}

#[cfg(test)]
mod tests {
    use wharf_oci::{Descriptor, Digest, MediaType};

    use super::*;
    use crate::layer::Family;

    /// An image with layers and steps of these names; those in capitals have no layer.
    fn image(names: &[&str], packed: &str) -> EditedImage {
        let mut image = EditedImage::empty(Family::Oci);
        let has_layer = |name: &&&str| name.chars().any(char::is_lowercase);
        let layers = names.iter().filter(has_layer).map(|name| {
            let digest = Digest::of(format!("{name}{packed}").as_bytes());
            let stored = Descriptor::new(MediaType::OCI_LAYER_GZIP, digest, 1);
            EditedLayer::stored(stored, Digest::of(name.as_bytes()))
        });
        image = image.with_layers(layers.collect());
        let steps = names.iter().map(|name| History {
            created_by: Some((*name).to_owned()),
            empty_layer: !has_layer(&name),
            ..History::default()
        });
        image.config.history = steps.collect();
        image
    }

    fn steps(image: &EditedImage) -> Vec<&str> {
        let steps = image.config.history.iter();
        let names = steps.map(|step| step.created_by.as_deref().unwrap_or_default());
        names.collect()
    }

    #[test]
    fn layers_and_steps_above_the_old_base_are_put_upon_the_new_one() {
        let (old, new) = (
            image(&["one", "ENV"], ""),
            image(&["two", "three", "CMD"], ""),
        );
        let app = image(&["one", "ENV", "app", "USER"], "");
        let rebased = app.rebased(&old, &new).unwrap();
        assert_eq!(steps(&rebased), ["two", "three", "CMD", "app", "USER"]);
        let layers = rebased
            .layers()
            .iter()
            .map(|layer| layer.diff_id().cloned());
        let expected = ["two", "three", "app"].map(|name| Some(Digest::of(name.as_bytes())));
        assert_eq!(layers.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_base_may_be_compressed_anew_or_have_no_history() {
        let mut old = image(&["one", "two"], "again");
        old.config.history.clear();
        let app = || image(&["one", "ENV", "two", "app"], "");
        let mut new = image(&["new"], "");
        let rebased = app().rebased(&old, &new).unwrap();
        assert_eq!(steps(&rebased), ["new", "app"]);
        new.config.history.clear();
        assert_eq!(steps(&app().rebased(&old, &new).unwrap()), ["", "app"]);
    }

    #[test]
    fn an_image_upon_another_base_is_refused_with_the_layer() {
        let (one, other) = (image(&["a", "b"], ""), image(&["a", "c", "d"], ""));
        let message = |error: Error| error.to_string();
        let found = other
            .clone()
            .rebased(&one, &one)
            .map_err(message)
            .unwrap_err();
        assert_eq!(found, "not upon this old base: layer 2 of 2 is another");
        let short = image(&["a"], "").rebased(&other, &one).map_err(message);
        assert!(short.unwrap_err().contains("layer 2 of 3"));
    }
}
