//! Istio's and ASM's ways to set a proxy up, and which of them counts.
//!
//! [`Objects::read`] collects what there is: the mesh configuration, `ProxyConfig` objects, ASM's
//! `ASMCustomProxyConfigInjectionTemplate` objects, and pods or what makes them. [`Resolver::resolve`] gives
//! the settings of one pod, and says of each of them where it came from.
//!
//! Precedence, the last one counts, field by field (of environment variables, one by one; of
//! `privateKeyProvider.cryptomb`, too):
//!
//! | [`Precedence::Istio`] | [`Precedence::Asm`] |
//! |---|---|
//! | Istio's defaults | Istio's defaults |
//! | `meshConfig.defaultConfig` | `meshConfig.defaultConfig` |
//! | [`Objects::overlay_defaults`] | [`Objects::overlay_defaults`] |
//! | `ProxyConfig` for all, in the root namespace | template for all, in the pod's namespace |
//! | `ProxyConfig` for all, in the pod's namespace | template that selects, in the pod's namespace |
//! | annotation `proxy.istio.io/config` | annotation `proxy.istio.io/config` |
//! | `ProxyConfig` that selects, in the pod's namespace | |
//!
//! An object without a selector is for all pods; one with a selector has to select the pod.
//!
//! Of several objects in one row only the oldest counts, even if it says nothing; one whose age is not known
//! is the oldest, and of those that are equally old the first by name is. A selector without labels selects
//! nothing.
//!
//! Fields of Istio's own messages that mean nothing here are passed over; a field that Istio does not have is
//! an error. In an annotation it is a warning, and a broken field is left out, which [`Resolved::errors`]
//! tells.
//!
//! What differs from Istio, on purpose: a `pollDelay` of whole seconds stays what it is; it may be left out,
//! or zero; durations overlay each other as a whole, and not seconds and nanoseconds apart.

mod explain;
mod fields;
mod messages;
mod objects;
mod raw;
mod resolve;
mod settings;
mod timestamp;

pub use explain::{Explained, Explanation, Note};
pub use objects::{Objects, Origin, Pod};
pub use resolve::{Precedence, Resolved, Resolver};
pub use settings::{CryptoMb, LifecycleHandler, ProxyConfig};

#[cfg(test)]
pub(super) use raw::{ProxyConfig as RawProxyConfig, ProxyConfigSpec, TemplateSpec};
