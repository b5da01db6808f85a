//! The fields of a certificate that the rules for leaves are about.
//!
//! A handshake reads them of each peer that is new, so what nobody asks for is stepped over: x509-parser
//! takes three times as long for the whole. The chain's verification parses the certificate again, by
//! webpki's rules, before it believes anything.

use rustls::pki_types::{CertificateDer, UnixTime};
use std::fmt;
use std::time::Duration;
use x509_parser::asn1_rs::{Any, Class, FromDer, Tag};
use x509_parser::certificate::Validity;
use x509_parser::extensions::{BasicConstraints, GeneralName, KeyUsage, SubjectAlternativeName};

/// OIDs below id-ce, 2.5.29 (RFC 5280 §4.2.1), as DER writes them.
const KEY_USAGE: [u8; 3] = [0x55, 0x1d, 15];
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 17];
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 19];

pub(super) struct Fields<'a> {
    pub(super) validity: Validity,
    pub(super) is_ca: bool,
    pub(super) key_usage: Option<KeyUsage>,
    /// The subject alternative names.
    pub(super) names: Vec<GeneralName<'a>>,
}

/// What is not as RFC 5280 §4.1 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadField(&'static str);

impl fmt::Display for BadField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

type Result<T> = std::result::Result<T, BadField>;

impl<'a> Fields<'a> {
    /// # Errors
    /// The first field that is not as RFC 5280 §4.1 says.
    pub(super) fn read(certificate: &'a [u8]) -> Result<Self> {
        let mut outer = certificate;
        let mut certificate = sequence(&mut outer, "not a certificate")?;
        if !outer.is_empty() {
            return Err(BadField("bytes follow the certificate"));
        }
        let mut tbs = sequence(&mut certificate, "no TBSCertificate")?;
        for before in ["no version", "no serial number", "no signature algorithm", "no issuer"] {
            element(&mut tbs, before)?;
        }
        let (rest, validity) = Validity::from_der(tbs).map_err(|_| BadField("no validity"))?;
        tbs = rest;
        for between in ["no subject", "no public key"] {
            element(&mut tbs, between)?;
        }
        let mut fields = Self { validity, is_ca: false, key_usage: None, names: Vec::new() };
        while !tbs.is_empty() {
            let field = element(&mut tbs, "something after the public key")?;
            // The others are the unique identifiers of version 2.
            if (field.class(), field.tag()) == (Class::ContextSpecific, Tag(3)) {
                fields.read_extensions(field.data)?;
            }
        }
        Ok(fields)
    }

    /// The last second of the validity; `None` before 1970.
    pub(super) fn not_after(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.validity.not_after.timestamp()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }

    fn read_extensions(&mut self, mut field: &'a [u8]) -> Result<()> {
        let mut list = sequence(&mut field, "no extensions")?;
        let mut seen = Vec::with_capacity(3);
        while !list.is_empty() {
            let mut extension = sequence(&mut list, "an extension")?;
            let oid = tagged(&mut extension, Tag::Oid, "an extension's identifier")?;
            let Ok(oid) = <[u8; 3]>::try_from(oid) else { continue };
            if ![KEY_USAGE, SUBJECT_ALT_NAME, BASIC_CONSTRAINTS].contains(&oid) {
                continue;
            }
            // RFC 5280 §4.2: not more than one instance of an extension.
            if seen.contains(&oid) {
                return Err(BadField("an extension that is there twice"));
            }
            seen.push(oid);
            self.read_extension(oid, value(&mut extension)?)?;
        }
        Ok(())
    }

    fn read_extension(&mut self, oid: [u8; 3], value: &'a [u8]) -> Result<()> {
        match oid {
            KEY_USAGE => {
                let (_, usage) = KeyUsage::from_der(value).map_err(|_| BadField("the key usage"))?;
                self.key_usage = Some(usage);
            }
            BASIC_CONSTRAINTS => {
                let constraints = BasicConstraints::from_der(value);
                self.is_ca = constraints.map_err(|_| BadField("the basic constraints"))?.1.ca;
            }
            _ => {
                let names = SubjectAlternativeName::from_der(value);
                self.names = names.map_err(|_| BadField("the subject alternative names"))?.1.general_names;
            }
        }
        Ok(())
    }
}

/// The end of the first of some certificates that ends; `None` if there is none, or one cannot be read.
pub(super) fn first_end<'a>(
    certificates: impl IntoIterator<Item = &'a CertificateDer<'a>>,
) -> Option<UnixTime> {
    let ends = certificates.into_iter().map(|certificate| Fields::read(certificate).ok()?.not_after());
    ends.reduce(|first, end| Some(first?.min(end?))).flatten()
}

/// An extension's value; whether it is critical is webpki's business.
fn value<'a>(extension: &mut &'a [u8]) -> Result<&'a [u8]> {
    let next = element(extension, "an extension's value")?;
    let value = match next.tag() {
        Tag::Boolean => element(extension, "an extension's value")?,
        _ => next,
    };
    match value.tag() {
        Tag::OctetString => Ok(value.data),
        _ => Err(BadField("an extension's value")),
    }
}

fn sequence<'a>(input: &mut &'a [u8], what: &'static str) -> Result<&'a [u8]> {
    tagged(input, Tag::Sequence, what)
}

fn tagged<'a>(input: &mut &'a [u8], tag: Tag, what: &'static str) -> Result<&'a [u8]> {
    let element = element(input, what)?;
    match (element.class(), element.tag()) == (Class::Universal, tag) {
        true => Ok(element.data),
        false => Err(BadField(what)),
    }
}

/// Takes the next element off `input`.
fn element<'a>(input: &mut &'a [u8], what: &'static str) -> Result<Any<'a>> {
    let (rest, element) = Any::from_der(input).map_err(|_| BadField(what))?;
    *input = rest;
    Ok(element)
}
