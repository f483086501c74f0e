mod bytes;
mod fixtures;
mod merged;
mod model;
mod stacks;
