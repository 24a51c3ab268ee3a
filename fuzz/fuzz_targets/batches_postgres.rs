#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sbm_fuzz::batches_postgres(data));
