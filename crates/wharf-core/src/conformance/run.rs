//! All clauses, and their checks one after the other.

use futures::FutureExt;

use super::clause::{Clause, Trial};
use super::found::Found;
use super::stores::Stores;
use super::{blobs, copies, deletion, ingestion, lasting, manifests, paging, referring};

/// A clause by the path of its check.
macro_rules! clauses {
    ($($module:ident::$check:ident,)+) => {
        &[$(Clause {
            name: concat!(stringify!($module), "::", stringify!($check)),
            check: |trial| $module::$check(trial).boxed(),
        }),+]
    };
}

pub(super) const CLAUSES: &[Clause] = clauses![
    blobs::are_missing_before_they_are_put,
    blobs::are_read_as_they_were_put,
    blobs::are_read_from_any_offset,
    blobs::are_not_confused_with_others_of_another_size,
    blobs::of_wrong_bytes_are_refused,
    blobs::of_a_broken_source_are_not_kept,
    blobs::may_be_put_again,
    blobs::may_be_empty,
    blobs::may_be_named_by_sha512,
    blobs::tell_their_sizes,
    blobs::may_be_put_at_once,
    ingestion::learns_what_it_takes,
    ingestion::leaves_nothing_of_a_broken_stream,
    ingestion::goes_on_with_a_second_try,
    manifests::keep_their_bytes,
    manifests::have_no_tag_as_children,
    manifests::may_be_roots_without_tags,
    manifests::have_all_of_their_tags,
    manifests::give_their_tags_to_others,
    manifests::may_be_put_again,
    manifests::may_be_put_at_once,
    paging::is_in_lexical_order,
    paging::goes_page_by_page,
    paging::begins_behind_any_tag,
    deletion::of_a_tag_leaves_the_rest,
    deletion::of_a_manifest_takes_its_tags,
    deletion::of_nothing_says_so,
    referring::is_listed_with_the_subject,
    referring::is_empty_for_others,
    lasting::is_there_after_reopening,
    copies::go_in_and_out,
];

/// Checks all clauses of the contract, each on a new store of `stores`.
pub async fn check(stores: &dyn Stores) -> Found {
    let mut found = Found::default();
    for clause in CLAUSES {
        let trial = Trial {
            stores,
            store: stores.empty().await,
        };
        found.note(clause.name, (clause.check)(&trial).await);
    }
    found
}
