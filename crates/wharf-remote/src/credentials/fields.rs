//! Reads objects as Go's decoder does: ignores unknown fields, and uses the last of repeated ones.
//! Serde itself refuses those.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};

/// A type that is read from an object's fields.
pub(crate) trait Fields: Default {
    /// Reads the value of the field `name` from `map`.
    ///
    /// # Errors
    /// If it has the wrong type.
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

/// Reads an object.
///
/// # Errors
/// If it is not an object, or a field is malformed.
pub(crate) fn read<'de, T: Fields, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_map(Object(PhantomData))
}

struct Object<T>(PhantomData<T>);

impl<'de, T: Fields> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut all = T::default();
        while let Some(name) = map.next_key::<String>()? {
            all.field(&name, &mut map)?;
        }
        Ok(all)
    }
}
