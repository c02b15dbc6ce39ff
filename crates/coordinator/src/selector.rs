//! Whether selectors select an object, as the server would judge: to know which writes a watch is going to tell of, and for
//! observers that are told by an option what to serve.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use kube::core::{Expression, Selector, SelectorExt};
use serde_json::Value;

use crate::Object;
use crate::names::{is_name, is_subdomain};

/// A label selector that was checked when it was read: `app=web,tier in (front, back),!old`.
///
/// ```
/// use xebec_coordinator::LabelSelector;
///
/// let selector: LabelSelector = "app=web,!old".parse()?;
/// assert_eq!(selector.to_string(), "app=web,!old");
/// let error = "app in front".parse::<LabelSelector>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     r#""app in front" is no label requirement, write one such as app=web, app!=web, app in (a, b), app or !app"#
/// );
/// # Ok::<(), xebec_coordinator::SelectorError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelSelector(Option<Selector>);

/// A text is no label selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no label requirement, write one such as app=web, app!=web, app in (a, b), app or !app")]
pub struct SelectorError(String);

impl LabelSelector {
    /// Selects everything.
    pub const fn everything() -> Self {
        Self(None)
    }

    /// Whether it selects what has these labels, names and values: `selector.selects(object.labels())`.
    pub fn selects<'l>(&self, labels: impl IntoIterator<Item = (&'l str, &'l str)>) -> bool {
        let Some(selector) = &self.0 else { return true };
        let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        selector.matches(&labels.collect())
    }
}

impl FromStr for LabelSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let requirements = requirements(text).into_iter().map(|requirement| {
            let expression = expression(requirement);
            let is_set = matches!(expression, Expression::In(..) | Expression::NotIn(..));
            let is_whole = !is_set || (requirement.contains('(') && requirement.ends_with(')'));
            let good = is_whole && is_good(&expression);
            good.then_some(expression).ok_or_else(|| SelectorError(requirement.to_owned()))
        });
        let requirements: Vec<Expression> = requirements.collect::<Result<_, _>>()?;
        Ok(Self((!requirements.is_empty()).then(|| requirements.into_iter().collect())))
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |selector| selector.fmt(f))
    }
}

/// Whether it is of names and values that labels can have.
fn is_good(expression: &Expression) -> bool {
    let is_key = |key: &str| match key.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_name(name),
        None => is_name(key),
    };
    let is_value = |value: &str| value.is_empty() || is_name(value);
    match expression {
        Expression::Exists(key) | Expression::DoesNotExist(key) => is_key(key),
        Expression::Equal(key, value) | Expression::NotEqual(key, value) => is_key(key) && is_value(value),
        Expression::In(key, values) | Expression::NotIn(key, values) => {
            is_key(key) && values.iter().all(|value| is_value(value))
        }
    }
}

/// Whether a label selector (`app=web,tier in (a, b),!old`) selects an object.
pub(crate) fn labels_match(selector: &str, object: &Object) -> bool {
    object.selected_by(&requirements(selector).into_iter().map(expression).collect::<Selector>())
}

/// Whether a field selector (`spec.nodeName=n1,status.phase!=Failed`) selects an object. A field that is not there
/// counts as empty.
pub(crate) fn fields_match(selector: &str, object: &Object) -> bool {
    let Ok(value) = object.to_value() else { return true };
    requirements(selector).into_iter().all(|requirement| {
        let (path, wanted, equal) = match requirement.split_once("!=") {
            Some((path, wanted)) => (path, wanted, false),
            None => match requirement.split_once('=') {
                Some((path, wanted)) => (path, wanted.trim_start_matches('='), true),
                None => return true,
            },
        };
        let field = path.trim().split('.').try_fold(&value, |value, field| value.get(field));
        let field = match field {
            Some(Value::String(text)) => text.clone(),
            Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
            _ => String::new(),
        };
        (field == wanted.trim()) == equal
    })
}

/// Splits at the commas that are not in parentheses.
fn requirements(selector: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let parts = selector.split(|character| {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn expression(requirement: &str) -> Expression {
    let set = |values: &str| -> BTreeSet<String> {
        values.trim().trim_matches(['(', ')']).split(',').map(|value| value.trim().to_owned()).collect()
    };
    let own = |text: &str| text.trim().to_owned();
    if let Some(key) = requirement.strip_prefix('!') {
        return Expression::DoesNotExist(own(key));
    }
    if let Some((key, value)) = requirement.split_once("!=") {
        return Expression::NotEqual(own(key), own(value));
    }
    if let Some((key, value)) = requirement.split_once('=') {
        return Expression::Equal(own(key), own(value.trim_start_matches('=')));
    }
    if let Some((key, values)) = requirement.split_once(" notin ") {
        return Expression::NotIn(own(key), set(values));
    }
    if let Some((key, values)) = requirement.split_once(" in ") {
        return Expression::In(own(key), set(values));
    }
    Expression::Exists(own(requirement))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Kind;

    fn pod() -> Object {
        let pod = json!({
            "metadata": {"name": "web", "namespace": "ns", "labels": {"app": "web", "tier": "front"}},
            "spec": {"nodeName": "n1", "hostNetwork": true},
        });
        Object::from_value(&Kind::named("", "v1", "Pod", "pods"), &pod).unwrap()
    }

    #[test]
    fn label_selectors() {
        for (selector, selected) in [
            ("app=web", true),
            ("app==web,tier=front", true),
            ("app=web,tier=back", false),
            ("app!=web", false),
            ("tier in (front, back),app", true),
            ("tier notin (front,back)", false),
            ("!old", true),
            ("!app", false),
            ("missing", false),
        ] {
            assert_eq!(labels_match(selector, &pod()), selected, "{selector}");
        }
    }

    #[test]
    fn field_selectors() {
        for (selector, selected) in [
            ("spec.nodeName=n1", true),
            ("spec.nodeName==n2", false),
            ("spec.nodeName!=n2,metadata.name=web", true),
            ("spec.hostNetwork=true", true),
            ("status.phase=", true),
            ("status.phase=Failed", false),
        ] {
            assert_eq!(fields_match(selector, &pod()), selected, "{selector}");
        }
    }
}
