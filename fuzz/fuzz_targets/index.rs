//! The index that lists referrers under a tag: foreign entries survive, added ones are there,
//! removed ones are gone.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| wharf::fuzzing::referrers_index(bytes));
