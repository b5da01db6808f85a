//! What rustls sees: a `CryptoProvider` and signing keys whose operations park the calling fiber.
