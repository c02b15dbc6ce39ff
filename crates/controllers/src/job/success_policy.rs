//! Whether the indexes that have succeeded are enough by a Job's `successPolicy`.

use k8s_openapi::api::batch::v1::SuccessPolicy;

use super::intervals::Intervals;

/// Which rule is met, in words; none if no rule is.
pub(crate) fn met(policy: Option<&SuccessPolicy>, completions: i32, succeeded: &Intervals) -> Option<String> {
    if succeeded.is_empty() {
        return None;
    }
    let rule = policy?.rules.iter().position(|rule| match &rule.succeeded_indexes {
        Some(indexes) => {
            let wanted = Intervals::parse(indexes, completions);
            let count = wanted.overlap(succeeded);
            !wanted.is_empty()
                && (count == wanted.len() || rule.succeeded_count.is_some_and(|enough| count >= enough))
        }
        None => rule.succeeded_count.is_some_and(|enough| succeeded.len() >= enough),
    })?;
    Some(format!("Matched rules at index {rule}"))
}
