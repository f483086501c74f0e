//! What OCI says, as pure types: no runtime, no network, no files.
//!
//! Parses foreign strings and bytes into types, strictly; an error names the part that is wrong.
//! Documents keep the fields that this version does not know.

mod annotations;
mod compact;
mod config;
mod config_order;
mod descriptor;
mod diagnostic;
mod digest;
mod image;
mod index;
mod kind;
mod layout;
mod lenient;
mod manifest;
mod manifest_error;
mod media_type;
mod moment;
mod name;
mod outline;
mod payload;
mod platform;
mod raw;
mod reference;
mod registry;
mod run_config;
mod schema1;
mod text;

pub use annotations::*;
pub use compact::*;
pub use config::*;
pub use descriptor::*;
pub use diagnostic::*;
pub use digest::*;
pub use image::*;
pub use index::*;
pub use kind::*;
pub use layout::*;
pub use manifest::*;
pub use manifest_error::*;
pub use media_type::*;
pub use moment::*;
pub use name::*;
pub use payload::*;
pub use platform::*;
pub use reference::*;
pub use registry::*;
pub use run_config::*;
pub use schema1::*;
pub use text::{Printable, digits};
