//! Rules that read the text of files.

use super::{Complaint, Repository, repository::SourceFile};
use crate::mutants::{self, Mutants};

/// Lines of code that a file may have.
const LINES_MAX: usize = 500;
/// Lines that it may have with its tests: cases are read one by one.
const LINES_WITH_TESTS_MAX: usize = 700;
/// What people wrote by hand and others read: source, scripts, build files, settings.
const CODE: &[&str] = &[
    "rs",
    "ts",
    "tsx",
    "js",
    "css",
    "py",
    "go",
    "java",
    "sh",
    "run",
    "toml",
    "yaml",
    "yml",
    "Makefile",
    "Dockerfile",
];
/// Source that the rule of length is for.
const SOURCE: &[&str] = &["rs", "ts", "tsx", "js", "css", "py", "go", "java", "sh", "run"];

fn is(file: &SourceFile, extensions: &[&str]) -> bool {
    extensions.contains(&file.extension())
}

fn among<'a>(repository: &'a Repository, extensions: &'a [&str]) -> impl Iterator<Item = &'a SourceFile> {
    repository.files.iter().filter(|file| is(file, extensions))
}

fn is_test_file(file: &SourceFile) -> bool {
    file.path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

/// Whether `word` stands in `line` on its own, at a byte offset.
fn find_word(line: &str, word: &str) -> Option<usize> {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).map(|(at, _)| at).find(|at| {
        !inside(line[..*at].chars().next_back()) && !inside(line[at + word.len()..].chars().next())
    })
}

pub(super) fn length(repository: &Repository) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in among(repository, SOURCE) {
        let lines = file.lines().count();
        let code =
            file.lines().take_while(|(_, line)| !(is_test_file(file) || *line == "#[cfg(test)]")).count();
        let long = code > LINES_MAX || lines > LINES_WITH_TESTS_MAX;
        let allowed = repository.allowed("long").any(|path| path == file.path);
        if long && !allowed {
            let text = format!("{lines} lines, {code} of them code: where do two ideas part?");
            complaints.push(Complaint::file(&file.path, text));
        }
        if !long && allowed {
            complaints
                .push(Complaint::file(&file.path, "is not long any more: drop it from xtask/tidy.toml"));
        }
    }
    for path in repository.allowed("long") {
        if !repository.files.iter().any(|file| file.path == path) {
            complaints.push(Complaint::file(path, "is gone: drop it from xtask/tidy.toml"));
        }
    }
    complaints
}

pub(super) fn opening(repository: &Repository) -> Vec<Complaint> {
    among(repository, &["rs", "py", "go", "sh", "run"])
        .filter(|file| !opens_well(file))
        .map(|file| Complaint::line(&file.path, 1, "say first what this file holds"))
        .collect()
}

fn opens_well(file: &SourceFile) -> bool {
    let mut lines =
        file.text.lines().skip_while(|line| line.starts_with("#!/")).filter(|line| !line.is_empty());
    let Some(first) = lines.next() else { return true };
    match file.extension() {
        "rs" => first.starts_with("//!"),
        "py" => first.starts_with("\"\"\"") || first.starts_with('#'),
        "go" => first.starts_with("//"),
        _ => first.starts_with('#'),
    }
}

pub(super) fn machine_paths(repository: &Repository) -> Vec<Complaint> {
    // Put together so that this file does not break its own rule.
    let roots = ["work", "root", "home", "tmp", "Users"].map(|name| format!("/{name}/"));
    let allowed: Vec<&str> = repository.allowed("paths").collect();
    let mut complaints = Vec::new();
    for file in &repository.files {
        let excused = allowed
            .iter()
            .any(|path| *path == file.path || path.ends_with('/') && file.path.starts_with(path));
        // Documents may show a session; lock files are cargo's and npm's.
        if excused || is(file, &["md", "lock", "sum"]) {
            continue;
        }
        for (number, line) in file.lines() {
            for root in &roots {
                // A path of a machine begins where it stands: `/apis/work/` and `example.com/home/` do not.
                let begins = |at: usize| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~}>*/".contains(c))
                };
                if line.match_indices(root.as_str()).any(|(at, _)| begins(at)) {
                    complaints.push(Complaint::line(
                        &file.path,
                        number,
                        format!("names a path below {root}"),
                    ));
                }
            }
        }
    }
    complaints
}

pub(super) fn registry_hosts(repository: &Repository) -> Vec<Complaint> {
    let hosts = [
        ["index.crates", "io"],
        ["static.crates", "io"],
        ["pypi", "org"],
        ["files.pythonhosted", "org"],
        ["registry.npmjs", "org"],
        ["proxy.golang", "org"],
        ["sum.golang", "org"],
        ["repo.maven.apache", "org"],
        ["repo1.maven", "org"],
        ["deb.debian", "org"],
    ]
    .map(|parts| parts.join("."))
    .into_iter()
    .chain([["arti", "factory"].concat()])
    .collect::<Vec<_>>();
    let mut complaints = Vec::new();
    for file in &repository.files {
        for (number, line) in file.lines() {
            if let Some(host) = hosts.iter().find(|host| line.contains(host.as_str())) {
                complaints.push(Complaint::line(
                    &file.path,
                    number,
                    format!("names the registry host {host}"),
                ));
            }
        }
    }
    complaints
}

pub(super) fn todo(repository: &Repository) -> Vec<Complaint> {
    let words = [["TO", "DO"], ["FIX", "ME"]].map(|halves| halves.concat());
    let mut complaints = Vec::new();
    for file in among(repository, CODE) {
        for (number, line) in file.lines() {
            for word in &words {
                let Some(at) = find_word(line, word) else { continue };
                let issue = line[at + word.len()..].strip_prefix("(#");
                if !issue.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
                    complaints.push(Complaint::line(&file.path, number, format!("{word} without an issue")));
                }
            }
        }
    }
    complaints
}

pub(super) fn ignored(repository: &Repository) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in among(repository, &["rs"]) {
        for (number, line) in file.lines() {
            let line = line.trim_start();
            if line.starts_with("#[ignore") || line.starts_with("//") && line.contains("```ignore") {
                complaints.push(Complaint::line(&file.path, number, "an ignored test"));
            }
        }
    }
    complaints
}

pub(super) fn sleeps(repository: &Repository) -> Vec<Complaint> {
    let calls = ["thread::", "time::", "time."].map(|module| format!("{module}sleep("));
    let mut complaints = Vec::new();
    for file in among(repository, &["rs", "py", "sh"]) {
        if repository.allowed("sleeps").any(|path| path == file.path) {
            continue;
        }
        let mut inside = is_test_file(file);
        for (number, line) in file.lines() {
            // Test modules stand at the end of a file.
            inside |= line.trim_start().starts_with("#[cfg(test)]");
            let code = line.split("//").next().unwrap_or_default();
            let shell = is(file, &["sh"]) && code.trim_start().starts_with("sleep ");
            if inside && (shell || calls.iter().any(|call| code.contains(call.as_str()))) {
                complaints.push(Complaint::line(&file.path, number, "a test that sleeps"));
            }
        }
    }
    complaints
}

pub(super) fn changelog(repository: &Repository) -> Vec<Complaint> {
    const PATH: &str = "CHANGELOG.md";
    let Some(file) = repository.files.iter().find(|file| file.path == PATH) else {
        return vec![Complaint::file(PATH, "is not there")];
    };
    let unreleased = file.text.lines().any(|line| line.starts_with("## [Unreleased]"));
    if unreleased { Vec::new() } else { vec![Complaint::file(PATH, "has no section [Unreleased]")] }
}

/// A mutant that fits the code no more breaks no rule, and nobody would notice.
pub(super) fn mutants(repository: &Repository) -> Vec<Complaint> {
    let text = |path: &str| Some(repository.files.iter().find(|file| file.path == path)?.text.clone());
    let Some(mutants) = text(mutants::PATH) else { return Vec::new() };
    let broken = match Mutants::parse(&mutants) {
        Err(error) => vec![error],
        Ok(mutants) => mutants.mutant.iter().filter_map(|mutant| mutant.apply(text).err()).collect(),
    };
    broken.into_iter().map(|error| Complaint::file(mutants::PATH, format!("{error:#}"))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Check = fn(&Repository) -> Vec<Complaint>;

    /// The lines of which `check` complains in a file of this path and text.
    fn lines(check: Check, path: &str, text: &str) -> Vec<usize> {
        let repository = Repository { files: vec![SourceFile::new(path, text)], ..Default::default() };
        check(&repository).into_iter().map(|complaint| complaint.line).collect()
    }

    #[test]
    fn rules_of_lines() {
        let cases: &[(Check, &str, String, &[usize])] = &[
            (opening, "a.rs", "//! A.\n".into(), &[]),
            (opening, "a.rs", "\n//! A.\n".into(), &[]),
            (opening, "a.rs", "use b;\n//! A.\n".into(), &[1]),
            (opening, "a.rs", String::new(), &[]),
            (opening, "a.sh", "#!/bin/sh\n# A.\n".into(), &[]),
            (opening, "a.sh", "#!/bin/sh\nset -e\n".into(), &[1]),
            (opening, "a.py", "#!/usr/bin/env python3\n\"\"\"A.\"\"\"\n".into(), &[]),
            (machine_paths, "a.rs", format!("\nlet a = \"/{}/me\";", "home"), &[2]),
            (machine_paths, "Makefile", format!("X := /{}/x", "tmp"), &[1]),
            (machine_paths, "a.rs", format!("\"/apis/{}/me\"", "work"), &[]),
            (machine_paths, "a.rs", format!("https://example.com/{}/me", "home"), &[]),
            (machine_paths, "a.md", format!("`/{}/me`", "home"), &[]),
            (registry_hosts, "a.md", format!("https://{}.org/simple", "pypi"), &[1]),
            (
                registry_hosts,
                "Cargo.lock",
                "registry+https://github.com/rust-lang/crates.io-index".into(),
                &[],
            ),
            (todo, "a.rs", format!("// {}: this", ["TO", "DO"].concat()), &[1]),
            (todo, "a.rs", format!("// {}(#12): this", ["TO", "DO"].concat()), &[]),
            (todo, "a.rs", format!("// {}(me): this", ["FIX", "ME"].concat()), &[1]),
            (todo, "a.rs", format!("const {}_MAX: u8 = 1;", ["TO", "DO"].concat()), &[]),
            (todo, "a.md", format!("{} lists", ["TO", "DO"].concat()), &[]),
            (ignored, "a.rs", format!("#[test]\n    #[{}]\nfn a() {{}}", "ignore"), &[2]),
            (ignored, "a.rs", format!("// `#[{}]` is banned", "ignore"), &[]),
            (ignored, "a.rs", format!("//! ```{}\n//! a();\n//! ```", "ignore"), &[1]),
            (sleeps, "a/tests/b.rs", format!("thread::{}(second);", "sleep"), &[1]),
            (sleeps, "a/src/b.rs", format!("thread::{}(second);", "sleep"), &[]),
            (sleeps, "a/src/b.rs", format!("#[cfg(test)]\nmod tests {{\ntokio::time::{}(s)", "sleep"), &[3]),
            (sleeps, "a/tests/b.rs", format!("// no thread::{}(second)", "sleep"), &[]),
            (sleeps, "tests/b.sh", format!("  {} 3", "sleep"), &[1]),
        ];
        for (check, path, text, expected) in cases {
            assert_eq!(&lines(*check, path, text), expected, "{path}: {text}");
        }
    }

    #[test]
    fn long_files_are_tables_or_too_long() {
        let check = |path: &str, code: usize, tests: usize, allowed: &str| {
            let text = "x\n".repeat(code) + &"#[cfg(test)]\n".repeat(tests);
            let repository = Repository {
                files: vec![SourceFile::new(path, &text)],
                allowed: json!({"long": [{"path": allowed, "reason": "…"}]}),
                ..Default::default()
            };
            length(&repository).into_iter().map(|complaint| complaint.path).collect::<Vec<_>>()
        };
        assert_eq!(check("a.rs", 500, 200, "b.rs"), ["b.rs"], "an exception for a file that is gone");
        assert_eq!(check("a.rs", 501, 0, "b.rs"), ["a.rs", "b.rs"]);
        assert_eq!(check("a.rs", 500, 201, "b.rs"), ["a.rs", "b.rs"]);
        assert_eq!(check("tests/a.rs", 700, 0, "b.rs"), ["b.rs"]);
        assert_eq!(check("tests/a.rs", 701, 0, "b.rs"), ["tests/a.rs", "b.rs"]);
        assert_eq!(check("a.rs", 501, 0, "a.rs"), [""; 0]);
        assert_eq!(check("a.rs", 500, 200, "a.rs"), ["a.rs"], "an exception that is not needed");
    }

    #[test]
    fn data_of_a_server_may_name_paths() {
        let repository = Repository {
            files: vec![SourceFile::new("data/a.json", &format!("\"/{}/x\"", "tmp"))],
            allowed: json!({"paths": [{"path": "data/", "reason": "…"}]}),
            ..Default::default()
        };
        assert_eq!(machine_paths(&repository), []);
    }

    #[test]
    fn the_changelog_has_a_place_for_what_is_next() {
        assert_eq!(lines(changelog, "CHANGELOG.md", "# C\n\n## [Unreleased]\n"), [0; 0]);
        assert_eq!(lines(changelog, "CHANGELOG.md", "# C\n"), [0]);
        assert_eq!(lines(changelog, "README.md", ""), [0]);
    }
}
