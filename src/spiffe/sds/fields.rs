//! The fields of messages: that none of them is overlooked, and that their data is there.

use super::super::Refusal;
use super::super::proto::discovery::{DataSource, Specifier};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// Refuses a field of a message inside of `message` that nobody looks at: it may restrict who is admitted.
pub(super) fn check_fields(message: &[u8], inside: u32, known: &[u32]) -> Result<(), Refusal> {
    for (_, content) in fields(message)?.into_iter().filter(|(tag, _)| *tag == inside) {
        check_tags(content, known)?;
    }
    Ok(())
}

pub(super) fn check_tags(message: &[u8], known: &[u32]) -> Result<(), Refusal> {
    match fields(message)?.into_iter().find(|(tag, _)| !known.contains(tag)) {
        Some((tag, _)) => Err(Refusal::Unsupported(format!("the field with number {tag}"))),
        None => Ok(()),
    }
}

/// The numbers of a message's fields, and what is in those that have a length.
fn fields(mut message: &[u8]) -> Result<Vec<(u32, &[u8])>, Refusal> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let (tag, wire_type) = decode_key(&mut message).map_err(malformed)?;
        let mut content = &[][..];
        if wire_type == WireType::LengthDelimited {
            let length = decode_varint(&mut message).map_err(malformed)?;
            let length = usize::try_from(length).map_err(malformed)?;
            (content, message) =
                message.split_at_checked(length).ok_or_else(|| malformed("a field that does not end"))?;
        } else {
            skip_field(wire_type, tag, &mut message, DecodeContext::default()).map_err(malformed)?;
        }
        fields.push((tag, content));
    }
    Ok(fields)
}

/// The data of a field, which must be in the message.
pub(super) fn inline(field: &str, source: Option<DataSource>) -> Result<Vec<u8>, Refusal> {
    let elsewhere = |what: &str, name: &str| {
        Err(Refusal::Unsupported(format!("{field} names the {what} {name:?}: secrets must carry their data")))
    };
    match source.and_then(|source| source.specifier) {
        Some(Specifier::InlineBytes(bytes)) => Ok(bytes),
        Some(Specifier::InlineString(text)) => Ok(text.into_bytes()),
        Some(Specifier::Filename(name)) => elsewhere("file", &name),
        Some(Specifier::EnvironmentVariable(name)) => elsewhere("environment variable", &name),
        None => Err(malformed(format!("{field} is not there"))),
    }
}

pub(super) fn malformed(why: impl std::fmt::Display) -> Refusal {
    Refusal::Malformed(why.to_string())
}
