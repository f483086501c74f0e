//! Layers: how they are compressed, and what is remembered of it.
