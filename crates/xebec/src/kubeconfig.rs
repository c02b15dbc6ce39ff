//! The kubeconfig file: written for its owner alone, never over one that xebec did not write, removed if asked.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The first line of a kubeconfig that xebec wrote; by it the next run knows that it may write it anew.
const MARK: &str = "# Written by xebec; it is written anew at each start.";

/// A kubeconfig that this process wrote.
#[derive(Debug)]
pub struct KubeconfigFile {
    path: PathBuf,
    /// Whether it goes when this process does.
    temporary: bool,
}

impl KubeconfigFile {
    /// Checks that a kubeconfig may be written at `path`.
    ///
    /// # Errors
    /// There is one that xebec did not write.
    pub fn check(path: &Path) -> Result<()> {
        match fs::read_to_string(path) {
            Ok(text) if text.starts_with(MARK) => Ok(()),
            Ok(_) => bail!(
                "{} is there already and was not written by xebec: name another file with --kubeconfig",
                path.display()
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    /// Writes `config` at `path`, readable by its owner alone, whole or not at all.
    ///
    /// # Errors
    /// The directory cannot be made, or the file not be written.
    pub fn write(path: &Path, config: &Value, temporary: bool) -> Result<Self> {
        Self::check(path)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).with_context(|| format!("make the directory {}", parent.display()))?;
        }
        let text = format!("{MARK}\n{}", xebec_apiserver::machinery::encode::yaml(config));
        let partial = path.with_extension(format!("{}.part", std::process::id()));
        let written = (|| -> io::Result<()> {
            let mut file =
                fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
            file.write_all(text.as_bytes())?;
            fs::rename(&partial, path)
        })();
        written.with_context(|| format!("write {}", path.display()))?;
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self { path, temporary })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for KubeconfigFile {
    fn drop(&mut self) {
        if self.temporary {
            // It may be gone already; there is nobody to tell at the end.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_its_own_kubeconfig_is_overwritten() {
        let directory = std::env::temp_dir().join(format!("xebec-kubeconfig-{}", std::process::id()));
        let path = directory.join("deep/config");
        drop(KubeconfigFile::write(&path, &json!({"a": 1}), false).unwrap());
        drop(KubeconfigFile::write(&path, &json!({"a": 2}), false).unwrap());
        assert!(fs::read_to_string(&path).unwrap().contains("a: 2"));
        fs::write(&path, "apiVersion: v1\n").unwrap();
        let error = KubeconfigFile::write(&path, &json!({}), false).unwrap_err();
        assert!(error.to_string().contains("was not written by xebec"));
        fs::remove_file(&path).unwrap();
        drop(KubeconfigFile::write(&path, &json!({}), true).unwrap());
        assert!(!path.exists());
        fs::remove_dir_all(directory).unwrap();
    }
}
