//! The status of a ResourceClaim: which devices it got, who uses them, and how they are.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    binding,
    names::{item_text, validate_items, validate_pool, validate_set},
    request::{CONFIGURATIONS_MAX, Names, REQUESTS_MAX, device_id, validate_configuration, validate_raw},
};
use crate::{
    kinds::{
        go,
        workloads::pod_spec::{rules, scheduling::validate_node_selector, volumes::validate_driver},
    },
    machinery::{
        FieldErrors, Path, address,
        fields::{list, present, text},
        metadata, object,
    },
};

const CONSUMERS_MAX: usize = 256;
const CONDITIONS_MAX: usize = 8;
const DATA_LENGTH_MAX: usize = 10 * 1024;
const ADDRESSES_MAX: usize = 16;
const STATUS: Path<'static> = Path::new("status");

/// Forgets how devices are that the claim no longer has.
pub fn drop_what_was_given_back(new: &mut Value, old: &Value) {
    let had = allocated(&old["status"]);
    let has = allocated(&new["status"]);
    let status = object::child_mut(new, "status");
    let Some(devices) = status.get_mut("devices").and_then(Value::as_array_mut) else { return };
    devices.retain(|device| {
        let id = device_id(device);
        !had.contains(&id) || has.contains(&id)
    });
    if devices.is_empty() {
        status.remove("devices");
    }
}

fn allocated(status: &Value) -> HashSet<String> {
    list(&status["allocation"]["devices"], "results").iter().map(device_id).collect()
}

/// What is wrong with a write to the status.
pub fn validate(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    let (status, old_status) = (&new["status"], &old["status"]);
    let consumers = list(status, "reservedFor");
    let path = STATUS.child("reservedFor");
    let validate = |errors: &mut FieldErrors, path: &Path<'_>, consumer: &Value| {
        rules::required(errors, path, consumer, &["resource", "name", "uid"]);
    };
    validate_set(errors, &path, consumers, CONSUMERS_MAX, validate, |own| text(own, "uid").to_owned());
    let has = allocated(status);
    let validate = |errors: &mut FieldErrors, path: &Path<'_>, device: &Value| {
        validate_device(errors, path, device, &has);
    };
    validate_set(errors, &STATUS.child("devices"), list(status, "devices"), usize::MAX, validate, device_id);
    let (allocation, old_allocation) = (present(status, "allocation"), present(old_status, "allocation"));
    if !consumers.is_empty() {
        if allocation.is_none() {
            errors.forbidden(&path, "may not be specified when `allocated` is not set");
        } else if object::deletion_timestamp(new).is_some()
            && has_new(consumers, list(old_status, "reservedFor"))
        {
            let detail =
                "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
            errors.forbidden(&path, detail);
        }
    }
    let path = STATUS.child("allocation");
    match (allocation, old_allocation) {
        (Some(new), Some(old)) if new != old => {
            let written = go::written("io.k8s.api.resource.v1.AllocationResult", new);
            go::invalid(errors, &path, &written, metadata::IMMUTABLE);
        }
        (Some(allocation), None) => {
            validate_allocation(errors, &path, allocation, &Names::of(&new["spec"]["devices"]));
        }
        _ => {}
    }
}

fn has_new(consumers: &[Value], old: &[Value]) -> bool {
    let old: HashSet<String> = old.iter().map(Value::to_string).collect();
    consumers.iter().any(|consumer| !old.contains(&consumer.to_string()))
}

fn validate_device(errors: &mut FieldErrors, path: &Path<'_>, device: &Value, allocated: &HashSet<String>) {
    validate_driver(errors, &path.child("driver"), text(device, "driver"));
    validate_pool(errors, &path.child("pool"), text(device, "pool"));
    rules::label(errors, &path.child("device"), text(device, "device"));
    validate_share(errors, path, device);
    let id = device_id(device);
    if !allocated.contains(&id) {
        errors.invalid(path, id, "must be an allocated device in the claim");
    }
    let conditions = list(device, "conditions");
    if conditions.len() > CONDITIONS_MAX {
        errors.too_many(&path.child("conditions"), conditions.len(), CONDITIONS_MAX);
    }
    metadata::validate_conditions(errors, &path.child("conditions"), conditions);
    if let Some(data) = device.get("data") {
        validate_raw(errors, &path.child("data"), data, DATA_LENGTH_MAX);
    }
    if let Some(network) = present(device, "networkData") {
        let path = path.child("networkData");
        for (field, most) in [("interfaceName", 256), ("hardwareAddress", 128)] {
            if text(network, field).len() > most {
                errors.too_long(&path.child(field), most);
            }
        }
        let validate = |errors: &mut FieldErrors, path: &Path<'_>, address: &Value| {
            address::validate_interface(errors, path, item_text(address));
        };
        let name = |address: &Value| item_text(address).to_owned();
        validate_set(errors, &path.child("ips"), list(network, "ips"), ADDRESSES_MAX, validate, name);
    }
}

fn validate_allocation(errors: &mut FieldErrors, path: &Path<'_>, allocation: &Value, names: &Names<'_>) {
    let devices = path.child("devices");
    let results = list(&allocation["devices"], "results");
    validate_items(errors, &devices.child("results"), results, REQUESTS_MAX, |errors, path, result| {
        names.validate(errors, &path.child("request"), text(result, "request"));
        validate_driver(errors, &path.child("driver"), text(result, "driver"));
        validate_pool(errors, &path.child("pool"), text(result, "pool"));
        rules::label(errors, &path.child("device"), text(result, "device"));
        binding::validate(errors, path, result);
        validate_share(errors, path, result);
    });
    let configurations = list(&allocation["devices"], "config");
    let most = 2 * CONFIGURATIONS_MAX;
    validate_items(errors, &devices.child("config"), configurations, most, |errors, path, configuration| {
        let source = text(configuration, "source");
        rules::required_one_of(errors, &path.child("source"), source, &["FromClaim", "FromClass"]);
        names.validate_list(errors, path, configuration);
        validate_configuration(errors, path, configuration);
    });
    if let Some(selector) = present(allocation, "nodeSelector") {
        validate_node_selector(errors, &path.child("nodeSelector"), selector);
    }
}

fn validate_share(errors: &mut FieldErrors, path: &Path<'_>, owner: &Value) {
    let Some(share) = present(owner, "shareID").and_then(Value::as_str) else { return };
    let path = path.child("shareID");
    if let Some(problem) = uuid_problem(share) {
        errors.invalid(&path, share, &format!("error validating uid: {problem}"));
    } else if share.len() != UUID_LENGTH || share.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let detail = "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase \
                      hexadecimal characters";
        errors.invalid(&path, share, detail);
    }
}

const UUID_LENGTH: usize = 36;

/// Why a text is no UUID in any of its forms: plain, bare, in braces, or a URN.
fn uuid_problem(text: &str) -> Option<String> {
    const FORMAT: &str = "invalid UUID format";
    let bytes = text.as_bytes();
    let plain = match bytes.len() {
        UUID_LENGTH => bytes,
        45 if !bytes[..9].eq_ignore_ascii_case(b"urn:uuid:") => {
            let prefix = String::from_utf8_lossy(&bytes[..9]);
            return Some(format!("invalid urn prefix: {}", crate::machinery::go_quoted(&prefix)));
        }
        45 => &bytes[9..],
        38 if bytes[0] != b'{' || bytes[37] != b'}' => {
            return Some("invalid bracketed UUID format".to_owned());
        }
        38 => &bytes[1..37],
        32 => return (!bytes.iter().all(u8::is_ascii_hexdigit)).then(|| FORMAT.to_owned()),
        length => return Some(format!("invalid UUID length: {length}")),
    };
    let fits = plain.iter().enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    (!fits).then(|| FORMAT.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::cases;

    fn claim() -> Value {
        json!({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "spec": {"devices": {"requests": [
            {"name": "r", "exactly": {"deviceClassName": "gpu"}},
        ]}}})
    }

    fn result() -> Value {
        json!({"request": "r", "driver": "d.example.com", "pool": "p", "device": "d0"})
    }

    #[test]
    fn what_is_wrong_with_an_allocation() {
        let wrong = |status: Value| cases::status_updated(claim(), &json!({"status": status})).1;
        let allocation = |result: Value| json!({"devices": {"results": [result]}});
        assert_eq!(
            wrong(json!({
                "allocation": allocation(result()),
                "reservedFor": [{"resource": "pods", "name": "p", "uid": "1"}],
                "devices": [{"driver": "d.example.com", "pool": "p", "device": "d0"}],
            })),
            [""; 0]
        );
        assert_eq!(
            wrong(json!({"reservedFor": [{"name": "p"}]})),
            [
                "status.reservedFor[0].resource: Required value",
                "status.reservedFor[0].uid: Required value",
                "status.reservedFor: Forbidden: may not be specified when `allocated` is not set",
            ]
        );
        let bad = json!({
            "request": "x", "driver": "", "pool": "", "device": "D", "shareID": "1", "bindingConditions": ["a"],
        });
        assert_eq!(
            wrong(json!({"allocation": allocation(bad)})),
            [
                "status.allocation.devices.results[0].request: Invalid value: \"x\": must be the name of a request in \
                 the claim or the name of a request and a subrequest separated by '/'",
                "status.allocation.devices.results[0].driver: Required value",
                "status.allocation.devices.results[0].pool: Required value",
                "status.allocation.devices.results[0].device: Invalid value: \"D\": a lowercase RFC 1123 label must \
                 consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric \
                 character",
                "status.allocation.devices.results[0].bindingFailureConditions: Invalid value: null: \
                 bindingFailureConditions are required to use bindingConditions",
                "status.allocation.devices.results[0].shareID: Invalid value: \"1\": error validating uid: invalid \
                 UUID length: 1",
            ]
        );
        assert_eq!(
            wrong(
                json!({"devices": [{"driver": "d", "pool": "p", "device": "x", "networkData": {"ips": ["1.2.3.4"]}}]})
            ),
            [
                "status.devices[0]: Invalid value: \"d/p/x\": must be an allocated device in the claim",
                "status.devices[0].networkData.ips[0]: Invalid value: \"1.2.3.4\": must be a valid address in CIDR \
                 form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)",
            ]
        );
    }

    #[test]
    fn an_allocation_stays_until_it_is_given_back() {
        let with = |device: &str| {
            let mut claim = cases::created(claim()).0;
            claim["metadata"]["resourceVersion"] = "1".into();
            let result = cases::merged(result(), &json!({"device": device}));
            claim["status"] = json!({
                "allocation": {"devices": {"results": [result]}},
                "devices": [{"driver": "d.example.com", "pool": "p", "device": "d0"}],
            });
            claim
        };
        let mut errors = FieldErrors::new();
        validate(&with("d1"), &with("d0"), &mut errors);
        assert!(cases::lines(&errors).iter().any(|line| line.ends_with("field is immutable")), "{errors:?}");
        let mut freed = with("d0");
        freed["status"].as_object_mut().unwrap().remove("allocation");
        drop_what_was_given_back(&mut freed, &with("d0"));
        assert_eq!(freed["status"], json!({}));
    }

    #[test]
    fn forms_of_uuids() {
        let uuid = "01234567-89ab-cdef-0123-456789ABCDEF";
        for good in [uuid, &uuid.replace('-', ""), &format!("{{{uuid}}}"), &format!("urn:uuid:{uuid}")] {
            assert_eq!(uuid_problem(good), None, "{good}");
        }
        for (bad, want) in [
            ("x", "invalid UUID length: 1"),
            ("01234567-89ab-cdef-0123_456789abcdef", "invalid UUID format"),
            ("[01234567-89ab-cdef-0123-456789abcdef]", "invalid bracketed UUID format"),
            ("urn-uuid:01234567-89ab-cdef-0123-456789abcdef", "invalid urn prefix: \"urn-uuid:\""),
        ] {
            assert_eq!(uuid_problem(bad).as_deref(), Some(want));
        }
    }
}
