//! The command-line tool wharf.
fn main() {}
