#![no_main]
#[path = "../../tests/fuzz_bodies/mod.rs"]
#[expect(dead_code, reason = "each target runs one of the bodies")]
mod fuzz_bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz_bodies::svids::run(data);
});
