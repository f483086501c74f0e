//! A storage in memory: for tests and throw-away registries. Everything is gone with the value.

mod repository;
mod state;
mod storage;

pub use storage::Memory;
