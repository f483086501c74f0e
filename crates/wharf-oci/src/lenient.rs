//! What Go programs write for "nothing": `null` for an empty list or map, `""` for no media type.

use serde::{Deserialize, Deserializer};

use crate::MediaType;

/// Reads `null` as the default value.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads `null` and `""` as no media type; any other text is kept as it is.
pub(crate) fn optional_media_type<'de, D>(deserializer: D) -> Result<Option<MediaType>, D::Error>
where
    D: Deserializer<'de>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    let text = text.filter(|text| !text.is_empty());
    Ok(text.map(MediaType::verbatim))
}

/// Reads `null` as the empty media type; any text is kept as it is.
pub(crate) fn media_type<'de, D>(deserializer: D) -> Result<MediaType, D::Error>
where
    D: Deserializer<'de>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(MediaType::verbatim(text.unwrap_or_default()))
}

/// The media type of content for which none is stated.
pub(crate) fn no_media_type() -> MediaType {
    MediaType::verbatim("")
}
