//! The query of a request: options of reads and writes, checked in Kubernetes' words.

use serde_json::Value;

use crate::{
    machinery::{FieldErrors, Path, metadata},
    status::{ApiError, ApiResult, Qualified},
};

/// The parameters of a query, in order.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

/// Options that all writes share.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// Whether nothing is to be kept.
    pub dry_run: bool,
    /// What to do about unknown and duplicate fields.
    pub field_validation: FieldValidation,
    /// Who owns the fields that are written; empty where the caller does not say.
    pub field_manager: String,
    /// Whether an apply takes over fields of others.
    pub force: bool,
}

/// What to do about unknown and duplicate fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    /// Drop them and say so in a warning.
    #[default]
    Warn,
    /// Refuse the request.
    Strict,
    /// Drop them.
    Ignore,
}

impl Query {
    /// Reads `a=b&c=d`.
    pub fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The first value of a parameter; empty where it is not there.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Whether the parameter is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    /// A boolean parameter as Kubernetes reads it: there, and neither `false` nor `0`.
    pub fn flag(&self, name: &str) -> bool {
        self.has(name) && !matches!(self.get(name).to_ascii_lowercase().as_str(), "false" | "0")
    }

    /// A whole number.
    ///
    /// # Errors
    /// 400, where it is no number.
    pub fn number(&self, name: &str) -> ApiResult<Option<i64>> {
        let text = self.get(name);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| {
            ApiError::bad_request(format!(
                "strconv.ParseInt: parsing {}: invalid syntax",
                crate::machinery::go_quoted(text)
            ))
        })
    }

    /// The options of a write; `kind` is that of the options, such as `CreateOptions`.
    ///
    /// # Errors
    /// 422 with each option that is wrong.
    pub fn write_options(&self, kind: &str) -> ApiResult<WriteOptions> {
        let mut errors = FieldErrors::new();
        let dry_run: Vec<Value> =
            self.all("dryRun").filter(|value| !value.is_empty()).map(Into::into).collect();
        check_dry_run(&dry_run, &mut errors);
        let manager = self.get("fieldManager");
        metadata::validate_field_manager(&mut errors, &Path::new("fieldManager"), manager);
        let field_validation = match self.get("fieldValidation") {
            "" | "Warn" => FieldValidation::Warn,
            "Strict" => FieldValidation::Strict,
            "Ignore" => FieldValidation::Ignore,
            other => {
                let supported = ["", "Ignore", "Strict", "Warn"];
                errors.not_supported(&Path::new("fieldValidation"), other, &supported);
                FieldValidation::Ignore
            }
        };
        if errors.is_empty() {
            Ok(WriteOptions {
                dry_run: !dry_run.is_empty(),
                field_validation,
                field_manager: manager.to_owned(),
                force: self.flag("force"),
            })
        } else {
            Err(ApiError::invalid(Qualified { group: "meta.k8s.io", name: kind }, "", &errors))
        }
    }
}

/// Refuses anything but `All`.
pub fn check_dry_run(values: &[Value], errors: &mut FieldErrors) {
    if values.iter().any(|value| value != "All") {
        errors.not_supported(&Path::new("dryRun"), Value::Array(values.to_vec()), &["All"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_options_are_named() {
        for (query, message) in [
            (
                "dryRun=true",
                "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"true\"]: supported values: \"All\"",
            ),
            (
                "dryRun=All&dryRun=x",
                "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"All\",\"x\"]: supported values: \"All\"",
            ),
            (
                "fieldValidation=Loose",
                "CreateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"Loose\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
            ),
        ] {
            assert_eq!(Query::parse(query).write_options("CreateOptions").unwrap_err().message, message);
        }
        let options =
            Query::parse("dryRun=All&fieldManager=m&force=true").write_options("PatchOptions").unwrap();
        assert!(options.dry_run && options.force && options.field_manager == "m");
        assert!(Query::parse("limit=x").number("limit").is_err());
    }
}
