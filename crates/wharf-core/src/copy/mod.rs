//! The one operation: copies everything below some roots from a source to a store.
//!
//! Push, pull and copy are this call with other arguments. It plans (what does the store have?),
//! moves blobs, and commits manifests, children first and tags last.

mod commit;
mod content;
mod doubt;
mod event;
mod execute;
mod group;
mod in_turn;
mod intake;
mod lanes;
mod log;
mod make;
mod missing;
mod options;
mod order;
mod plan;
mod planner;
mod put;
mod rate;
mod reading;
mod resumed;
mod retry;
mod said;
mod share;
mod single;
mod summary;
mod survey;
mod tally;
mod target;
mod tee;
mod unbroken;
mod writes;

pub use self::event::{Event, NoObserver, Observer, Retry, Subject, SubjectKey};
pub use self::execute::{Destination, copy, copy_to_all};
pub use self::options::{Clobber, CopyOptions, Existing, LeftOut, Nondistributable, SharedJobs};
pub use self::plan::{Plan, Root, RootContent};
pub use self::rate::RateLimit;
pub use self::retry::RetryPolicy;
pub use self::single::{push_blob, push_layer};
pub use self::summary::Summary;
pub use self::survey::{Fate, Survey, SurveyedManifest};
pub use self::tally::Tally;
