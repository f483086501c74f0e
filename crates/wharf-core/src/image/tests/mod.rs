mod edits;
mod files;
mod fixtures;
mod layers;
