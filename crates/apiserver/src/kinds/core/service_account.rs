//! ServiceAccount: references to Secrets by name alone.

use serde_json::{Value, json};

use crate::{
    kinds::Strategy,
    machinery::{
        FieldErrors,
        fields::{list, text},
        metadata, object,
    },
};

/// The behaviour of ServiceAccounts.
pub static STRATEGY: Strategy = Strategy {
    returns_deleted: true,
    prepare_create: keep_names_of_secrets,
    prepare_update: |new, _| keep_names_of_secrets(new),
    validate_update,
    warnings,
    ..Strategy::PLAIN
};

const ENFORCE_MOUNTABLE: &str = "kubernetes.io/enforce-mountable-secrets";

fn keep_names_of_secrets(account: &mut Value) {
    let secrets: Vec<Value> = list(account, "secrets")
        .iter()
        .map(|secret| match text(secret, "name") {
            "" => json!({}),
            name => json!({"name": name}),
        })
        .collect();
    if !secrets.is_empty() {
        account["secrets"] = secrets.into();
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    metadata::validate(new, true, STRATEGY.name_rule, errors);
}

fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let has = |account: &Value| {
        object::annotations(account).is_some_and(|annotations| annotations.contains_key(ENFORCE_MOUNTABLE))
    };
    if !has(new) || old.is_some_and(has) {
        return Vec::new();
    }
    vec![format!(
        "metadata.annotations[{ENFORCE_MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to isolate \
         access to mounted secrets"
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::cases;

    #[test]
    fn only_the_names_of_secrets_are_kept() {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "secrets": [{"name": "a", "namespace": "other", "kind": "Secret"}, {"uid": "u"}]});
        assert_eq!(cases::created(account).0["secrets"], json!([{"name": "a"}, {}]));
    }

    #[test]
    fn the_annotation_is_warned_about_once() {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}});
        assert_eq!(cases::warnings(account.clone()).len(), 1);
        assert!(warnings(&account, Some(&account)).is_empty());
    }
}
