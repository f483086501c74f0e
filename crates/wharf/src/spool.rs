//! Streams of unknown length, kept in a temporary file.
