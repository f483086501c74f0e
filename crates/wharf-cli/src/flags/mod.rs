//! Flags of several commands, and their meaning for the library.

mod ceilings;
mod changes;
mod client;
mod existing;
mod files;
mod format;
mod global;
mod logins;
mod many;
mod moving;
mod new_layers;
mod platforms;
mod result_to;
mod timing;
mod tls;

pub(crate) use self::changes::Changes;
pub(crate) use self::client::{Memories, builder};
pub(crate) use self::files::Files;
pub(crate) use self::format::Format;
pub(crate) use self::global::Global;
pub(crate) use self::logins::{FLAG, Hidden, Logins};
pub(crate) use self::many::{JsonList, List, Map, Pair};
pub(crate) use self::moving::{Effect, Moving};
pub(crate) use self::new_layers::NewLayers;
pub(crate) use self::platforms::{PlatformWord, several};
pub(crate) use self::result_to::ResultTo;
