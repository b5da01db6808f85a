//! The SPIFFE Workload API's X.509 profile (SPIFFE Workload API §5).

use prost::Message;
use prost::bytes::Bytes;
use std::collections::BTreeMap;

/// The metadata that every request must carry with the value `true` (SPIFFE Workload Endpoint §6.1).
pub(in crate::spiffe) const SECURITY_HEADER: &str = "workload.spiffe.io";

pub(in crate::spiffe) const FETCH_X509_SVID: &str = "/SpiffeWorkloadAPI/FetchX509SVID";
#[cfg(feature = "spiffe-authority")]
pub(in crate::spiffe) const FETCH_X509_BUNDLES: &str = "/SpiffeWorkloadAPI/FetchX509Bundles";

/// `X509SVIDRequest` and `X509BundlesRequest`, which have no fields.
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct FetchRequest {}

/// `X509SVIDResponse`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct X509SvidResponse {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::spiffe) svids: Vec<X509Svid>,
    /// DER certificates one after the other, by trust domain.
    #[prost(btree_map = "string, bytes", tag = "3")]
    pub(in crate::spiffe) federated_bundles: BTreeMap<String, Bytes>,
}

/// `X509SVID`
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(in crate::spiffe) struct X509Svid {
    #[prost(string, tag = "1")]
    pub(in crate::spiffe) spiffe_id: String,
    /// DER certificates one after the other, leaf first.
    #[prost(bytes = "bytes", tag = "2")]
    pub(in crate::spiffe) x509_svid: Bytes,
    /// PKCS #8
    #[prost(bytes = "bytes", tag = "3")]
    pub(in crate::spiffe) x509_svid_key: Bytes,
    /// DER certificates one after the other.
    #[prost(bytes = "bytes", tag = "4")]
    pub(in crate::spiffe) bundle: Bytes,
    #[prost(string, tag = "5")]
    pub(in crate::spiffe) hint: String,
}

impl std::fmt::Debug for X509Svid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("X509Svid").field("spiffe_id", &self.spiffe_id).finish_non_exhaustive()
    }
}

/// `X509BundlesResponse`
#[cfg(feature = "spiffe-authority")]
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct X509BundlesResponse {
    /// DER certificates one after the other, by trust domain.
    #[prost(btree_map = "string, bytes", tag = "2")]
    pub(in crate::spiffe) bundles: BTreeMap<String, Bytes>,
}
