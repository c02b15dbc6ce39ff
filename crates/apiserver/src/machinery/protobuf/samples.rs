//! Values of any shape, for tests.

use rand::{Rng, RngExt};
use serde_json::{Map, Value, json};

use crate::machinery::{
    builtin, conform,
    schema::{Format, Schema, Shape, Width},
};

/// How many fields a sample has at most: some types are in themselves.
const FIELDS_MAX: usize = 1500;
/// How deep a sample is at most.
const DEPTH_MAX: usize = 20;

/// A value that conforms to the schema; lists and maps in it are not empty.
pub fn sample(schema: &Schema, random: &mut impl Rng) -> Value {
    Sampler { random, left: FIELDS_MAX }.value(schema, 0)
}

struct Sampler<'a, R> {
    random: &'a mut R,
    left: usize,
}

impl<R: Rng> Sampler<'_, R> {
    fn value(&mut self, schema: &Schema, depth: usize) -> Value {
        let random = &mut *self.random;
        match schema.shape() {
            Shape::Boolean => Value::Bool(random.random()),
            Shape::Integer(Width::Int32) => random.random::<i32>().into(),
            Shape::Integer(Width::Int64) => random.random::<i64>().into(),
            Shape::Number => (f64::from(random.random::<i16>()) + 0.5).into(),
            Shape::IntOrString if random.random() => random.random::<i32>().into(),
            Shape::String(Format::Plain) | Shape::IntOrString => text(random).into(),
            Shape::String(Format::Bytes) => "AAH+".into(),
            Shape::String(Format::Quantity) => format!("{}Mi", random.random::<u16>()).into(),
            Shape::String(Format::Time) => {
                format!("20{:02}-02-03T04:05:06Z", random.random_range(0..99)).into()
            }
            Shape::String(Format::MicroTime) => format!(
                "19{:02}-02-03T04:05:06.{:06}Z",
                random.random_range(0..99),
                random.random_range(0..999_999)
            )
            .into(),
            Shape::Array(array) => {
                let count = random.random_range(1..3);
                (0..count).map(|_| self.value(&array.items, depth + 1)).collect()
            }
            Shape::Object(object) => {
                let mut map = Map::new();
                for (name, field) in &object.fields {
                    let wanted = self.random.random_bool(if depth < 4 { 0.8 } else { 0.4 });
                    if wanted && !field.proto.is_empty() && self.left > 0 && depth < DEPTH_MAX {
                        self.left -= 1;
                        map.insert(name.to_string(), self.value(&field.schema, depth + 1));
                    }
                }
                if let Some(values) = &object.additional {
                    map.insert(text(self.random), self.value(values, depth + 1));
                }
                Value::Object(map)
            }
            Shape::Any => self.any(schema, depth),
            Shape::Named(_) => unreachable!("`shape` follows names"),
        }
    }

    fn any(&mut self, schema: &Schema, depth: usize) -> Value {
        let Shape::Named(reference) = &schema.shape else { panic!("what is any value has a name") };
        let name = reference.name();
        let choice = self.random.random_range(0..3);
        match (name.rsplit('.').next().unwrap(), choice) {
            ("JSONSchemaPropsOrBool", 0) => true.into(),
            ("JSONSchemaPropsOrBool", 1) => false.into(),
            ("JSONSchemaPropsOrArray", 0 | 1) => vec![self.schema(depth), self.schema(depth)].into(),
            ("JSONSchemaPropsOrStringArray", 0 | 1) => vec![text(self.random), text(self.random)].into(),
            ("JSONSchemaPropsOrBool" | "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrStringArray", _) => {
                self.schema(depth)
            }
            ("FieldsV1" | "RawExtension", _) => json!({"a": {"f:\"b": [choice, null, 1.5]}}),
            ("JSON", 0) => "text".into(),
            ("JSON", _) => json!([1, {"x": true}]),
            (other, _) => panic!("what is {other}?"),
        }
    }

    /// A schema in a schema, which has its normal form already.
    fn schema(&mut self, depth: usize) -> Value {
        let name = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
        let schema = builtin::schema(name).unwrap();
        let mut value = self.value(schema, depth + 1);
        conform::conform(schema, &mut value).unwrap();
        value
    }
}

fn text(random: &mut impl Rng) -> String {
    let length = if random.random_bool(0.02) { 300 } else { random.random_range(1..12) };
    (0..length).map(|_| ['a', 'Z', '0', '/', 'ß', '\u{1F40C}'][random.random_range(0..6)]).collect()
}
