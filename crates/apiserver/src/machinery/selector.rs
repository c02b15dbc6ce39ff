//! Selectors of labels and of fields: the texts of list requests (`env in (a, b),!tier`, `spec.nodeName=n1`), and the
//! `LabelSelector` that objects hold (`k8s.io/apimachinery/pkg/labels`, `…/fields`).

mod field;
mod parse;

use std::fmt::{self, Display};

use serde_json::Value;

pub use self::field::{FieldSelector, FieldTerm};
use super::{FieldErrors, Path, fields, format, go_quoted};

/// Which objects are meant, by their labels: all requirements must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
    nothing: bool,
}

/// One requirement on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// How the label and the values relate.
    pub operator: Operator,
    /// The values, sorted.
    pub values: Vec<String>,
}

/// How a label and the values of a requirement relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names of Kubernetes
pub enum Operator {
    In,
    NotIn,
    Equals,
    DoubleEquals,
    NotEquals,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

/// What a key, values and an operator need to be a requirement; the words of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub String);

impl LabelSelector {
    /// Matches everything.
    pub const EVERYTHING: LabelSelector = LabelSelector { requirements: Vec::new(), nothing: false };
    /// Matches nothing.
    pub const NOTHING: LabelSelector = LabelSelector { requirements: Vec::new(), nothing: true };

    /// Reads the text of a list request.
    ///
    /// # Errors
    /// What was found and what was expected, in Kubernetes' words.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut requirements = parse::requirements(text).map_err(SelectorError)?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements, nothing: false })
    }

    /// The selector that a `LabelSelector` of an object means; none at all means nothing, an empty one everything.
    ///
    /// # Errors
    /// An operator, key or value that cannot be.
    pub fn of(selector: &Value) -> Result<Self, SelectorError> {
        if selector.is_null() {
            return Ok(Self::NOTHING);
        }
        let mut requirements = Vec::new();
        for (key, value) in fields::entries(selector, "matchLabels") {
            let values = vec![value.as_str().unwrap_or_default().to_owned()];
            requirements.push(Requirement::new(key, Operator::Equals, values)?);
        }
        for expression in fields::list(selector, "matchExpressions") {
            let operator = match fields::text(expression, "operator") {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => {
                    let quoted = go_quoted(other);
                    return Err(SelectorError(format!("{quoted} is not a valid label selector operator")));
                }
            };
            let values = fields::texts(expression, "values").map(str::to_owned).collect();
            requirements.push(Requirement::new(fields::text(expression, "key"), operator, values)?);
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements, nothing: false })
    }

    /// The selector of a plain map of labels, such as a Service's; not validated, an empty one matches everything.
    pub fn of_map(labels: &Value) -> Self {
        let entries = labels.as_object().into_iter().flatten();
        let requirements = entries.map(|(key, value)| Requirement {
            key: key.clone(),
            operator: Operator::Equals,
            values: vec![value.as_str().unwrap_or_default().to_owned()],
        });
        Self { requirements: requirements.collect(), nothing: false }
    }

    /// The requirements, sorted by key.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether it matches everything.
    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    /// Whether labels that can be looked up by `label` are meant.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        !self.nothing
            && self.requirements.iter().all(|requirement| requirement.matches(label(&requirement.key)))
    }

    /// Whether these labels (`metadata.labels`, a template's labels; `null` for none) are meant.
    pub fn matches_labels(&self, labels: &Value) -> bool {
        self.matches(|key| labels.get(key).and_then(Value::as_str))
    }
}

impl Requirement {
    /// A requirement, if these can be one.
    ///
    /// # Errors
    /// Everything that is wrong with the key and the values.
    pub fn new(key: &str, operator: Operator, mut values: Vec<String>) -> Result<Self, SelectorError> {
        let mut problems = Vec::new();
        let mut refuse = |text: String| {
            if !problems.contains(&text) {
                problems.push(text);
            }
        };
        let key_problems = format::is_qualified_name(key);
        if !key_problems.is_empty() {
            refuse(format!("key: Invalid value: {}: {}", go_quoted(key), key_problems.join("; ")));
        }
        let number = match operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                Some("for 'in', 'notin' operators, values set can't be empty")
            }
            Operator::Equals | Operator::DoubleEquals | Operator::NotEquals if values.len() != 1 => {
                Some("exact-match compatibility requires one single value")
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                Some("values set must be empty for exists and does not exist")
            }
            Operator::GreaterThan | Operator::LessThan if values.len() != 1 => {
                Some("for 'Gt', 'Lt' operators, exactly one value is required")
            }
            _ => None,
        };
        if let Some(problem) = number {
            let list = serde_json::Value::from(values.clone());
            let list = if values.is_empty() { "null".to_owned() } else { list.to_string() };
            refuse(format!("values: Invalid value: {list}: {problem}"));
        }
        let integers = matches!(operator, Operator::GreaterThan | Operator::LessThan);
        for (index, value) in values.iter().enumerate().filter(|(_, value)| integers && !is_integer(value)) {
            let problem = "for 'Gt', 'Lt' operators, the value must be an integer";
            refuse(format!("values[{index}]: Invalid value: {}: {problem}", go_quoted(value)));
        }
        for (index, value) in values.iter().enumerate() {
            let found = format::is_label_value(value);
            if !found.is_empty() {
                let quoted = go_quoted(value);
                refuse(format!("values[{index}][{key}]: Invalid value: {quoted}: {}", found.join("; ")));
            }
        }
        match problems.as_slice() {
            [] => {
                values.sort_unstable();
                Ok(Self { key: key.to_owned(), operator, values })
            }
            [one] => Err(SelectorError(one.clone())),
            many => Err(SelectorError(format!("[{}]", many.join(", ")))),
        }
    }

    /// Whether a label with this value (`None`: no such label) fulfils it.
    pub fn matches(&self, value: Option<&str>) -> bool {
        let is_listed = |value: &str| self.values.binary_search_by(|own| own.as_str().cmp(value)).is_ok();
        let compared = || {
            let own: i64 = self.values.first()?.parse().ok()?;
            Some(value?.parse::<i64>().ok()?.cmp(&own))
        };
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => value.is_some_and(is_listed),
            Operator::NotIn | Operator::NotEquals => !value.is_some_and(is_listed),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => compared().is_some_and(std::cmp::Ordering::is_gt),
            Operator::LessThan => compared().is_some_and(std::cmp::Ordering::is_lt),
        }
    }
}

fn is_integer(text: &str) -> bool {
    text.parse::<i64>().is_ok()
}

impl Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, requirement) in self.requirements.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, .. } = self;
        let values = self.values.join(",");
        match self.operator {
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

/// How [`validate`] treats what older objects may hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leniency {
    /// Values that no label can have are allowed (the old object has such, too).
    pub values: bool,
    /// Any operator is allowed (reviews).
    pub operators: bool,
}

/// What is wrong with a `LabelSelector` of an object (`ValidateLabelSelector`).
pub fn validate(errors: &mut FieldErrors, path: &Path<'_>, selector: &Value, leniency: Leniency) {
    let labels = path.child("matchLabels");
    validate_labels(errors, &labels, selector.get("matchLabels").unwrap_or(&Value::Null));
    let expressions = path.child("matchExpressions");
    for (index, expression) in fields::list(selector, "matchExpressions").iter().enumerate() {
        let path = expressions.index(index);
        let values: Vec<&str> = fields::texts(expression, "values").collect();
        let operator = fields::text(expression, "operator");
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                errors
                    .required(&path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.forbidden(
                &path.child("values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ if leniency.operators => {}
            _ => errors.invalid(&path.child("operator"), operator, "not a valid selector operator"),
        }
        let key = fields::text(expression, "key");
        format::report(errors, &path.child("key"), key, format::is_qualified_name(key));
        if !leniency.values {
            let path = path.child("values");
            for (index, value) in values.iter().enumerate() {
                format::report(errors, &path.index(index), value, format::is_label_value(value));
            }
        }
    }
}

/// What is wrong with a map of labels.
pub fn validate_labels(errors: &mut FieldErrors, path: &Path<'_>, labels: &Value) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        format::report(errors, path, key, format::is_qualified_name(key));
        format::report(errors, path, value, format::is_label_value(value));
    }
}

/// Whether a `LabelSelector` has a value that no label can have; an update of it may keep that.
pub fn has_invalid_value(selector: &Value) -> bool {
    let mut values =
        fields::list(selector, "matchExpressions").iter().flat_map(|e| fields::texts(e, "values"));
    values.any(|value| !format::is_label_value(value).is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_of_requests_select() {
        let labels = json!({"env": "prod", "n": "5", "e": ""});
        for (text, want) in [
            ("", true),
            ("env=prod", true),
            ("env==dev", false),
            ("env!=dev,n", true),
            ("other!=x", true),
            ("env in (dev,prod)", true),
            ("env notin (prod)", false),
            ("!env", false),
            ("!other , n", true),
            ("n>4", true),
            ("n<5", false),
            ("env>1", false),
            ("other<1", false),
            ("e=", true),
            ("e in ()", true),
            ("in in (in),env", false),
        ] {
            assert_eq!(LabelSelector::parse(text).unwrap().matches_labels(&labels), want, "{text}");
        }
        assert!(LabelSelector::parse("a!=b").unwrap().matches_labels(&Value::Null));
    }

    #[test]
    fn a_selector_is_written_sorted() {
        let text = "z in (b,a,b),!y,x==1, w!=2 ,v,u>3";
        assert_eq!(LabelSelector::parse(text).unwrap().to_string(), "u>3,v,w!=2,x==1,!y,z in (a,b)");
    }

    #[test]
    fn selectors_of_objects_select() {
        let labels = json!({"app": "web"});
        for (selector, want) in [
            (Value::Null, false),
            (json!({}), true),
            (json!({"matchLabels": {"app": "web"}}), true),
            (json!({"matchLabels": {"app": "db"}}), false),
            (json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "a"]}]}), true),
            (json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}), false),
            (json!({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}), true),
        ] {
            assert_eq!(LabelSelector::of(&selector).unwrap().matches_labels(&labels), want, "{selector}");
        }
        let error = LabelSelector::of(&json!({"matchExpressions": [{"key": "a", "operator": "Gt"}]}));
        assert_eq!(error.unwrap_err().0, "\"Gt\" is not a valid label selector operator");
        assert!(LabelSelector::of_map(&json!({"app": "web"})).matches_labels(&labels));
    }

    #[test]
    fn a_selector_of_an_object_is_validated() {
        let selector = json!({
            "matchLabels": {"a b": "c d"},
            "matchExpressions": [
                {"key": "k", "operator": "In"},
                {"key": "", "operator": "Exists", "values": ["-"]},
                {"key": "k", "operator": "Is"},
            ],
        });
        let mut errors = FieldErrors::new();
        validate(&mut errors, &Path::new("s"), &selector, Leniency::default());
        let lines: Vec<String> = errors
            .iter()
            .map(|error| format!("{}: {}", error.field, error.message.split(" (e.g.").next().unwrap()))
            .collect();
        let form = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
        let value = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
        assert_eq!(
            lines,
            [
                format!("s.matchLabels: Invalid value: \"a b\": name part {form}"),
                format!("s.matchLabels: Invalid value: \"c d\": {value}"),
                "s.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'".to_owned(),
                "s.matchExpressions[1].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'".to_owned(),
                "s.matchExpressions[1].key: Invalid value: \"\": name part must be non-empty".to_owned(),
                format!("s.matchExpressions[1].key: Invalid value: \"\": name part {form}"),
                format!("s.matchExpressions[1].values[0]: Invalid value: \"-\": {value}"),
                "s.matchExpressions[2].operator: Invalid value: \"Is\": not a valid selector operator".to_owned(),
            ]
        );
        assert!(has_invalid_value(&selector));
        let mut lenient = FieldErrors::new();
        validate(&mut lenient, &Path::new("s"), &selector, Leniency { values: true, operators: true });
        assert_eq!(lenient.len(), errors.len() - 2);
    }
}
