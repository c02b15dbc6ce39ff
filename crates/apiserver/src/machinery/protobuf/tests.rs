//! The codec against arbitrary values, golden bytes and malformed input.

use serde_json::json;

use super::{Message, envelope};
use crate::machinery::{builtin, conform};

#[test]
fn a_review_reads_as_kubectl_sends_it() {
    let sent = b"k8s\0\n-\n\x18authentication.k8s.io/v1\x12\x11SelfSubjectReview\x12\x1a\n\x10\n\0\x12\0\x1a\0\"\0*\x002\x008\0B\0\x12\x06\n\x04\n\0\x12\0\x1a\0\"\0";
    let opened = envelope::open(sent).unwrap();
    assert_eq!(
        (opened.api_version.as_str(), opened.kind.as_str()),
        ("authentication.k8s.io/v1", "SelfSubjectReview")
    );
    let name = "io.k8s.api.authentication.v1.SelfSubjectReview";
    let message = Message::of(name).unwrap();
    let mut value = message.decode(opened.raw).unwrap();
    conform::conform(builtin::schema(name).unwrap(), &mut value).unwrap();
    assert_eq!(value, json!({"metadata": {}, "status": {"userInfo": {}}}));
    value["apiVersion"] = opened.api_version.into();
    value["kind"] = opened.kind.into();
    assert_eq!(envelope::object(message, &value), sent);
}
