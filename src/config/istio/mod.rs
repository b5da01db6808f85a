//! Istio's and ASM's ways to set a proxy up, and which of them counts.
//!
//! [`Objects::read`] collects what there is: the mesh configuration, `ProxyConfig` objects, ASM's
//! `ASMCustomProxyConfigInjectionTemplate` objects, and pods or what makes them. [`Resolver::resolve`] gives the settings
//! of one pod, and says of each of them where it came from.
//!
//! Precedence, the last one counts, field by field (of environment variables, one by one):
//!
//! | [`Precedence::Istio`] | [`Precedence::Asm`] |
//! |---|---|
//! | Istio's defaults | Istio's defaults |
//! | `meshConfig.defaultConfig` | `meshConfig.defaultConfig` |
//! | `ProxyConfig` without a selector in the root namespace | template without a selector in the pod's namespace |
//! | `ProxyConfig` without a selector in the pod's namespace | template whose selector matches, in the pod's namespace |
//! | annotation `proxy.istio.io/config` | annotation `proxy.istio.io/config` |
//! | `ProxyConfig` whose selector matches, in the pod's namespace | |
//!
//! Of several objects in one row only the oldest counts; of those that are equally old, or whose age is not known, the first
//! by name. An annotation that is not understood is left out, as in Istio, but with a warning.
//!
//! What differs from Istio, on purpose: a `pollDelay` of whole seconds stays what it is; it may be left out, or zero.

mod explain;
mod fields;
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
