//! What goes wrong on purpose (`--faults FILE`).

use std::{fs, path::Path};

use anyhow::{Context, Result};
use xebec_apiserver::faults::Policy;

/// Reads what is to go wrong: YAML, or JSON, which is YAML.
///
/// # Errors
/// The file cannot be read, or is no such list.
pub fn read(path: &Path) -> Result<Policy> {
    let text = fs::read_to_string(path).with_context(|| format!("read --faults {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("in {}", path.display()))
}

#[cfg(test)]
mod tests {
    use xebec_apiserver::faults::Fault;

    use super::*;

    #[test]
    fn a_file_says_what_goes_wrong() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("faults.yaml");
        let rules = "
            seed: 7
            rules:
            - verbs: [update, patch]
              resources: [deployments.apps]
              probability: 0.1
              fault: {refuse: {code: 409}}
            - probability: 0.01
              fault: loseAnswer
        ";
        fs::write(&file, rules).unwrap();
        let policy = read(&file).unwrap();
        let faults: Vec<Fault> = policy.rules.iter().map(|rule| rule.fault).collect();
        assert_eq!((policy.seed, &*faults), (7, &[Fault::Refuse { code: 409 }, Fault::LoseAnswer][..]));
        fs::write(&file, "rules: [{fault: sink, probability: 1}]").unwrap();
        assert!(format!("{:#}", read(&file).unwrap_err()).contains("faults.yaml"));
        assert!(read(&scratch.path().join("absent")).is_err());
    }
}
