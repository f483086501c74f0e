//! The index that lists referrers under a tag: what others wrote survives, and what is added and
//! taken away is there and gone.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| wharf::fuzzing::referrers_index(bytes));
