//! From JSON as the server sends it to objects as a feed keeps them: no more than is wanted, and packed.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use crate::detail::Fields;
use crate::header::Header;
use crate::interner::Interner;
use crate::object::{DecodeError, Object, Parts};
use crate::packed::{Dictionary, Packed};
use crate::{Detail, Kind};

/// Of how many objects a dictionary is made: fewer are kept as they are.
pub(crate) const TRAINING_COUNT: usize = 64;

/// Reads objects of a kind, and keeps of each what its feed wants.
pub(crate) struct Parser {
    kind: Kind,
    detail: Detail,
    fields: Option<Fields>,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    interner: Interner,
    dictionary: Option<Arc<Dictionary>>,
    /// What is packed into, again and again.
    buffer: Vec<u8>,
}

impl Parser {
    pub(crate) fn new(kind: Kind, detail: Detail) -> Self {
        Self { kind, fields: detail.fields(), detail, shared: Mutex::default() }
    }

    /// What it keeps.
    pub(crate) fn detail(&self) -> &Detail {
        &self.detail
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Reads an object, and packs it.
    pub(crate) fn parse(&self, json: &[u8]) -> Result<Object, DecodeError> {
        self.read(json, Self::pack_bytes)
    }

    /// Reads an object that is to be dispatched first, and [packed](Self::packed) when there is time.
    pub(crate) fn parse_hot(&self, json: &[u8]) -> Result<Object, DecodeError> {
        self.read(json, |_, bytes| Packed::plain(bytes))
    }

    fn read(&self, json: &[u8], pack: impl FnOnce(&Self, Vec<u8>) -> Packed) -> Result<Object, DecodeError> {
        let header = Header::read(json).map_err(|source| DecodeError::header(&self.kind, source))?;
        let cut = if self.detail.keeps_managed_fields() { None } else { header.managed_fields_in(json) };
        let bytes = match &cut {
            Some(cut) => [&json[..cut.start], &json[cut.end..]].concat(),
            None => json.to_vec(),
        };
        let is_partial = cut.is_some() || self.fields.is_some();
        if self.fields.is_none() && self.detail.derived().len() == 0 {
            let parts = Parts::of(&self.kind, header, &mut self.shared.lock().interner);
            return Ok(Object::new(parts, pack(self, bytes), Vec::new(), is_partial));
        }
        // Functions of observers run on a whole object, and without the lock.
        let parts = Parts::of(&self.kind, header, &mut self.shared.lock().interner);
        let whole = Object::new(parts, Packed::plain(bytes), Vec::new(), is_partial);
        let derived = self.detail.derived();
        let derived = derived.map(|projection| (projection.name(), projection.derive(&whole))).collect();
        let bytes = match &self.fields {
            None => whole.bytes().into_owned(),
            Some(fields) => {
                let mut value: Value = whole.decode()?;
                if let Value::Object(object) = &mut value {
                    fields.project(object);
                }
                value.to_string().into_bytes()
            }
        };
        Ok(whole.replaced(pack(self, bytes), derived))
    }

    fn pack_bytes(&self, bytes: Vec<u8>) -> Packed {
        self.shared.lock().pack(bytes)
    }

    /// The same object, packed.
    pub(crate) fn packed(&self, object: &Object) -> Object {
        object.with_bytes(self.pack_bytes(object.bytes().into_owned()))
    }

    /// Whether the first objects are to be [learned](Self::learn) from, once there are some.
    pub(crate) fn is_untrained(&self) -> bool {
        self.shared.lock().dictionary.is_none()
    }

    /// Makes a dictionary from objects that it has read; those after them are packed with it.
    pub(crate) fn learn<'a>(&self, objects: impl ExactSizeIterator<Item = &'a Object>) {
        let dictionary = Arc::new(Dictionary::of(objects.map(Object::bytes)));
        self.shared.lock().dictionary.get_or_insert(dictionary);
    }

    /// Packs objects that were read before there was a dictionary; those that somebody holds already stay as they are.
    pub(crate) fn pack(&self, objects: &mut [Object]) {
        let mut shared = self.shared.lock();
        for object in objects {
            object.repack(|bytes| shared.pack(bytes));
        }
    }
}

impl Shared {
    fn pack(&mut self, bytes: Vec<u8>) -> Packed {
        match &self.dictionary {
            Some(dictionary) => Packed::pack(bytes, dictionary, &mut self.buffer),
            None => Packed::plain(bytes),
        }
    }
}

/// Whether two texts are equal but for one resource version each.
pub(crate) fn equal_but_version(one: &[u8], two: &[u8], version_one: &str, version_two: &str) -> bool {
    const NAME: &[u8] = b"\"resourceVersion\":";
    let common = one.iter().zip(two).take_while(|(one, two)| one == two).count();
    // The versions begin at the latest where the texts begin to differ, and end there at the earliest.
    let longest = version_one.len().max(version_two.len()) + NAME.len() + 2;
    let from = common.saturating_sub(longest);
    let Some(place) = one[from..common].windows(NAME.len()).rposition(|window| window == NAME) else {
        return false;
    };
    let start = from + place + NAME.len();
    let rest = |text: &[u8], version: &str| -> Option<usize> {
        let after = text.get(start..)?.strip_prefix(b"\"")?.strip_prefix(version.as_bytes())?;
        Some(text.len() - after.strip_prefix(b"\"")?.len())
    };
    match (rest(one, version_one), rest(two, version_two)) {
        (Some(one_rest), Some(two_rest)) => one[one_rest..] == two[two_rest..],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ConfigMap, Pod};
    use serde_json::json;

    use super::*;
    use crate::{Projection, Watch};

    fn pod(version: u64, phase: &str, owner: &str) -> Vec<u8> {
        json!({
            "metadata": {
                "name": "web", "namespace": "ns", "uid": "u", "resourceVersion": version.to_string(),
                "managedFields": [{"manager": owner}],
            },
            "spec": {"nodeName": "n1", "containers": [{"name": "web", "image": "i"}]},
            "status": {"phase": phase},
        })
        .to_string()
        .into_bytes()
    }

    fn parser(watch: Watch) -> Parser {
        Parser::new(watch.kind, watch.detail)
    }

    #[test]
    fn only_what_is_wanted_is_kept() {
        let kept = |watch: Watch| parser(watch).parse(&pod(1, "Running", "me")).unwrap().to_value().unwrap();
        let whole = kept(Watch::of::<Pod>());
        assert_eq!(whole["spec"]["nodeName"], "n1");
        assert!(whole["metadata"]["managedFields"].is_null());
        let owned = kept(Watch::of::<Pod>().with_managed_fields());
        assert_eq!(owned["metadata"]["managedFields"][0]["manager"], "me");
        let fields = kept(Watch::of::<Pod>().only_fields(["status.phase"]));
        assert_eq!((&fields["status"]["phase"], &fields["spec"]), (&json!("Running"), &json!(null)));
        assert_eq!(fields["metadata"]["uid"], "u");
    }

    #[test]
    fn a_projection_is_kept_in_stead_of_what_it_is_of() {
        let size = Projection::of("size", |config: &ConfigMap| {
            config.data.as_ref().map_or(0, std::collections::BTreeMap::len).to_string()
        });
        let broken = Projection::over_objects("broken", |_| panic!("by the test"));
        let parser = parser(Watch::of::<ConfigMap>().projected(size).projected(broken));
        let json =
            json!({"metadata": {"name": "c", "uid": "u"}, "data": {"secret": "value", "other": "value"}});
        let object = parser.parse(json.to_string().as_bytes()).unwrap();
        assert_eq!(object.derived("size"), Some(&b"2"[..]));
        assert_eq!((object.derived("broken"), object.derived("unknown")), (None, None));
        assert_eq!(object.to_value().unwrap()["data"], json!(null));
    }

    #[test]
    fn a_change_of_what_is_not_kept_is_no_change() {
        let changed = |watch: Watch, one: Vec<u8>, two: Vec<u8>| {
            let parser = parser(watch);
            !parser.parse(&two).unwrap().shows_the_same_as(&parser.parse(&one).unwrap())
        };
        let whole = Watch::of::<Pod>;
        assert!(!changed(whole(), pod(9, "Running", "me"), pod(10, "Running", "you")));
        assert!(changed(whole(), pod(1, "Running", "me"), pod(2, "Stopped", "me")));
        assert!(changed(whole().with_managed_fields(), pod(1, "Running", "me"), pod(2, "Running", "you")));
        assert!(!changed(whole().only_fields(["spec"]), pod(1, "Running", "me"), pod(2, "Failed", "me")));
        assert!(changed(whole().only_fields(["status"]), pod(1, "Running", "me"), pod(2, "Failed", "me")));
        let phase = || Projection::of("phase", |pod: &Pod| pod.status.clone().unwrap().phase.unwrap());
        assert!(!changed(whole().projected(phase()), pod(1, "Running", "me"), pod(2, "Running", "me")));
        assert!(changed(whole().projected(phase()), pod(1, "Running", "me"), pod(2, "Failed", "me")));
        // What the server calls a change is one where nothing was left out.
        let bare = |version: u64| {
            let metadata = json!({"name": "web", "uid": "u", "resourceVersion": version.to_string()});
            json!({ "metadata": metadata }).to_string().into_bytes()
        };
        assert!(changed(whole(), bare(1), bare(2)));
    }

    #[test]
    fn versions_are_told_apart_from_all_else() {
        let text = |version: &str, rest: &str| {
            format!("{{\"metadata\":{{\"resourceVersion\":\"{version}\"}},\"rest\":\"{rest}\"}}").into_bytes()
        };
        for (one, two, equal) in [
            (("9", "a"), ("10", "a"), true),
            (("19", "a"), ("19999", "a"), true),
            (("1", "a"), ("2", "b"), false),
            (("1", "a1"), ("1", "a2"), false),
        ] {
            let (first, second) = (text(one.0, one.1), text(two.0, two.1));
            assert_eq!(equal_but_version(&first, &second, one.0, two.0), equal, "{one:?} {two:?}");
        }
    }

    #[test]
    fn what_was_read_before_there_was_a_dictionary_is_packed_with_it() {
        let parser = parser(Watch::of::<Pod>());
        let mut objects: Vec<Object> =
            (0..64).map(|version| parser.parse(&pod(version, "Running", "me")).unwrap()).collect();
        let held = objects[0].clone();
        assert!(parser.is_untrained());
        parser.learn(objects.iter());
        parser.pack(&mut objects);
        assert!(!parser.is_untrained());
        assert!(held.is_plain() && !objects[1].is_plain());
        let hot = parser.parse_hot(&pod(99, "Running", "me")).unwrap();
        let packed = parser.packed(&hot);
        assert!(hot.is_plain() && !packed.is_plain() && packed.is_same_state(&hot));
        assert_eq!((packed.bytes(), packed.key()), (hot.bytes(), hot.key()));
        assert_eq!(objects[1].decode::<Pod>().unwrap().metadata.resource_version.unwrap(), "1");
        assert!(matches!(objects[1].bytes(), std::borrow::Cow::Owned(_)));
    }
}
