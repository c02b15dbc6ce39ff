//! The rules as files: see `cases/`.
//!
//! A case has objects, and steps: what changes, and what the observer then does. Its writes are applied, so that the
//! next step begins where the last one ended; `restarts` begins it with a new observer.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use xebec_coordinator::{Event, Key, Kind, Object, Observer, Operation, Patch, Plan, Step, View};

use super::{CONFIG_HASH, Reload, Reloaded};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it shows.
    rule: String,
    objects: Vec<Value>,
    steps: Vec<Turn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
#[derive(Default)]
struct Turn {
    /// Objects as they become.
    change: Vec<Value>,
    /// `kind name` of objects that go.
    delete: Vec<String>,
    /// Whether the change happens while nobody watches.
    restarts: bool,
    /// What is done: `observes`, `holds`, `rolls out` (what is written), the Event, and what is emitted.
    does: Vec<String>,
}

#[test]
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/reload/cases");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.collect();
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        let case: Case = serde_saphyr::from_str(&std::fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        check(&case, &file.file_name().unwrap().to_string_lossy());
    }
}

struct World {
    reload: Reload,
    /// What was remembered at last.
    last: BTreeMap<Key, Plan>,
    objects: BTreeMap<Key, Value>,
    revision: u64,
}

fn check(case: &Case, file: &str) {
    let mut world = World { reload: Reload, last: BTreeMap::new(), objects: BTreeMap::new(), revision: 0 };
    for object in &case.objects {
        world.put(object.clone());
    }
    for (number, turn) in case.steps.iter().enumerate() {
        let mut events = Vec::new();
        for object in &turn.change {
            events.push(world.put(object.clone()));
        }
        for gone in &turn.delete {
            let key =
                world.objects.keys().find(|key| format!("{} {}", key.kind().name(), key.name()) == *gone);
            let key = key.unwrap_or_else(|| panic!("{file}: no {gone}")).clone();
            let last = world.objects.remove(&key).unwrap();
            events.push(Event::Deleted(Object::from_value(key.kind(), &last).unwrap()));
        }
        if turn.restarts {
            world.last.clear();
            events = world.all().into_iter().map(Event::Added).collect();
        }
        let mut done = Vec::new();
        // Its own writes wake it again: that must come to an end.
        for _ in 0..4 {
            let view = View::of(&world.reload.spec(), Timestamp::UNIX_EPOCH, world.all());
            let keys: std::collections::BTreeSet<Key> =
                events.drain(..).flat_map(|event| world.reload.wake(&event, &view)).collect();
            for key in keys {
                events.extend(world.serve(&key, &view, &mut done));
            }
        }
        assert!(events.is_empty(), "{file}: it comes to no end: {done:?}");
        assert_eq!(done, turn.does, "{file}, step {}: {}", number + 1, case.rule);
    }
}

impl World {
    fn all(&self) -> Vec<Object> {
        self.objects.iter().map(|(key, value)| Object::from_value(key.kind(), value).unwrap()).collect()
    }

    /// Puts an object in the place of the one of its name; annotations that are ours stay, unless they are given.
    fn put(&mut self, mut value: Value) -> Event {
        let kind = match value["kind"].as_str().unwrap() {
            "Deployment" => Kind::named("apps", "v1", "Deployment", "deployments"),
            "ConfigMap" => Kind::named("", "v1", "ConfigMap", "configmaps"),
            "Secret" => Kind::named("", "v1", "Secret", "secrets"),
            other => panic!("no such kind here: {other}"),
        };
        let name = value["metadata"]["name"].as_str().unwrap().to_owned();
        let key = Key::of_kind(kind.clone(), "ns", &name);
        self.revision += 1;
        let version = self.revision.to_string();
        let metadata = value["metadata"].as_object_mut().unwrap();
        for (field, text) in [("namespace", "ns"), ("uid", &name), ("resourceVersion", &version)] {
            metadata.insert(field.to_owned(), text.into());
        }
        let old = self.objects.get(&key).cloned();
        if let Some(old) = &old {
            let at = |pointer: &str| old.pointer(pointer).and_then(Value::as_object).cloned();
            for pointer in ["/metadata", "/spec/template/metadata"] {
                let kept = at(&format!("{pointer}/annotations")).unwrap_or_default();
                let kept = kept
                    .into_iter()
                    .filter(|(name, _)| name.starts_with("reload.xebec.dev/") && name != super::AUTO);
                let Some(metadata) = value.pointer_mut(pointer) else { continue };
                for (name, text) in kept {
                    if metadata["annotations"].get(&name).is_none() {
                        metadata["annotations"][name] = text;
                    }
                }
                if let Some(annotations) = metadata["annotations"].as_object_mut() {
                    annotations.retain(|_, text| !text.is_null());
                }
            }
        }
        self.objects.insert(key, value.clone());
        let new = Object::from_value(&kind, &value).unwrap();
        match old {
            Some(old) => Event::Modified { old: Object::from_value(&kind, &old).unwrap(), new },
            None => Event::Added(new),
        }
    }

    /// Plans, applies the writes, and tells what was done.
    fn serve(&mut self, key: &Key, view: &View, done: &mut Vec<String>) -> Vec<Event> {
        let view = self.last.get(key).map_or_else(|| view.clone(), |last| view.clone().with_memory_of(last));
        let plan = self.reload.plan(key, &view).unwrap();
        let mut events = Vec::new();
        for emitted in plan.emitted::<Reloaded>() {
            assert_eq!(emitted.workload, *key);
        }
        for step in plan.steps() {
            match step {
                Step::Write(write) => {
                    assert_eq!(write.field_manager.as_deref(), Some("xebec-reload"));
                    let Operation::Patch(Patch::Apply { fields, force: true }) = &write.operation else {
                        panic!("only applies: {write}");
                    };
                    let before = self.objects[key].clone();
                    events.push(self.apply(key, fields));
                    let hash = |object: &Value| {
                        object["spec"]["template"]["metadata"]["annotations"][CONFIG_HASH].clone()
                    };
                    let rolls_out = hash(&before) != hash(&self.objects[key]);
                    done.push(if rolls_out { "rolls out" } else { "annotates" }.to_owned());
                }
                Step::Record(record) => done.push(format!("{}: {}", record.reason, record.note)),
                Step::Emit(_) => done.push("tells of it".to_owned()),
            }
        }
        self.last.insert(key.clone(), plan);
        events
    }

    fn apply(&mut self, key: &Key, fields: &Value) -> Event {
        let mut object = self.objects[key].clone();
        for pointer in ["/metadata", "/spec/template/metadata"] {
            let metadata = object.pointer_mut(pointer).unwrap();
            if let Some(own) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
                own.retain(|name, _| !name.starts_with("reload.xebec.dev/") || name == super::AUTO);
            }
            let given = fields.pointer(&format!("{pointer}/annotations")).and_then(Value::as_object);
            for (name, value) in given.into_iter().flatten() {
                metadata["annotations"][name] = value.clone();
            }
        }
        self.revision += 1;
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let old = self.objects.insert(key.clone(), object.clone()).unwrap();
        let of = |value: &Value| Object::from_value(key.kind(), value).unwrap();
        Event::Modified { old: of(&old), new: of(&object) }
    }
}
