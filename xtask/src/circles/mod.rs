//! Files of a crate that need each other: circles may go, and none is added.

mod attributes;
mod edges;
mod graph;
mod guard;
mod known;
mod modules;
mod names;
mod uses;

pub(crate) use guard::{check, lower, show};
