//! A scripted HTTP/1.1 server on a loopback address: it answers, or fails, exactly as its script
//! says.
//!
//! ```
//! use wharf_testkit::{Answer, FaultServer, Script};
//!
//! let server = FaultServer::start(
//!     Script::new().on("HEAD", "/v2/*/blobs/*", [Answer::status(500), Answer::status(404)]),
//! );
//! assert!(server.base().starts_with("http://127.0.0.1:"));
//! assert!(server.requests().is_empty());
//! ```

mod answer;
mod body;
mod record;
mod script;
mod serve;

pub(crate) use self::record::percent_decoded;
pub use answer::Answer;
pub use record::RecordedRequest;
pub use script::Script;
pub use serve::FaultServer;
