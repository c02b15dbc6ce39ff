//! What classes of storage hand on to those who provision: a name, and parameters that nobody else reads.

use serde_json::Value;

use crate::machinery::{FieldErrors, Path, fields::entries, format};

const PARAMETERS_MAX: usize = 512;
const SIZE_MAX: usize = 256 * 1024;

/// What is wrong with the name of a provisioner.
pub fn validate_provisioner(errors: &mut FieldErrors, path: &Path<'_>, name: &str) {
    if name.is_empty() {
        errors.required(path, "");
    } else {
        let name = name.to_lowercase();
        format::report(errors, path, &name, format::is_qualified_name(&name));
    }
}

/// What is wrong with the parameters.
pub fn validate(errors: &mut FieldErrors, object: &Value, required: bool) {
    let path = Path::new("parameters");
    let parameters = || entries(object, "parameters");
    if parameters().count() > PARAMETERS_MAX {
        return errors.too_long(&path, PARAMETERS_MAX);
    }
    if parameters().any(|(name, _)| name.is_empty()) {
        errors.invalid(&path, "", "field can not be empty.");
    }
    let size: usize = parameters().map(|(name, value)| name.len() + value.as_str().map_or(0, str::len)).sum();
    if size > SIZE_MAX {
        errors.too_long(&path, SIZE_MAX);
    }
    if required && size == 0 && parameters().next().is_none() {
        errors.required(&path, "must contain at least one key/value pair");
    }
}
