//! Objects of which each field counts that is known, and of those that stand there twice the last,
//! as with Go's decoder. Serde's own would refuse them.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};

/// What is made of an object's fields.
pub(super) trait Fields: Default {
    /// Takes the value of the field `name` from `map`.
    ///
    /// # Errors
    /// Where it is of another kind than belongs there.
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

/// Reads an object.
///
/// # Errors
/// Where it is none, or a field makes no sense.
pub(super) fn read<'de, T: Fields, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
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
