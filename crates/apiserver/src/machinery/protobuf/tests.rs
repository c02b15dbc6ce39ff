//! The codec against arbitrary values, golden bytes and malformed input.

use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::{Malformed, Message, envelope, samples::sample, wire::Writer};
use crate::machinery::{builtin, conform, object};

fn level(writer: &mut Writer, number: u32, depth: usize) {
    if depth > 0 {
        writer.nested(number, |writer| level(writer, number, depth - 1));
    }
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// The type of a kind.
fn type_of(value: &Value) -> &'static str {
    let kind = format!("{}/{}", value["apiVersion"].as_str().unwrap(), value["kind"].as_str().unwrap());
    let is = |name: &&str| {
        let facts = builtin::facts(name).unwrap();
        facts["gvk"].as_array().into_iter().flatten().any(|own| *own == kind.as_str())
    };
    builtin::names().into_iter().find(is).unwrap_or_else(|| panic!("no type of {kind}"))
}

fn conformed(type_name: &str, mut value: Value) -> Value {
    conform::conform(builtin::schema(type_name).unwrap(), &mut value).unwrap();
    value
}

/// What is decoded from an object's envelope, in its normal form, with its kind.
fn reopened(type_name: &str, bytes: &[u8]) -> Value {
    let opened = envelope::open(bytes).unwrap();
    let mut value = conformed(type_name, Message::of(type_name).unwrap().decode(opened.raw).unwrap());
    let map = object::map_mut(&mut value);
    map.insert("apiVersion".into(), opened.api_version.into());
    map.insert("kind".into(), opened.kind.into());
    value
}

#[test]
fn objects_are_written_and_read_as_go_does() {
    let mut lines = include_str!("golden.txt").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    while let (Some(json), Some(hex)) = (lines.next(), lines.next()) {
        let mut value: Value = serde_json::from_str(json).unwrap();
        let type_name = type_of(&value);
        let type_meta = (value["apiVersion"].take(), value["kind"].take());
        let mut value = conformed(type_name, value);
        (value["apiVersion"], value["kind"]) = type_meta;
        let bytes = bytes_of(hex);
        assert_eq!(reopened(type_name, &bytes), value, "{type_name}");
        assert_eq!(envelope::object(Message::of(type_name).unwrap(), &value), bytes, "{type_name}");
        count += 1;
    }
    assert_eq!(count, 11);
}

#[test]
fn a_review_reads_as_kubectl_sends_it() {
    let sent = b"k8s\0\n-\n\x18authentication.k8s.io/v1\x12\x11SelfSubjectReview\x12\x1a\n\x10\n\0\x12\0\x1a\0\"\0*\x002\x008\0B\0\x12\x06\n\x04\n\0\x12\0\x1a\0\"\0";
    let value = reopened("io.k8s.api.authentication.v1.SelfSubjectReview", sent);
    let want = json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "status": {"userInfo": {}}});
    assert_eq!(value, want);
}

#[test]
fn a_list_is_written_as_the_object_that_it_is() {
    let node = json!({"metadata": {"name": "n"}, "spec": {"unschedulable": true}});
    let metadata = json!({"resourceVersion": "7", "remainingItemCount": 3});
    let nodes = || [node.clone(), node.clone()].into_iter();
    let item = Message::of("io.k8s.api.core.v1.Node").unwrap();
    let whole = json!({"kind": "NodeList", "apiVersion": "v1", "metadata": metadata, "items": nodes().collect::<Vec<_>>()});
    let list = Message::of("io.k8s.api.core.v1.NodeList").unwrap();
    assert_eq!(envelope::list("v1", "NodeList", &metadata, item, nodes()), envelope::object(list, &whole));
    // The old list of metadata has its items under 1 and its own metadata under 2.
    let old = |items: Option<Value>| {
        let item = Message::of_metadata();
        let kind = "PartialObjectMetadataList";
        let bytes = envelope::list("meta.k8s.io/v1beta1", kind, &json!({}), item, items.into_iter());
        envelope::open(&bytes).unwrap().raw.to_vec()
    };
    assert_eq!(old(None), b"\x12\x06\x0a\x00\x12\x00\x1a\x00");
    assert!(old(Some(node)).starts_with(b"\x0a\x13\x0a\x11\x0a\x01n"));
}

#[test]
fn an_event_of_a_watch_follows_its_length() {
    let value =
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "n"}});
    let written = envelope::watch_event("ADDED", &envelope::object(Message::of_metadata(), &value));
    // As client-go's own framer writes it.
    let want = "000000510a05414444454412480a466b3873000a270a0e6d6574612e6b38732e696f2f763112155061727469616c\
                4f626a6563744d6574616461746112130a110a016e12001a0022002a003200380042001a002200";
    assert_eq!(written, bytes_of(want));
}

const CONFIG_MAP: &str = "io.k8s.api.core.v1.ConfigMap";

fn decode(type_name: &str, bytes: &[u8]) -> Result<Value, Malformed> {
    Message::of(type_name).unwrap().decode(bytes)
}

#[test]
fn what_is_malformed_is_told_in_gos_words() {
    for (bytes, message) in [
        (&b"\x0a"[..], "unexpected EOF"),
        (b"\x0a\x05ab", "unexpected EOF"),
        (b"\x0a\xff\xff\xff\xff\x0f", "unexpected EOF"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "proto: negative length found during unmarshaling"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "proto: integer overflow"),
        (b"\x08\x01", "proto: wrong wireType = 0 for field ObjectMeta"),
        (b"\x12\x02\x08\x01", "proto: wrong wireType = 0 for field Data"),
        (b"\x22\x01x", "proto: wrong wireType = 2 for field Immutable"),
        (b"\x02\x00", "proto: ConfigMap: illegal tag 0 (wire type 2)"),
        (b"\x0f\x00", "proto: illegal wireType 7"),
        (b"\x0c", "proto: unexpected end of group"),
        (b"\x7b\x7b\x7c", "unexpected EOF"),
    ] {
        assert_eq!(decode(CONFIG_MAP, bytes).unwrap_err().to_string(), message, "{bytes:?}");
    }
    for (bytes, message) in [
        (&b""[..], "empty data"),
        (b"{}", "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"),
        (b"k8s\0", "empty body"),
        (b"k8s\0\x08\x01", "proto: wrong wireType = 0 for field TypeMeta"),
    ] {
        assert_eq!(envelope::open(bytes).unwrap_err().to_string(), message, "{bytes:?}");
    }
}

#[test]
fn unknown_fields_are_skipped_and_messages_that_come_in_parts_are_one() {
    // Unknown: a varint, eight bytes, a group with a group in it, text, four bytes.
    let unknown = b"\x78\x05\x79abcdefgh\x7b\x7b\x7c\x7a\x01x\x7c\x7a\x01x\x7dabcd";
    let parts = b"\x0a\x03\x0a\x01n\x0a\x03\x1a\x01s\x12\x00\x12\x06\x0a\x01a\x12\x01b\x20\x00\x20\x01";
    let value = decode(CONFIG_MAP, &[&unknown[..], parts].concat()).unwrap();
    let want =
        json!({"metadata": {"name": "n", "namespace": "s"}, "data": {"": "", "a": "b"}, "immutable": true});
    assert_eq!(value, want);
}

#[test]
fn numbers_may_be_packed() {
    let name = "io.k8s.api.core.v1.PodSecurityContext";
    let number = builtin::schema(name).unwrap().field("supplementalGroups").unwrap().proto[0] as u8;
    let value = decode(name, &[number << 3 | 2, 2, 1, 2, number << 3, 3]).unwrap();
    assert_eq!(value, json!({"supplementalGroups": [1, 2, 3]}));
}

#[test]
fn nesting_without_end_is_refused() {
    let name = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
    let not = builtin::schema(name).unwrap().field("not").unwrap().proto[0];
    let nested = |depth: usize| {
        let mut writer = Writer::default();
        // From the inside out: each is written before what was written so far.
        level(&mut writer, not.into(), depth);
        writer.finish()
    };
    assert!(decode(name, &nested(99)).is_ok());
    assert_eq!(decode(name, &nested(100)), Err(Malformed::Depth(100)));
    let revision = "io.k8s.api.apps.v1.ControllerRevision";
    let data = |depth: usize| {
        let mut writer = Writer::default();
        let json = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        writer.nested(2, |writer| writer.bytes(1, json.as_bytes()));
        writer.finish()
    };
    assert!(decode(revision, &data(99)).is_ok());
    assert_eq!(decode(revision, &data(100)), Err(Malformed::Depth(100)));
    // A hundred thousand groups in one another take no stack at all.
    assert_eq!(decode(CONFIG_MAP, &b"\x7b".repeat(100_000)), Err(Malformed::Truncated));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    /// Every type comes back from protobuf as it was.
    #[test]
    fn every_type_makes_the_round_trip(seed: u64) {
        let mut random = StdRng::seed_from_u64(seed);
        for name in builtin::names() {
            let Some(message) = Message::of(name) else { continue };
            let value = conformed(name, sample(builtin::schema(name).unwrap(), &mut random));
            let written = envelope::object(message, &value);
            let read = message.decode(envelope::open(&written).unwrap().raw).unwrap();
            prop_assert_eq!(conformed(name, read), value, "{}", name);
        }
    }

}

proptest! {
    /// No bytes make it panic.
    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..200), flips in any::<u16>()) {
        let golden = include_str!("golden.txt").lines().filter(|line| line.starts_with("6b")).map(bytes_of);
        for name in [CONFIG_MAP, "io.k8s.api.core.v1.Pod"] {
            let _ = decode(name, &bytes);
        }
        for (number, mut whole) in golden.enumerate() {
            let at = usize::from(flips).wrapping_mul(number + 7) % whole.len();
            whole[at] = flips as u8;
            if let Ok(opened) = envelope::open(&whole) {
                let _ = decode("io.k8s.api.core.v1.Pod", opened.raw);
            }
        }
    }
}
