//! Files that processes of one user share between runs.
//!
//! Only that user may read them. A process changes a file under a lock, held briefly. A crash
//! leaves the old file or the new one, or at most one broken line.

mod files;
mod lines;
mod lock;

pub use files::{private_dir, replace, sweep};
pub use lines::Lines;
pub use lock::lock;
