//! The `Range` header of an upload session: the parsed length never exceeds the stated one.
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
