//! Media types: what content is. The well-known ones are constants and cost no allocation.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::{Printable, Quoted};

/// A media type.
///
/// Parsing is strict, for types that a program writes: `type/subtype` as in RFC 6838, without
/// parameters. Types that are read from documents stay as they are, whatever their text; see
/// [`MediaType::verbatim`]. Well-known types are recognised whatever their letter case and parameters.
///
/// ```
/// use wharf_oci::{Compression, MediaType};
/// let layer: MediaType = "application/vnd.oci.image.layer.v1.tar+zstd".parse()?;
/// assert_eq!(layer, MediaType::OCI_LAYER_ZSTD);
/// assert_eq!(layer.compression(), Some(Compression::Zstd));
/// # Ok::<(), wharf_oci::MediaTypeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaType(Cow<'static, str>);

/// How the tar of a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// A plain tar.
    None,
    /// gzip, RFC 1952.
    Gzip,
    /// zstd, RFC 8878.
    Zstd,
}

/// The value of an `Accept` header that asks for a manifest of any kind.
///
/// distribution-spec: "Pulling manifests" (the client should include all types it supports).
pub fn manifest_accept() -> &'static str {
    concat!(
        "application/vnd.oci.image.index.v1+json, ",
        "application/vnd.oci.image.manifest.v1+json, ",
        "application/vnd.docker.distribution.manifest.list.v2+json, ",
        "application/vnd.docker.distribution.manifest.v2+json, ",
        "application/vnd.oci.artifact.manifest.v1+json, ",
        "application/vnd.docker.distribution.manifest.v1+prettyjws, ",
        "application/vnd.docker.distribution.manifest.v1+json",
    )
}

impl MediaType {
    /// The media type of a `Content-Type` header: parameters and surrounding space are left out.
    ///
    /// # Errors
    /// When what remains is not `type/subtype`.
    pub fn from_content_type(value: &str) -> Result<MediaType, MediaTypeError> {
        let (media_type, _) = value.split_once(';').unwrap_or((value, ""));
        media_type.trim_matches([' ', '\t']).parse()
    }

    /// The media type in a document, unchanged and unchecked (image-spec: implementations must not
    /// fail on an unknown `mediaType`). The text may be empty, where a document states none.
    ///
    /// ```
    /// use wharf_oci::MediaType;
    /// let odd = MediaType::verbatim("text/plain; charset=utf-8");
    /// assert_eq!(odd.as_str(), "text/plain; charset=utf-8");
    /// assert!(!odd.is_layer() && !odd.is_manifest());
    /// assert!(MediaType::verbatim("Application/vnd.oci.image.index.v1+JSON").is_index());
    /// ```
    pub fn verbatim(text: impl Into<String>) -> MediaType {
        let text = text.into();
        let known = WELL_KNOWN.iter().find(|(known, _)| *known == text);
        MediaType(known.map_or(Cow::Owned(text), |(known, _)| Cow::Borrowed(known)))
    }

    /// The text of this media type.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An OCI index or a Docker manifest list.
    pub fn is_index(&self) -> bool {
        self.kind() == Some(Kind::Index)
    }

    /// An OCI image manifest or a Docker schema 2 one.
    pub fn is_image_manifest(&self) -> bool {
        self.kind() == Some(Kind::Image)
    }

    /// A Docker schema 1 manifest, signed or not.
    pub fn is_schema1(&self) -> bool {
        self.kind() == Some(Kind::Schema1)
    }

    /// A manifest of any known kind: index, image, schema 1 or OCI artifact.
    pub fn is_manifest(&self) -> bool {
        matches!(
            self.kind(),
            Some(Kind::Index | Kind::Image | Kind::Schema1 | Kind::Artifact)
        )
    }

    /// The config of an OCI or a Docker image.
    pub fn is_config(&self) -> bool {
        self.kind() == Some(Kind::Config)
    }

    /// A layer of an OCI or a Docker image.
    pub fn is_layer(&self) -> bool {
        matches!(self.kind(), Some(Kind::Layer(_) | Kind::Foreign(_)))
    }

    /// False for layers that registries must not distribute (non-distributable, foreign).
    pub fn is_distributable(&self) -> bool {
        !matches!(self.kind(), Some(Kind::Foreign(_)))
    }

    /// How a layer is compressed; `None` for any other content.
    pub fn compression(&self) -> Option<Compression> {
        match self.kind()? {
            Kind::Layer(compression) | Kind::Foreign(compression) => Some(compression),
            _ => None,
        }
    }

    /// One of Docker's own types.
    pub fn is_docker(&self) -> bool {
        starts_with(self.as_str(), "application/vnd.docker.")
    }

    /// Whether both name one type: letter case and parameters do not count.
    pub(crate) fn is_same_type(&self, other: &MediaType) -> bool {
        self.essence().eq_ignore_ascii_case(other.essence())
    }

    /// The type that a manifest of this type is sent with: a known manifest type, or a vendor's type
    /// that is not known as another kind. Nothing that does not fit into a header.
    pub(crate) fn of_manifest(&self) -> Option<MediaType> {
        let (essence, fits) = (self.essence(), fits_header(self.as_str()));
        match self.well_known() {
            Some(_) if !self.is_manifest() => None,
            Some((text, _)) if !fits => Some(MediaType(Cow::Borrowed(text))),
            Some(_) => Some(self.clone()),
            None => {
                let vendors = starts_with(essence, "application/vnd.") && check(essence).is_ok();
                (vendors && fits).then(|| self.clone())
            }
        }
    }

    /// The type without its parameters.
    fn essence(&self) -> &str {
        let (essence, _) = self.0.split_once(';').unwrap_or((&self.0, ""));
        essence.trim_matches([' ', '\t'])
    }

    fn well_known(&self) -> Option<(&'static str, Kind)> {
        let essence = self.essence();
        let mut all = WELL_KNOWN.iter();
        all.find(|(text, _)| text.eq_ignore_ascii_case(essence))
            .copied()
    }

    fn kind(&self) -> Option<Kind> {
        self.well_known().map(|(_, kind)| kind)
    }
}

/// The most bytes of a manifest's type in a header.
const MOST_HEADER: usize = 1024;

/// Whether a header carries `text` unchanged.
fn fits_header(text: &str) -> bool {
    let visible = |byte: u8| (b' '..=b'~').contains(&byte);
    text.len() <= MOST_HEADER && text.bytes().all(visible) && text.trim() == text
}

fn starts_with(text: &str, prefix: &str) -> bool {
    let start = text.get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Index,
    Image,
    Schema1,
    Artifact,
    Config,
    Layer(Compression),
    Foreign(Compression),
    Other,
}

macro_rules! well_known {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $kind:expr;)*) => {
        impl MediaType {
            $($(#[$doc])* pub const $name: MediaType = MediaType(Cow::Borrowed($text));)*
        }

        const WELL_KNOWN: &[(&str, Kind)] = &[$(($text, $kind)),*];
    };
}

well_known! {
    /// An OCI image index.
    OCI_IMAGE_INDEX = "application/vnd.oci.image.index.v1+json", Kind::Index;
    /// An OCI image manifest.
    OCI_IMAGE_MANIFEST = "application/vnd.oci.image.manifest.v1+json", Kind::Image;
    /// An OCI artifact manifest, from release candidates of OCI 1.1.
    OCI_ARTIFACT_MANIFEST = "application/vnd.oci.artifact.manifest.v1+json", Kind::Artifact;
    /// The config of an OCI image.
    OCI_IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json", Kind::Config;
    /// The two bytes `{}`, for a descriptor that is required but has no content.
    OCI_EMPTY = "application/vnd.oci.empty.v1+json", Kind::Other;
    /// A layer: plain tar.
    OCI_LAYER = "application/vnd.oci.image.layer.v1.tar", Kind::Layer(Compression::None);
    /// A layer: tar in gzip.
    OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip", Kind::Layer(Compression::Gzip);
    /// A layer: tar in zstd.
    OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd", Kind::Layer(Compression::Zstd);
    /// A non-distributable layer: plain tar.
    OCI_LAYER_NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar", Kind::Foreign(Compression::None);
    /// A non-distributable layer: tar in gzip.
    OCI_LAYER_NONDISTRIBUTABLE_GZIP = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Kind::Foreign(Compression::Gzip);
    /// A non-distributable layer: tar in zstd.
    OCI_LAYER_NONDISTRIBUTABLE_ZSTD = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", Kind::Foreign(Compression::Zstd);
    /// A Docker manifest list.
    DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json", Kind::Index;
    /// A Docker schema 2 manifest.
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json", Kind::Image;
    /// A Docker schema 1 manifest without signatures.
    DOCKER_MANIFEST_V1 = "application/vnd.docker.distribution.manifest.v1+json", Kind::Schema1;
    /// A Docker schema 1 manifest with signatures.
    DOCKER_MANIFEST_V1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws", Kind::Schema1;
    /// The config of a Docker image.
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json", Kind::Config;
    /// A Docker layer: plain tar.
    DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar", Kind::Layer(Compression::None);
    /// A Docker layer: tar in gzip.
    DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip", Kind::Layer(Compression::Gzip);
    /// A Docker layer: tar in zstd, as BuildKit names it.
    DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd", Kind::Layer(Compression::Zstd);
    /// A non-distributable Docker layer: plain tar.
    DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar", Kind::Foreign(Compression::None);
    /// A non-distributable Docker layer: tar in gzip.
    DOCKER_FOREIGN_LAYER_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Kind::Foreign(Compression::Gzip);
    /// Bytes of unknown kind.
    OCTET_STREAM = "application/octet-stream", Kind::Other;
}

impl FromStr for MediaType {
    type Err = MediaTypeError;

    /// Media types ignore letter case; a well-known one becomes its constant.
    fn from_str(text: &str) -> Result<MediaType, MediaTypeError> {
        if let Some((known, _)) = WELL_KNOWN
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(text))
        {
            return Ok(MediaType(Cow::Borrowed(known)));
        }
        check(text).map_err(|problem| MediaTypeError {
            text: text.to_owned(),
            problem,
        })?;
        Ok(MediaType(Cow::Owned(text.to_owned())))
    }
}

/// RFC 6838, section 4.2: restricted names of at most 127 characters.
fn check(text: &str) -> Result<(), MediaTypeProblem> {
    if text.contains(';') {
        return Err(MediaTypeProblem::Parameters);
    }
    let (main, sub) = text.split_once('/').ok_or(MediaTypeProblem::NoSlash)?;
    for (part, before) in [(main, 0), (sub, main.chars().count() + 1)] {
        if part.is_empty() {
            return Err(MediaTypeProblem::Empty);
        }
        for (index, character) in part.chars().enumerate() {
            let allowed =
                character.is_ascii_alphanumeric() || (index > 0 && "!#$&-^_.+".contains(character));
            if !allowed {
                return Err(MediaTypeProblem::Character {
                    character,
                    position: before + index + 1,
                });
            }
        }
        if part.len() > 127 {
            return Err(MediaTypeProblem::Long);
        }
    }
    Ok(())
}

impl AsRef<str> for MediaType {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// For messages: foreign text is escaped and cut; [`MediaType::as_str`] has it as it is.
impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printable(self.as_str(), SHOWN).fmt(f)
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Characters that messages show: two names of the greatest length, and the slash.
const SHOWN: usize = 255;

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// As [`MediaType::verbatim`].
impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MediaType, D::Error> {
        String::deserialize(deserializer).map(MediaType::verbatim)
    }
}

/// Text that is not a media type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("media type {}: {problem}", Quoted(text))]
pub struct MediaTypeError {
    text: String,
    problem: MediaTypeProblem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum MediaTypeProblem {
    #[error("parameters are not allowed (type/subtype)")]
    Parameters,
    #[error("no '/' (expected type/subtype)")]
    NoSlash,
    #[error("type or subtype is empty (expected type/subtype)")]
    Empty,
    #[error("type or subtype is longer than 127 characters")]
    Long,
    #[error("character {character:?} is not allowed at position {position}")]
    Character { character: char, position: usize },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accept_lists_every_manifest_type_once() {
        let listed: Vec<&str> = manifest_accept().split(", ").collect();
        let mut expected: Vec<&str> = WELL_KNOWN
            .iter()
            .map(|(text, _)| *text)
            .filter(|text| text.parse::<MediaType>().unwrap().is_manifest())
            .collect();
        let mut sorted = listed.clone();
        sorted.sort_unstable();
        expected.sort_unstable();
        assert_eq!(sorted, expected);
    }

    #[test]
    fn kinds_are_told_apart() {
        assert!(
            MediaType::OCI_IMAGE_INDEX.is_index() && MediaType::DOCKER_MANIFEST_LIST.is_index()
        );
        assert!(
            MediaType::OCI_IMAGE_MANIFEST.is_image_manifest()
                && MediaType::DOCKER_MANIFEST.is_image_manifest()
        );
        assert!(
            MediaType::DOCKER_MANIFEST_V1_SIGNED.is_schema1()
                && MediaType::DOCKER_MANIFEST_V1.is_schema1()
        );
        assert!(
            MediaType::OCI_ARTIFACT_MANIFEST.is_manifest()
                && !MediaType::OCI_ARTIFACT_MANIFEST.is_image_manifest()
        );
        assert!(MediaType::DOCKER_CONFIG.is_config() && MediaType::OCI_IMAGE_CONFIG.is_config());
        for other in [
            MediaType::OCI_EMPTY,
            MediaType::OCTET_STREAM,
            MediaType::OCI_LAYER,
            MediaType::DOCKER_CONFIG,
        ] {
            assert!(!other.is_manifest() && !other.is_index(), "{other}");
        }
        assert!(MediaType::DOCKER_LAYER.is_docker() && !MediaType::OCI_LAYER.is_docker());
    }

    #[test]
    fn layers_know_their_compression_and_whether_they_may_be_passed_on() {
        for (layer, compression, distributable) in [
            (MediaType::OCI_LAYER, Compression::None, true),
            (MediaType::OCI_LAYER_GZIP, Compression::Gzip, true),
            (MediaType::OCI_LAYER_ZSTD, Compression::Zstd, true),
            (
                MediaType::OCI_LAYER_NONDISTRIBUTABLE,
                Compression::None,
                false,
            ),
            (
                MediaType::OCI_LAYER_NONDISTRIBUTABLE_GZIP,
                Compression::Gzip,
                false,
            ),
            (
                MediaType::OCI_LAYER_NONDISTRIBUTABLE_ZSTD,
                Compression::Zstd,
                false,
            ),
            (MediaType::DOCKER_LAYER, Compression::None, true),
            (MediaType::DOCKER_LAYER_GZIP, Compression::Gzip, true),
            (MediaType::DOCKER_LAYER_ZSTD, Compression::Zstd, true),
            (MediaType::DOCKER_FOREIGN_LAYER, Compression::None, false),
            (
                MediaType::DOCKER_FOREIGN_LAYER_GZIP,
                Compression::Gzip,
                false,
            ),
        ] {
            assert!(layer.is_layer(), "{layer}");
            assert_eq!(layer.compression(), Some(compression), "{layer}");
            assert_eq!(layer.is_distributable(), distributable, "{layer}");
        }
        assert_eq!(MediaType::OCI_IMAGE_CONFIG.compression(), None);
        assert!(MediaType::OCI_IMAGE_CONFIG.is_distributable());
    }

    #[test]
    fn a_well_known_type_in_any_letter_case_is_its_constant() {
        let parsed: MediaType = "Application/VND.oci.image.index.v1+JSON".parse().unwrap();
        assert_eq!(parsed, MediaType::OCI_IMAGE_INDEX);
        assert!(matches!(parsed.0, Cow::Borrowed(_)));
    }

    #[test]
    fn parameters_are_refused_but_left_out_of_a_header() {
        let header = " application/vnd.oci.image.index.v1+json ; charset=utf-8";
        assert!(header.parse::<MediaType>().is_err());
        assert_eq!(
            MediaType::from_content_type(header),
            Ok(MediaType::OCI_IMAGE_INDEX)
        );
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let message = |text: &str| text.parse::<MediaType>().unwrap_err().to_string();
        assert_eq!(
            message("json"),
            r#"media type "json": no '/' (expected type/subtype)"#
        );
        assert!(message("").contains("no '/'"));
        assert!(message("a/").contains("is empty"));
        assert!(message("a/b;c=d").contains("parameters are not allowed"));
        assert!(message("a/b/c").contains("'/' is not allowed at position 4"));
        assert!(message("a/+json").contains("'+' is not allowed at position 3"));
        assert!(message("ä/b").contains("'ä' is not allowed at position 1"));
        assert!(message(&format!("a/{}", "b".repeat(128))).contains("longer than 127"));
    }

    /// Types that ordinary tools write, and some that only a document can hold.
    const ODD: [&str; 7] = [
        "text",
        "text/plain; charset=utf-8",
        "application/vnd.cyclonedx+json;version=0.2",
        "",
        "a/b/c",
        "\u{1b}[2J\n/ä",
        "Application/VND.example.X",
    ];

    #[test]
    fn fault_a12_what_a_document_says_is_kept_and_is_other() {
        let long = format!("application/{}", "x".repeat(500));
        for text in ODD.into_iter().chain([long.as_str()]) {
            let json = serde_json::Value::from(text);
            let read: MediaType = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(read, MediaType::verbatim(text));
            assert_eq!(read.as_str(), text);
            assert_eq!(serde_json::to_value(&read).unwrap(), json);
            assert!(
                !read.is_manifest() && !read.is_layer() && !read.is_config(),
                "{text}"
            );
            assert!(
                read.is_distributable() && read.compression().is_none(),
                "{text}"
            );
            assert!(!read.to_string().contains(char::is_control), "{text}");
        }
    }

    #[test]
    fn fault_a12_a_known_type_is_recognised_in_any_case_and_with_parameters() {
        for text in [
            "Application/VND.oci.image.index.v1+JSON",
            "application/vnd.oci.image.index.v1+json; charset=utf-8",
        ] {
            let read = MediaType::verbatim(text);
            assert_eq!(read.as_str(), text);
            assert!(read.is_index() && read.is_manifest(), "{text}");
            assert!(read.is_same_type(&MediaType::OCI_IMAGE_INDEX));
            assert_eq!(read.of_manifest(), Some(read.clone()));
        }
        let layer = MediaType::verbatim("APPLICATION/vnd.oci.image.layer.v1.tar+ZSTD");
        assert_eq!(layer.compression(), Some(Compression::Zstd));
        assert!(MediaType::verbatim("Application/vnd.docker.x").is_docker());
    }

    #[test]
    fn fault_a12_only_what_fits_into_a_header_is_the_type_of_a_manifest() {
        let of_manifest = |text: &str| MediaType::verbatim(text).of_manifest();
        let broken = "application/vnd.oci.image.index.v1+json; x=\n";
        assert_eq!(of_manifest(broken), Some(MediaType::OCI_IMAGE_INDEX));
        let vendors = "application/vnd.example.v1+json;version=0.2";
        assert_eq!(of_manifest(vendors), Some(MediaType::verbatim(vendors)));
        let long = format!("application/vnd.{}", "x".repeat(500));
        for other in ODD.into_iter().filter(|text| !text.contains("VND")).take(2) {
            assert_eq!(of_manifest(other), None, "{other}");
        }
        for none in [
            "application/vnd.a\r\nb",
            &long,
            MediaType::OCI_LAYER.as_str(),
        ] {
            assert_eq!(of_manifest(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn fault_a12_any_text_is_kept(text: String) {
            let read = MediaType::verbatim(text.as_str());
            prop_assert_eq!(read.as_str(), text.as_str());
            prop_assert!(!read.to_string().contains(char::is_control));
            if let Some(sent) = read.of_manifest() {
                prop_assert!(fits_header(sent.as_str()));
            }
        }

        #[test]
        fn display_parses_back(text in "[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,40}/[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,40}") {
            let parsed: MediaType = text.parse().unwrap();
            prop_assert!(parsed.as_str().eq_ignore_ascii_case(&text));
            prop_assert_eq!(parsed.to_string().parse::<MediaType>(), Ok(parsed));
        }

        #[test]
        fn any_text_is_parsed_or_refused_in_one_line(text: String) {
            match text.parse::<MediaType>() {
                Ok(parsed) => prop_assert_eq!(parsed.as_str(), text),
                Err(error) => prop_assert!(!error.to_string().contains(char::is_control)),
            }
        }
    }
}
