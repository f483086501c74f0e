//! OCI image layouts: directories as source and store, and the reading half for any other place.
//!
//! OCI image-spec, "Image Layout Specification".

mod directory;
mod entry;
mod listing;
mod present;
mod reader;
mod tree;
mod write;

pub use self::directory::Layout;
pub use self::entry::Entry;
pub use self::reader::LayoutReader;
