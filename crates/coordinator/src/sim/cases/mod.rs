//! Rules as files: what is there, what happens, and what observers do about it.
//!
//! A folder of cases is the table of an observer's rules, for people who do not read Rust as for those who do. A new rule
//! is a new file. [`check`] plays each on a server of its own, through a real coordinator, on simulated time and without
//! faults; a minute that passes costs nothing.
//!
//! ```yaml
//! rule: a changed ConfigMap rolls out the Deployments that use it, once
//! objects:                      # what is there when the observers start; definitions first
//!   - apiVersion: apps/v1
//!     kind: Deployment
//!     metadata: {name: web, namespace: shop, annotations: {reload.xebec.dev/auto: "true"}}
//!     spec: …
//!   - {apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: shop}, data: {color: red}}
//! does:                         # what they do when they start
//!   - apply Deployment shop/web
//! steps:
//!   - change:                   # what a user changes
//!       - {kind: ConfigMap, metadata: {name: settings, namespace: shop}, data: {color: blue}}
//!     does:                     # all that the observers do about it, in order
//!       - apply Deployment shop/web
//!       - "Normal Reloaded Deployment shop/web: rolled out, because of a change of ConfigMap settings (color)"
//!     then:                     # what the server has in the end
//!       - {kind: Deployment, metadata: {name: web, namespace: shop, generation: 2}}
//! ```
//!
//! One test checks them all:
//!
//! ```no_run
//! # use xebec_coordinator::{BoxError, Key, Observer, ObserverSpec, Plan, View, Watch, sim};
//! # use xebec_simulated::Simulated;
//! # struct Reload;
//! # impl Observer for Reload {
//! #     fn spec(&self) -> ObserverSpec {
//! #         let deployments = Watch::of::<k8s_openapi::api::apps::v1::Deployment>();
//! #         ObserverSpec::new("reload", "rolls out what uses a changed ConfigMap").watch(deployments)
//! #     }
//! #     fn plan(&self, _: &Key, _: &View) -> Result<Plan, BoxError> {
//! #         Ok(Plan::new())
//! #     }
//! # }
//! fn rules() -> Result<(), sim::cases::Failures> {
//!     let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
//!     sim::cases::check(folder, Simulated::new, |coordinator| coordinator.observe(Reload))
//! }
//! # rules().unwrap();
//! ```
//!
//! # What a case says
//!
//! | field | what |
//! |---|---|
//! | `rule` | the rule, as a sentence |
//! | `objects` | complete objects that are there before the observers start, of any kind that the server has |
//! | `does`, `then`, `gone` | what follows when they start |
//! | `steps` | what happens after that, one after the other |
//!
//! A step happens, in this order, and then the observers come to rest:
//!
//! | field | what happens |
//! |---|---|
//! | `restarts: true` | the observers stop, and start anew when all else has happened: a new process, with nothing in memory |
//! | `refuse` | the next such write does not succeed: `{apply Deployment shop/web: 409}` is answered with that status, and `{create Pod shop/web-*: lost}` is done but not answered |
//! | `after: 90s` | time passes, in which observers do what they had put off |
//! | `apply` | complete objects, as of `kubectl apply --server-side`: what is no longer stated goes |
//! | `change` | parts of objects, as of `kubectl patch --type merge`: `null` removes a field |
//! | `delete` | `Kind namespace/name` |
//!
//! | field | what follows |
//! |---|---|
//! | `does` | exactly what the observers do, a line each; without it, they do nothing |
//! | `then` | objects as they are in the end, as far as mentioned; `null` stands for no field, and an object without a name for any one that fits |
//! | `gone` | `Kind namespace/name` of what is not there in the end |
//!
//! The lines of `does` are writes (`apply Deployment shop/web`, `create Pod shop/web-*` where the server makes the name,
//! `cannot create Pod shop/web-*: 409 Conflict`), Kubernetes Events (`Normal Reloaded Deployment shop/web: rolled out`),
//! emitted events (`emits Reloaded: …`, see [`Cases::emitted`]) and errors of plans (`fails Deployment shop/web: …`). What
//! serving one key does stays together. Where several observers run, each line begins with the name of who did it.
//! Applies that would change nothing are not sent, and so not there. Nobody types all that: with **`XEBEC_CASES=write`** in the
//! environment, `does` is written into the files as it is, and `git diff` shows what to think about.
//!
//! A namespace need not be mentioned: objects without one are in `default`, and others are made. Nor need `apiVersion` be
//! where only one group has a kind of that name. A definition's kind can be used right behind it.
//! What all cases of a folder need is [given](Cases::given) to them. `status` is written
//! apart, where the kind has it so: say what a controller that does not run would have written. Only the observers that are
//! added run; nothing collects garbage or starts Pods unless they do.
//!
//! # A case that fails
//!
//! says its rule, the step and its line, what is different, and [why](Coordinator::why) the observers did what they did:
//!
//! ```text
//! tests/cases/change.yaml:12: step 1 is not as it should be
//!   rule: a changed ConfigMap rolls out the Deployments that use it, once
//!   does (- as the case says, + as it is):
//!     - apply Deployment shop/web
//!   then, line 17: Deployment shop/web .metadata .generation: expected 2, found 1
//!   why:
//!     reload, Deployment shop/web: woken as ConfigMap shop/settings was modified (version 12); it was served with 0
//!     writes; nothing is left to do
//! ```

mod expected;
mod failure;
mod file;
mod kinds;
mod play;
mod refusing;
mod rewrite;
mod told;
mod world;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

pub use failure::{Failure, Failures};

use self::file::{Case, Mistake};
use self::told::Teller;
use super::Server;
use crate::{AddError, Coordinator};

/// In this environment variable `write` has `does` written into the files.
const VARIABLE: &str = "XEBEC_CASES";

/// Checks all cases of a folder: its files `*.yaml`. Each is played on a new server with these observers.
///
/// # Errors
/// What is wrong with each case that fails. A folder without cases fails, too.
pub fn check<S: Server>(
    folder: impl AsRef<Path>,
    server: impl Fn(u64) -> S,
    observe: impl Fn(&Coordinator) -> Result<(), AddError>,
) -> Result<(), Failures> {
    Cases::new(folder, server, observe).check()
}

/// The cases of a folder, with settings to choose.
pub struct Cases<'a> {
    folder: PathBuf,
    settings: Settings<'a>,
    writes: bool,
}

/// Adds the observers of a process.
type Observe<'a> = Box<dyn Fn(&Coordinator) -> Result<(), AddError> + 'a>;

/// How cases are played.
struct Settings<'a> {
    server: Box<dyn Fn(u64) -> Arc<dyn Server> + 'a>,
    observe: Observe<'a>,
    tellers: Vec<Teller>,
    /// What is there in all cases, before the objects of each.
    given: Vec<Value>,
}

impl<'a> Cases<'a> {
    /// The cases of a folder. `server` makes a new server; all its chance comes from the seed that it is given, and all time
    /// from the tokio runtime within which it is called. `observe` adds the observers, anew for each process.
    pub fn new<S: Server>(
        folder: impl AsRef<Path>,
        server: impl Fn(u64) -> S + 'a,
        observe: impl Fn(&Coordinator) -> Result<(), AddError> + 'a,
    ) -> Self {
        let server = Box::new(move |seed| Arc::new(server(seed)) as Arc<dyn Server>);
        let settings =
            Settings { server, observe: Box::new(observe), tellers: Vec::new(), given: Vec::new() };
        Self { folder: folder.as_ref().to_owned(), settings, writes: false }
    }

    /// Has events of type `T` that observers emit told in their own words: `emits Reloaded: …`. Of others only the name of
    /// the type is.
    #[must_use]
    pub fn emitted<T: Display + Send + Sync + 'static>(mut self) -> Self {
        self.settings.tellers.push(|emission| emission.get::<T>().map(|event| event.to_string()));
        self
    }

    /// These complete objects are there in all cases, before the objects of each: the definitions of custom resources,
    /// say, which a derive has made.
    #[must_use]
    pub fn given(mut self, objects: impl IntoIterator<Item = Value>) -> Self {
        self.settings.given.extend(objects);
        self
    }

    /// Writes `does` into the files as it is, whatever the environment says.
    #[must_use]
    pub fn writing(mut self) -> Self {
        self.writes = true;
        self
    }

    /// Checks all of them, as [`check`].
    ///
    /// # Errors
    /// As [`check`].
    pub fn check(&self) -> Result<(), Failures> {
        let wrong = |file: &Path, line, reason| Failure { file: file.to_owned(), line, reason };
        let of_folder = |reason| Failures::of(vec![wrong(&self.folder, None, reason)]);
        let accepted = match std::env::var(VARIABLE).as_deref() {
            Err(_) | Ok("") => self.writes,
            Ok("write") => true,
            Ok(other) => return of_folder(format!("{VARIABLE}={other} means nothing: say {VARIABLE}=write")),
        };
        let files = match files(&self.folder) {
            Ok(files) if files.is_empty() => {
                return of_folder("there is no case in it, no *.yaml".to_owned());
            }
            Ok(files) => files,
            Err(error) => return of_folder(format!("cannot read it: {error}")),
        };
        let checked = files.iter().filter_map(|path| {
            let (line, reason) = self.check_file(path, accepted).err()?;
            Some(wrong(path, line, reason))
        });
        Failures::of(checked.collect())
    }

    fn check_file(&self, path: &Path, accepted: bool) -> Result<(), (Option<u64>, String)> {
        let mistaken = |mistake: Mistake| (mistake.line, mistake.message);
        let text =
            std::fs::read_to_string(path).map_err(|error| (None, format!("cannot read it: {error}")))?;
        let case = Case::parse(&text).map_err(mistaken)?;
        let played = play::play(&case, &self.settings, accepted).map_err(mistaken)?;
        if let Some((line, reason)) = played.failure {
            return Err((Some(line), reason));
        }
        if accepted {
            let new = rewrite::rewrite(&text, &played.does);
            let new = new.map_err(|error| (None, format!("cannot write `does` into it: {error}")))?;
            if new != text {
                std::fs::write(path, new).map_err(|error| (None, format!("cannot write it: {error}")))?;
                eprintln!("{VARIABLE}=write: wrote {}", path.display());
            }
        }
        Ok(())
    }
}

/// The files of the cases in a folder, in the order of their names.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut files: Vec<PathBuf> = entries.collect::<std::io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
    files.sort();
    Ok(files)
}
