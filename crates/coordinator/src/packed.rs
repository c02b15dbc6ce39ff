//! The bytes of an object, packed: by LZ4 with a dictionary of what objects of its kind have in common.
//!
//! The objects of a kind are much alike: of a Pod's 5 kB, most is the names of fields and what its template says. A
//! dictionary made of some of the first objects takes that part off all others, which are unpacked at some gigabytes a
//! second. A dictionary lives as long as an object that was packed with it.

use std::borrow::Cow;
use std::sync::Arc;

use lz4_flex::block;

/// What a dictionary has at most. Packing reads all of it each time, so more is slower.
const DICTIONARY_BYTES_MAX: usize = 8 << 10;
/// Of how many objects a dictionary is made at most.
const SAMPLES_MAX: usize = 8;
/// Less than this is not worth packing.
const PACK_BYTES_MIN: usize = 128;

/// What objects of a kind have in common.
#[derive(Debug)]
pub(crate) struct Dictionary(Box<[u8]>);

/// Bytes, packed where that pays.
pub(crate) struct Packed {
    bytes: Box<[u8]>,
    /// The length of what was packed, and with what; none where it is as it was.
    packed: Option<(u32, Arc<Dictionary>)>,
}

impl Dictionary {
    /// A dictionary from objects of a kind, some of which are taken, evenly over all.
    pub(crate) fn of<'a>(objects: impl ExactSizeIterator<Item = Cow<'a, [u8]>>) -> Self {
        let step = (objects.len() / SAMPLES_MAX).max(1);
        let mut bytes: Vec<u8> = Vec::new();
        for object in objects.step_by(step).take(SAMPLES_MAX) {
            if bytes.len() + object.len() > DICTIONARY_BYTES_MAX && !bytes.is_empty() {
                continue;
            }
            bytes.extend_from_slice(&object[..object.len().min(DICTIONARY_BYTES_MAX)]);
        }
        Self(bytes.into())
    }
}

impl Packed {
    /// The bytes as they are.
    pub(crate) fn plain(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into(), packed: None }
    }

    /// Packs with a dictionary, in a buffer that is used again.
    pub(crate) fn pack(bytes: Vec<u8>, dictionary: &Arc<Dictionary>, buffer: &mut Vec<u8>) -> Self {
        let Ok(length) = u32::try_from(bytes.len()) else { return Self::plain(bytes) };
        if bytes.len() < PACK_BYTES_MIN {
            return Self::plain(bytes);
        }
        buffer.resize(block::get_maximum_output_size(bytes.len()), 0);
        match block::compress_into_with_dict(&bytes, buffer, &dictionary.0) {
            Ok(size) if size < bytes.len() / 8 * 7 => {
                Self { bytes: buffer[..size].into(), packed: Some((length, Arc::clone(dictionary))) }
            }
            _ => Self::plain(bytes),
        }
    }

    /// What was packed.
    pub(crate) fn unpack(&self) -> Cow<'_, [u8]> {
        let Some((length, dictionary)) = &self.packed else { return Cow::Borrowed(&self.bytes) };
        match block::decompress_with_dict(&self.bytes, *length as usize, &dictionary.0) {
            Ok(bytes) => Cow::Owned(bytes),
            Err(error) => {
                // It was packed by us, in this process: only broken memory leads here.
                tracing::error!(%error, "an object cannot be unpacked");
                Cow::Borrowed(&[])
            }
        }
    }

    /// The length of what was packed.
    pub(crate) fn unpacked_len(&self) -> usize {
        self.packed.as_ref().map_or(self.bytes.len(), |(length, _)| *length as usize)
    }

    #[cfg(test)]
    pub(crate) fn is_plain(&self) -> bool {
        self.packed.is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(number: usize) -> Vec<u8> {
        let container =
            "{\"name\":\"web\",\"image\":\"registry.example.com/web:1\",\"imagePullPolicy\":\"Always\"}";
        format!("{{\"metadata\":{{\"name\":\"pod-{number}\",\"uid\":\"{number:036}\"}},\"spec\":{{\"containers\":[{container}]}}}}")
            .repeat(3)
            .into_bytes()
    }

    #[test]
    fn what_objects_have_in_common_costs_next_to_nothing() {
        let objects: Vec<Vec<u8>> = (0..64).map(object).collect();
        let dictionary = Arc::new(Dictionary::of(objects.iter().map(|object| Cow::Borrowed(&object[..]))));
        assert!(dictionary.0.len() <= DICTIONARY_BYTES_MAX);
        let packed = Packed::pack(object(1000), &dictionary, &mut Vec::new());
        assert!(packed.bytes.len() * 4 < packed.unpacked_len(), "{} bytes", packed.bytes.len());
        assert_eq!(packed.unpack(), object(1000));
    }

    proptest! {
        #[test]
        fn whatever_is_packed_is_unpacked_as_it_was(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            repeats in 0..20_usize,
            samples in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..100),
        ) {
            let dictionary = Arc::new(Dictionary::of(samples.iter().map(|sample| Cow::Borrowed(&sample[..]))));
            let bytes = bytes.repeat(repeats);
            let packed = Packed::pack(bytes.clone(), &dictionary, &mut Vec::new());
            prop_assert_eq!(packed.unpacked_len(), bytes.len());
            prop_assert_eq!(packed.unpack(), bytes);
        }
    }
}
