//! CertificateSigningRequest: what is asked for and by whom, its approval, and the certificate.

use std::collections::HashSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use x509_parser::{certification_request::X509CertificationRequest, pem::Pem, prelude::FromDer};

use crate::{
    access::User,
    kinds::{Part, Strategy},
    machinery::{
        FieldErrors, Path,
        fields::{integer, list, text, texts},
        format, go_quoted, metadata, object,
    },
};

/// The behaviour of CertificateSigningRequests.
pub static STRATEGY: Strategy = Strategy {
    name_rule: format::path_segment_name,
    name_creator,
    prepare_update: |new, old| new["spec"] = old["spec"].clone(),
    validate_create: |new, errors| validate(new, &Value::Null, errors),
    validate_update: |new, old, errors| validate_update(new, old, Right::None, errors),
    validate_status: |new, old, errors| validate_update(new, old, Right::Certificate, errors),
    stamp: stamp_conditions,
    status: true,
    resets: &[&["spec"]],
    status_resets: &[&["status", "conditions"]],
    parts: &[(Part::Approval, &APPROVAL)],
    ..Strategy::PLAIN
};

/// The behaviour of their approvals.
static APPROVAL: Strategy = Strategy {
    prepare_update: prepare_approval,
    validate_update: |new, old, errors| validate_update(new, old, Right::Approval, errors),
    resets: &[&["spec"], &["status", "certificate"]],
    ..Strategy::PLAIN
};

const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];
const EXPIRATION_SECONDS_MIN: i64 = 600;
const SIGNER_LENGTH_MAX: usize = 571;
const STATUS: Path<'static> = Path::new("status");

/// What a write may change beyond what any may.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Right {
    None,
    Certificate,
    Approval,
}

/// Nobody can ask in the name of another.
fn name_creator(new: &mut Value, user: &User) {
    let spec = object::child_mut(new, "spec");
    for (field, value, known) in [
        ("username", json!(user.name), !user.name.is_empty()),
        ("uid", json!(user.uid), !user.uid.is_empty()),
        ("groups", json!(user.groups), !user.groups.is_empty()),
        ("extra", json!(user.extra), !user.extra.is_empty()),
    ] {
        if known {
            spec.insert(field.to_owned(), value);
        } else {
            spec.remove(field);
        }
    }
}

/// A write to `approval` takes only the conditions.
fn prepare_approval(new: &mut Value, old: &Value) {
    let conditions = new["status"].get("conditions").cloned();
    new["spec"] = old["spec"].clone();
    new["status"] = old.get("status").cloned().unwrap_or_else(|| json!({}));
    let status = object::child_mut(new, "status");
    match conditions {
        Some(conditions) => status.insert("conditions".to_owned(), conditions),
        None => status.remove("conditions"),
    };
}

fn stamp_conditions(new: &mut Value, old: &Value, now: &str) {
    let Some(conditions) = new["status"]["conditions"].as_array_mut() else { return };
    for condition in conditions {
        if condition["lastUpdateTime"].is_null() {
            condition["lastUpdateTime"] = now.into();
        }
        if condition["lastTransitionTime"].is_null() {
            let same = list(&old["status"], "conditions").iter().find(|old| {
                old["type"] == condition["type"]
                    && old["status"] == condition["status"]
                    && !old["lastTransitionTime"].is_null()
            });
            let time = same.map_or_else(|| now.into(), |old| old["lastTransitionTime"].clone());
            condition["lastTransitionTime"] = time;
        }
    }
}

fn validate(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let spec = &new["spec"];
    let path = Path::new("spec");
    if let Some(problem) = request_problem(text(spec, "request")) {
        errors.invalid(&path.child("request"), text(spec, "request"), &problem);
    }
    let usages: Vec<&str> = texts(spec, "usages").collect();
    let usages_path = path.child("usages");
    if usages.is_empty() {
        errors.required(&usages_path, "usages must be provided");
    }
    let had_unknown = texts(&old["spec"], "usages").any(|usage| !USAGES.contains(&usage));
    for (index, usage) in usages.iter().enumerate() {
        if !had_unknown && !USAGES.contains(usage) {
            errors.not_supported(&usages_path.index(index), *usage, &USAGES);
        }
    }
    let mut had = HashSet::new();
    if texts(&old["spec"], "usages").all(|usage| had.insert(usage)) {
        let mut seen = HashSet::new();
        for (index, usage) in usages.iter().enumerate() {
            if !seen.insert(usage) {
                errors.duplicate(&usages_path.index(index), *usage);
            }
        }
    }
    let (signer, signer_path) = (text(spec, "signerName"), path.child("signerName"));
    let legacy = "kubernetes.io/legacy-unknown";
    if signer == legacy && text(&old["spec"], "signerName") != legacy {
        let detail = "the legacy signerName is not allowed via this API version";
        errors.invalid(&signer_path, signer, detail);
    } else {
        validate_signer(errors, &signer_path, signer);
    }
    if let Some(seconds) = integer(spec, "expirationSeconds")
        && seconds < EXPIRATION_SECONDS_MIN
    {
        let detail = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.invalid(&path.child("expirationSeconds"), seconds, detail);
    }
    validate_conditions(new, old, errors);
    let (certificate, old_certificate) =
        (text(&new["status"], "certificate"), text(&old["status"], "certificate"));
    let was_arbitrary = certificate_problem(old_certificate).is_some();
    if (old.is_null() || certificate != old_certificate)
        && !was_arbitrary
        && let Some(problem) = certificate_problem(certificate)
    {
        errors.invalid(&STATUS.child("certificate"), "<certificate data>", &problem);
    }
}

fn validate_signer(errors: &mut FieldErrors, path: &Path<'_>, signer: &str) {
    if signer.is_empty() {
        return errors.required(path, "signerName must be provided");
    }
    let Some((domain, name)) = signer.split_once('/').filter(|(_, name)| !name.contains('/')) else {
        let detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        return errors.invalid(path, signer, detail);
    };
    if domain.len() > format::SUBDOMAIN_LENGTH_MAX {
        errors.too_long(path, format::SUBDOMAIN_LENGTH_MAX);
    }
    report_label(errors, path, domain, format::is_dns1123_label);
    if !domain.contains('.') {
        let detail = "should be a domain with at least two segments separated by dots";
        errors.invalid(path, domain, detail);
    }
    report_label(errors, path, name, format::is_dns1123_subdomain);
    if signer.len() > SIGNER_LENGTH_MAX {
        errors.too_long(path, SIGNER_LENGTH_MAX);
    }
}

/// Tells what is wrong with the first part between dots that is wrong.
fn report_label(errors: &mut FieldErrors, path: &Path<'_>, segment: &str, rule: fn(&str) -> Vec<String>) {
    let Some(label) = segment.split('.').find(|label| !rule(label).is_empty()) else { return };
    for problem in rule(label) {
        errors.invalid(path, segment, &format!("validating label {}: {problem}", go_quoted(label)));
    }
}

fn validate_conditions(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let path = STATUS.child("conditions");
    let had = |type_: &str| !conditions(old, type_).is_empty();
    let had_both = had("Approved") && had("Denied");
    let mut old_types = HashSet::new();
    let had_duplicates =
        !list(&old["status"], "conditions").iter().all(|condition| old_types.insert(text(condition, "type")));
    let mut seen = HashSet::new();
    for (index, condition) in list(&new["status"], "conditions").iter().enumerate() {
        let path = path.index(index);
        let (type_, status) = (text(condition, "type"), text(condition, "status"));
        if type_.is_empty() && !had("") {
            errors.required(&path.child("type"), "");
        }
        let allowed: &[&str] = match type_ {
            "Approved" | "Denied" | "Failed" => &["True"],
            _ => &["False", "True", "Unknown"],
        };
        if status.is_empty() {
            errors.required(&path.child("status"), "");
        } else if !allowed.contains(&status) {
            errors.not_supported(&path.child("status"), status, allowed);
        }
        let other = match type_ {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "",
        };
        if !had_both && !other.is_empty() && seen.contains(other) {
            let detail = "Approved and Denied conditions are mutually exclusive";
            errors.invalid(&path.child("type"), type_, detail);
        }
        if !seen.insert(type_) && !had_duplicates {
            errors.duplicate(&path.child("type"), type_);
        }
    }
}

fn conditions<'a>(request: &'a Value, type_: &str) -> Vec<&'a Value> {
    list(&request["status"], "conditions")
        .iter()
        .filter(|condition| text(condition, "type") == type_)
        .collect()
}

fn validate_update(new: &Value, old: &Value, right: Right, errors: &mut FieldErrors) {
    metadata::validate(new, false, |_, _| Vec::new(), errors);
    validate(new, old, errors);
    let path = STATUS.child("conditions");
    for type_ in ["Approved", "Denied", "Failed"] {
        if conditions(new, type_).len() < conditions(old, type_).len() {
            errors.forbidden(&path, &format!("updates may not remove a condition of type \"{type_}\""));
        }
    }
    if right != Right::Approval {
        for type_ in ["Approved", "Denied"] {
            let (new, old) = (conditions(new, type_), conditions(old, type_));
            if new.len() > old.len() {
                errors.forbidden(&path, &format!("updates may not add a condition of type \"{type_}\""));
            } else if new.len() == old.len() && new != old {
                errors.forbidden(&path, &format!("updates may not modify a condition of type \"{type_}\"\n"));
            }
        }
    }
    let old_certificate = text(&old["status"], "certificate");
    if text(&new["status"], "certificate") != old_certificate {
        let path = STATUS.child("certificate");
        if right != Right::Certificate {
            errors.forbidden(&path, "updates may not set certificate content");
        } else if !old_certificate.is_empty() {
            errors.forbidden(&path, "updates may not modify existing certificate content");
        }
    }
    metadata::validate_update(new, old, errors);
}

fn request_problem(encoded: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(encoded).unwrap_or_default();
    let block = Pem::iter_from_buffer(&bytes).next().and_then(Result::ok);
    let Some(block) = block.filter(|block| block.label == "CERTIFICATE REQUEST") else {
        return Some("PEM block type must be CERTIFICATE REQUEST".to_owned());
    };
    X509CertificationRequest::from_der(&block.contents).err().map(|_| "asn1: structure error".to_owned())
}

fn certificate_problem(encoded: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(encoded).unwrap_or_default();
    if bytes.is_empty() {
        return None;
    }
    let mut count = 0;
    for block in Pem::iter_from_buffer(&bytes).map_while(Result::ok) {
        if block.label != "CERTIFICATE" {
            let label = go_quoted(&block.label);
            return Some(format!("only CERTIFICATE PEM blocks are allowed, found {label}"));
        }
        count += 1;
        if block.parse_x509().is_err() {
            return Some("x509: malformed certificate".to_owned());
        }
    }
    (count == 0).then(|| "must contain at least one CERTIFICATE PEM block".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::cases;

    fn request() -> Value {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
            "spec": {"request": BASE64_STANDARD.encode(pem), "signerName": "example.com/s", "usages": ["client auth"]}})
    }

    #[test]
    fn what_is_asked_for_is_validated() {
        let form = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
        cases::check_wrong(
            &request(),
            &[
                (json!({}), &[]),
                (
                    json!({"spec": {"request": "eA=="}}),
                    &["spec.request: Invalid value: \"eA==\": PEM block type must be CERTIFICATE REQUEST"],
                ),
                (
                    json!({"spec": {"signerName": "a", "usages": null, "expirationSeconds": 599}}),
                    &[
                        "spec.usages: Required value: usages must be provided",
                        "spec.signerName: Invalid value: \"a\": must be a fully qualified domain and path of the form 'example.com/signer-name'",
                        "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)",
                    ],
                ),
                (
                    json!({"spec": {"signerName": "A/s", "usages": ["client auth", "client auth"]}}),
                    &[
                        "spec.usages[1]: Duplicate value: \"client auth\"",
                        &format!("spec.signerName: Invalid value: \"A\": validating label \"A\": {form}"),
                        "spec.signerName: Invalid value: \"A\": should be a domain with at least two segments separated by dots",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn approval_and_certificate_are_written_apart() {
        let (stored, errors) = cases::updated(request(), &json!({"spec": {"usages": ["server auth"]}}));
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(stored["spec"]["usages"], json!(["client auth"]));
        let approved = json!({"status": {"conditions": [{"type": "Approved", "status": "True"}], "certificate": "bm90IGEgY2VydA=="}});
        assert_eq!(
            cases::status_updated(request(), &approved).1,
            [
                "status.certificate: Invalid value: \"<certificate data>\": must contain at least one CERTIFICATE PEM block",
                "status.conditions: Forbidden: updates may not add a condition of type \"Approved\"",
            ]
        );
        let old = cases::created(request()).0;
        let mut new = cases::merged(old.clone(), &approved);
        new["metadata"]["resourceVersion"] = "1".into();
        prepare_approval(&mut new, &old);
        stamp_conditions(&mut new, &old, "2024-01-01T00:00:00Z");
        assert_eq!(
            new["status"],
            json!({"conditions": [{"type": "Approved", "status": "True",
                "lastUpdateTime": "2024-01-01T00:00:00Z", "lastTransitionTime": "2024-01-01T00:00:00Z"}]})
        );
        let mut errors = FieldErrors::new();
        (APPROVAL.validate_update)(&new, &old, &mut errors);
        assert!(errors.is_empty(), "{errors:?}");
        let mut denied = new.clone();
        denied["status"]["conditions"] = json!([{"type": "Denied", "status": "True"}]);
        (APPROVAL.validate_update)(&denied, &new, &mut errors);
        assert_eq!(
            cases::lines(&errors),
            ["status.conditions: Forbidden: updates may not remove a condition of type \"Approved\""]
        );
    }

    #[test]
    fn who_asks_cannot_be_someone_else() {
        let mut request = json!({"spec": {"username": "lie", "uid": "lie", "extra": {"lie": ["x"]}}});
        name_creator(&mut request, &User::new("admin", ["system:masters"]));
        assert_eq!(request["spec"], json!({"username": "admin", "groups": ["system:masters"]}));
    }
}
