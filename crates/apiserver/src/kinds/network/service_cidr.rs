//! ServiceCIDR: ranges that the addresses of Services come from.

use std::collections::HashSet;

use serde_json::Value;

use crate::{
    kinds::{Strategy, go},
    machinery::{
        FieldErrors, Path,
        address::{self, Cidr},
        fields::texts,
        metadata,
    },
};

/// The behaviour of ServiceCIDRs.
pub static STRATEGY: Strategy = Strategy {
    validate_create: validate,
    validate_update,
    validate_status: |new, old, errors| metadata::validate_update(new, old, errors),
    status: true,
    ..Strategy::PLAIN
};

const SPEC: Path<'static> = Path::new("spec");

fn validate(new: &Value, errors: &mut FieldErrors) {
    let path = SPEC.child("cidrs");
    let cidrs: Vec<&str> = texts(&new["spec"], "cidrs").collect();
    let written = || go::structure(&[("CIDRs", new["spec"]["cidrs"].clone())]);
    if cidrs.is_empty() {
        return errors.required(&path, "at least one CIDR required");
    }
    if cidrs.len() > 2 {
        return go::invalid(errors, &path, &written(), "may only hold up to 2 values");
    }
    let families: Option<HashSet<bool>> =
        cidrs.iter().map(|cidr| Some(Cidr::parse(cidr)?.address.is_ipv4())).collect();
    if cidrs.len() == 2 && families.is_none_or(|families| families.len() < 2) {
        let detail =
            "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        return go::invalid(errors, &path, &written(), detail);
    }
    for (index, cidr) in cidrs.iter().enumerate() {
        address::validate_cidr(errors, &path.index(index), cidr);
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate(new, false, STRATEGY.name_rule, errors);
    validate(new, errors);
    metadata::validate_update(new, old, errors);
    let path = SPEC.child("cidrs");
    let cidrs: Vec<&str> = texts(&new["spec"], "cidrs").collect();
    let old_cidrs: Vec<&str> = texts(&old["spec"], "cidrs").collect();
    // A second family can be added; nothing else can change.
    if cidrs.len() == old_cidrs.len() || (old_cidrs.len() == 1 && cidrs.len() == 2) {
        for (index, (new, _)) in cidrs.iter().zip(&old_cidrs).enumerate().filter(|(_, (new, old))| new != old)
        {
            errors.invalid(&path.index(index), *new, metadata::IMMUTABLE);
        }
    } else {
        let value = new["spec"].get("cidrs").cloned().unwrap_or(Value::Null);
        errors.invalid(&path, value, metadata::IMMUTABLE);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    #[test]
    fn there_is_one_range_a_family_and_it_stays() {
        let base = json!({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "spec": {"cidrs": ["10.0.0.0/16"]}});
        cases::check_wrong(
            &base,
            &[
                (json!({}), &[]),
                (json!({"spec": {"cidrs": []}}), &["spec.cidrs: Required value: at least one CIDR required"]),
                (
                    json!({"spec": {"cidrs": ["10.0.0.0/16", "10.1.0.0/16"]}}),
                    &[
                        "spec.cidrs: Invalid value: {\"CIDRs\":[\"10.0.0.0/16\",\"10.1.0.0/16\"]}: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
                    ],
                ),
                (
                    json!({"spec": {"cidrs": ["10.0.0.1/16"]}}),
                    &[
                        "spec.cidrs[0]: Invalid value: \"10.0.0.1/16\": must not have bits set beyond the prefix length",
                    ],
                ),
            ],
        );
        let dual = json!({"spec": {"cidrs": ["10.0.0.0/16", "fd00::/112"]}});
        assert_eq!(cases::updated(base.clone(), &dual).1, Vec::<String>::new());
        assert_eq!(
            cases::updated(base, &json!({"spec": {"cidrs": ["10.1.0.0/16"]}})).1,
            ["spec.cidrs[0]: Invalid value: \"10.1.0.0/16\": field is immutable"]
        );
    }
}
