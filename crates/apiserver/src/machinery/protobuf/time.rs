//! Times: a message of seconds and nanoseconds; the zero time is an empty one.

use jiff::Timestamp;

use super::wire::{Malformed, Payload, Reader, Writer, wrong};
use crate::machinery::{conform, schema::Format};

/// The time as JSON has it; `None` for the zero time.
pub(super) fn read(format: Format, bytes: &[u8]) -> Result<Option<String>, Malformed> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let (mut seconds, mut nanoseconds) = (0_i64, 0_i32);
    let mut reader = Reader::new(bytes, "Timestamp");
    while let Some(field) = reader.next()? {
        match (field.number, field.payload) {
            (1, Payload::Varint(value)) => seconds = value.cast_signed(),
            (2, Payload::Varint(value)) => nanoseconds = value as i32,
            (number @ (1 | 2), payload) => {
                return Err(wrong(payload, if number == 1 { "Seconds" } else { "Nanos" }));
            }
            _ => {}
        }
    }
    // JSON has no nanoseconds of a Time; both forms must say the same.
    let nanoseconds = if format == Format::Time { 0 } else { nanoseconds };
    let time = Timestamp::new(seconds, nanoseconds)
        .map_err(|_| Malformed::Value("Time.MarshalJSON: year outside of range [0,9999]".to_owned()))?;
    Ok(Some(if format == Format::Time { conform::seconds(time) } else { conform::microseconds(time) }))
}

/// Writes the fields of a time; nothing for what is no time.
pub(super) fn write(writer: &mut Writer, format: Format, text: &str) {
    let Ok(time) = text.parse::<Timestamp>() else { return };
    // Go counts seconds down to the one before, and nanoseconds up from there.
    let (mut seconds, mut nanoseconds) = (time.as_second(), time.subsec_nanosecond());
    if nanoseconds < 0 {
        seconds -= 1;
        nanoseconds += 1_000_000_000;
    }
    let nanoseconds = if format == Format::Time { 0 } else { nanoseconds / 1000 * 1000 };
    writer.varint(2, i64::from(nanoseconds).cast_unsigned());
    writer.varint(1, seconds.cast_unsigned());
}
