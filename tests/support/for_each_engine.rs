//! Tests that run on both kinds of engine. `support` of the test program has `run` and `TestEngine`.

/// Defines each test for both kinds of engine.
macro_rules! for_each_engine {
    ($($(#[$attr:meta])* async fn $name:ident<E>() $body:block)+) => {$(
        mod $name {
            use super::*;

            async fn test<E: $crate::support::TestEngine>() $body

            #[test]
            fn on_local_engine() {
                $crate::support::run(test::<rustls_multibuffer::handshake::LocalEngine>());
            }

            #[test]
            fn on_engine() {
                $crate::support::run(test::<rustls_multibuffer::handshake::Engine>());
            }
        }
    )+};
}
pub(crate) use for_each_engine;
