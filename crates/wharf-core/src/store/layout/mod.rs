//! OCI image layouts: directories as source and store, and the reading half for any other place.
//!
//! OCI image-spec, "Image Layout Specification".

mod directory;
mod entry;
pub(super) mod listing;
mod present;
mod reader;
mod tree;

pub use self::directory::Layout;
pub use self::entry::Entry;
pub use self::reader::LayoutReader;
pub(crate) use self::reader::blob_path;
