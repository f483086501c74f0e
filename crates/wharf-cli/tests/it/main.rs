//! The integration tests, in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fixture that fails fails the test"
)]

mod append;
mod archives;
mod at_once;
mod auth;
mod bad_input;
mod blob;
mod build;
mod cat;
mod catalog;
mod common;
mod completion;
mod config;
mod copy;
mod credential_faults;
mod cut_connections;
mod cut_off;
mod damaged;
mod delete_tag;
mod digest;
mod dry_run;
mod end_to_end;
mod exit_codes;
mod export;
#[cfg(target_os = "linux")]
mod export_directory;
mod files;
mod flag_words;
mod flatten;
mod help;
mod hints;
mod index_edit;
mod index_list;
mod inspect;
mod interrupted;
mod killed;
mod logins;
mod lost_content;
mod ls;
mod manifest;
mod manners;
mod memory;
mod mirrors;
mod mutate;
mod objects;
mod own_names;
mod platforms;
mod pull;
mod rebase;
mod redaction;
mod request_counts;
mod serving;
mod several;
mod sha512;
mod siblings;
mod storm;
mod streams;
mod tls;
mod tree;
mod validate;
mod verbs;
mod waiting;
mod wording;
mod words;
