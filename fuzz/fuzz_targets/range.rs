//! The `Range` header of an upload session: what is read of it says no more than is written.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &str| {
    match wharf::fuzzing::range(header) {
        Some(0) | None => {}
        Some(length) => {
            let last = length - 1;
            assert!(header.contains(&last.to_string()), "{header:?}: {length}");
            assert_eq!(wharf::fuzzing::range(&format!("0-{last}")), Some(length));
        }
    }
});
