//! What objects travel in: four bytes that no text begins with, then `runtime.Unknown`, which says the kind.

use serde_json::Value;

use super::{
    Malformed, Message,
    wire::{Reader, Writer, expect},
};

const PREFIX: [u8; 4] = *b"k8s\0";

/// An object whose kind is known and whose message has not been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Its apiVersion; empty where it is not said.
    pub api_version: String,
    /// Its kind; empty where it is not said.
    pub kind: String,
    /// Its message.
    pub raw: &'a [u8],
}

/// Opens an envelope.
///
/// # Errors
/// What is malformed.
pub fn open(bytes: &[u8]) -> Result<Envelope<'_>, Malformed> {
    if bytes.is_empty() {
        return Err(Malformed::Nothing);
    }
    let message = bytes.strip_prefix(&PREFIX).ok_or(Malformed::NoPrefix)?;
    if message.is_empty() {
        return Err(Malformed::Empty);
    }
    let mut envelope = Envelope { api_version: String::new(), kind: String::new(), raw: &[] };
    let mut reader = Reader::new(message, "Unknown");
    while let Some(field) = reader.next()? {
        let names = ["TypeMeta", "Raw", "ContentEncoding", "ContentType"];
        let Some(name) = (field.number as usize).checked_sub(1).and_then(|index| names.get(index)) else {
            continue;
        };
        let bytes = expect(field.payload, name)?;
        match field.number {
            1 => type_meta(bytes, &mut envelope)?,
            2 => envelope.raw = bytes,
            _ => {}
        }
    }
    Ok(envelope)
}

fn type_meta(bytes: &[u8], envelope: &mut Envelope<'_>) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes, "TypeMeta");
    while let Some(field) = reader.next()? {
        let text =
            |name| expect(field.payload, name).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        match field.number {
            1 => envelope.api_version = text("APIVersion")?,
            2 => envelope.kind = text("Kind")?,
            _ => {}
        }
    }
    Ok(())
}

/// An object in its envelope.
pub fn object(message: &Message, value: &Value) -> Vec<u8> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    sealed(text("apiVersion"), text("kind"), |writer| message.encode(writer, Some(value)))
}

/// A list in its envelope. Each object is asked for when it is written, the last first.
pub fn list(
    api_version: &str,
    kind: &str,
    metadata: &Value,
    item: &Message,
    objects: impl DoubleEndedIterator<Item = Value>,
) -> Vec<u8> {
    // The old PartialObjectMetadataList alone has the two the other way round.
    let swapped = (api_version, kind) == ("meta.k8s.io/v1beta1", "PartialObjectMetadataList");
    let (metadata_number, items_number) = if swapped { (2, 1) } else { (1, 2) };
    let write_metadata = |writer: &mut Writer| {
        writer.nested(metadata_number, |writer| {
            if let Some(message) = Message::of(LIST_META) {
                message.encode(writer, Some(metadata));
            }
        });
    };
    sealed(api_version, kind, |writer| {
        if swapped {
            write_metadata(writer);
        }
        for object in objects.rev() {
            writer.nested(items_number, |writer| item.encode(writer, Some(&object)));
        }
        if !swapped {
            write_metadata(writer);
        }
    })
}

const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

fn sealed(api_version: &str, kind: &str, write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.bytes(4, b"");
    writer.bytes(3, b"");
    writer.nested(2, write);
    writer.nested(1, |writer| {
        writer.bytes(2, kind.as_bytes());
        writer.bytes(1, api_version.as_bytes());
    });
    writer.raw(&PREFIX);
    writer.finish()
}

/// An event of a watch, after its length; `object` is in its envelope.
pub fn watch_event(event_type: &str, object: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.nested(2, |writer| writer.bytes(1, object));
    writer.bytes(1, event_type.as_bytes());
    let event = writer.finish();
    let length = u32::try_from(event.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), &*event].concat()
}
