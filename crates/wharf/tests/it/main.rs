//! The integration tests, in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fixture that fails fails the test"
)]

mod archive;
mod auth_faults;
mod auth_network;
mod auth_rows;
mod both_kinds;
mod copy_tree;
mod crossings;
mod diff_ids;
mod events;
mod evil_server;
mod examples;
mod explained;
mod front_door;
mod front_door_blobs;
mod front_door_counts;
mod front_door_images;
mod front_door_lists;
mod front_door_logins;
mod front_door_verbs;
mod front_end;
mod heads;
mod layers;
mod layout;
mod limit_rows;
mod log_rows;
mod manifest_rows;
mod mirrors;
mod near_network;
mod near_rows;
mod patience;
mod places;
mod proxy_rows;
mod push_faults;
mod push_rows;
mod request_counts;
mod retried_requests;
mod secrets;
mod several_repositories;
mod stale_connections;
mod support;
mod survey;
mod tls_rows;
mod unknown_content;
mod unsettled;
mod upload_rows;
mod useless_sessions;
mod verbatim;
mod waits;
