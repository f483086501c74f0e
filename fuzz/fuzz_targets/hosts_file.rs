//! `hosts.toml`: an error is one line that names a place in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Err(complaint) = wharf::fuzzing::hosts_file(text) else {
        return;
    };
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    let place = complaint.strip_prefix("line ").and_then(|rest| rest.split_once(','));
    let line: usize = place.expect("a place").0.parse().expect("a number");
    assert!(line >= 1 && line <= text.split('\n').count(), "{complaint}");
});
