//! What Kubernetes' YAML library makes of documents and values; every expectation here is that library's own answer.

use std::fmt::Write;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{read, write};

#[test]
fn texts_are_quoted_when_they_would_be_read_as_something_else() {
    let cases = [
        ("word", "word"),
        ("", "\"\""),
        ("on", "\"on\""),
        ("No", "\"No\""),
        ("y", "\"y\""),
        ("yN", "yN"),
        ("true", "\"true\""),
        ("null", "\"null\""),
        ("~", "\"~\""),
        ("1", "\"1\""),
        ("-0x1F", "\"-0x1F\""),
        ("0777", "\"0777\""),
        ("08", "\"08\""),
        ("0o8", "0o8"),
        ("1_000", "\"1_000\""),
        ("_1", "_1"),
        ("0b102", "0b102"),
        ("1e3", "\"1e3\""),
        ("1e400", "1e400"),
        (".5", "\".5\""),
        ("1.2.3", "1.2.3"),
        ("+.inf", "\"+.inf\""),
        (".nan", "\".nan\""),
        ("12:30", "\"12:30\""),
        ("1:70", "1:70"),
        ("2020-01-02T03:04:05Z", "\"2020-01-02T03:04:05Z\""),
        ("2020-1-2 3:4:5.6", "\"2020-1-2 3:4:5.6\""),
        ("2020-02-30", "2020-02-30"),
        ("<<", "<<"),
        ("=", "="),
        ("- a", "'- a'"),
        ("-", "'-'"),
        ("-a", "-a"),
        ("---", "'---'"),
        ("a: b", "'a: b'"),
        ("a:", "'a:'"),
        ("a:b", "a:b"),
        ("a #b", "'a #b'"),
        ("a#b", "a#b"),
        ("it's", "it's"),
        ("'it's", "'''it''s'"),
        ("\"q\"", "'\"q\"'"),
        ("@x", "'@x'"),
        ("%x", "'%x'"),
        ("{a}", "'{a}'"),
        ("? x", "'? x'"),
        ("?x", "?x"),
        (" a", "' a'"),
        ("a ", "'a '"),
        ("a\tb", "\"a\\tb\""),
        ("é日", "é日"),
        ("😀", "\"\\U0001F600\""),
        ("\u{feff}", "\"\\uFEFF\""),
        ("a\r", "\"a\\r\""),
        ("\u{1}\u{7f}\u{85}", "\"\\x01\\x7F\\N\""),
        ("18446744073709551615", "\"18446744073709551615\""),
        ("-9223372036854775809", "\"-9223372036854775809\""),
    ];
    for (text, expected) in cases {
        assert_eq!(write(&json!({ "k": text })), format!("k: {expected}\n"), "{text:?}");
        assert_eq!(write(&json!([text])), format!("- {expected}\n"), "{text:?}");
    }
}

#[test]
fn texts_of_several_lines_are_blocks() {
    let cases = [
        ("a\nb", "|-\n  a\n  b"),
        ("a\nb\n", "|\n  a\n  b"),
        ("a\n\n", "|+\n  a\n"),
        ("a\n\n  b\n", "|\n  a\n\n    b"),
        ("\na", "|2-\n\n  a"),
        (" a\nb", "|2-\n   a\n  b"),
        ("\n", "|2+\n"),
        ("a \nb", "\"a \\nb\""),
        ("a\nb ", "\"a\\nb \""),
        ("a\n\tb", "\"a\\n\\tb\""),
        ("- a: b #\n\"x\"", "|-\n  - a: b #\n  \"x\""),
    ];
    for (text, expected) in cases {
        assert_eq!(write(&json!({ "k": text })), format!("k: {expected}\n"), "{text:?}");
    }
}

#[test]
fn long_texts_are_broken_at_single_spaces() {
    let text = "word ".repeat(20);
    let words = text.trim_end();
    let first = "word ".repeat(16);
    assert_eq!(write(&json!({ "k": words })), format!("k: {}\n  word word word word\n", first.trim_end()));
    assert_eq!(write(&json!({ "k": text })), format!("k: '{}\n  word word word word '\n", first.trim_end()));
    let tabs = format!("\t{words}");
    assert_eq!(
        write(&json!({ "k": tabs })),
        format!("k: \"\\t{}\n  word word word word\"\n", first.trim_end()),
    );
    let wide = "word  ".repeat(20);
    assert_eq!(write(&json!({ "k": wide.trim_end() })), format!("k: {}\n", wide.trim_end()));
}

#[test]
fn values_are_written_as_kubectl_shows_them() {
    let value = json!({
        "a10": 1, "a9": [], "a1": {}, "B": null, "_": true, "10": -1.5, "9": 1e30,
        "list": [{"name": "x", "value": [1, [2, {}], []]}, ["a"], null],
        "map": {"inner": {"deep": [{"k": {"l": 1}}]}},
        "on": "off",
    });
    let expected = "\
_: true
\"9\": 1e+30
\"10\": -1.5
B: null
a1: {}
a9: []
a10: 1
list:
- name: x
  value:
  - 1
  - - 2
    - {}
  - []
- - a
- null
map:
  inner:
    deep:
    - k:
        l: 1
\"on\": \"off\"
";
    assert_eq!(write(&value), expected);
    for (value, expected) in [
        (json!(null), "null\n"),
        (json!([]), "[]\n"),
        (json!("a\n"), "|\n  a\n"),
        (json!(1), "1\n"),
        (json!(u64::MAX), "18446744073709551615\n"),
        (json!(1_234_567.5), "1.2345675e+06\n"),
        (json!(100_000.5), "100000.5\n"),
        (json!(0.000_012), "1.2e-05\n"),
        (json!(0.000_12), "0.00012\n"),
        (json!(-0.0), "0\n"),
        (json!(1e20), "1e+20\n"),
        (json!(3.0), "3\n"),
    ] {
        assert_eq!(write(&value), expected);
    }
}

#[test]
fn keys_that_are_long_or_of_several_lines_stand_alone() {
    let long = "k".repeat(129);
    assert_eq!(
        write(&json!({ &long: [1], "a\nb": {"c": 1} })),
        format!("? |-\n  a\n  b\n: c: 1\n? {long}\n: - 1\n")
    );
}

#[test]
fn keys_whose_order_goes_in_circles_are_all_written() {
    let map: serde_json::Map<String, Value> = ["a10", "a1x", "a9"]
        .iter()
        .flat_map(|stem| (0..20).map(move |n| (format!("{stem}{n}"), Value::Null)))
        .collect();
    assert_eq!(write(&Value::Object(map)).lines().count(), 60);
}

fn value(text: &str) -> Value {
    read(text).unwrap_or_else(|error| panic!("{text:?}: {error}")).value
}

#[test]
fn scalars_are_read_by_yaml_1_1() {
    let cases = [
        ("on", json!(true)),
        ("Off", json!(false)),
        ("y", json!(true)),
        ("nO", json!("nO")),
        ("~", json!(null)),
        ("", json!(null)),
        ("Null", json!(null)),
        ("0777", json!(511)),
        ("0o17", json!(15)),
        ("08", json!(8)),
        ("-0x10", json!(-16)),
        ("0b11", json!(3)),
        ("1_000", json!(1000)),
        ("+5", json!(5)),
        ("1e3", json!(1000)),
        (".5", json!(0.5)),
        ("1.", json!(1)),
        ("1_0.5_0", json!(10.5)),
        ("1e400", json!("1e400")),
        ("18446744073709551615", json!(u64::MAX)),
        ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
        ("+18446744073709551615", json!(18_446_744_073_709_551_616.0)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("12:30", json!("12:30")),
        ("2020-01-02", json!("2020-01-02")),
        ("2020-01-02T03:04:05Z", json!("2020-01-02T03:04:05Z")),
        ("'on'", json!("on")),
        ("\"1\"", json!("1")),
        ("\"a\\tb\\u00e9\\x41\"", json!("a\tbéA")),
        ("!!str 5", json!("5")),
        ("!!int \"5\"", json!(5)),
        ("!!float 5", json!(5)),
        ("!!binary aGk=", json!("hi")),
        ("!mine 5", json!("5")),
        ("! 5", json!("5")),
        ("a b # c", json!("a b")),
        ("[a, b: c]", json!(["a", {"b": "c"}])),
        ("{\"a\":1, b: }", json!({"a": 1, "b": null})),
        ("|\n    a\n     b\n", json!("a\n b\n")),
        (">-\n    a\n    b\n\n    c\n", json!("a b\nc")),
    ];
    for (text, expected) in cases {
        assert_eq!(value(&format!("k: {text}")), json!({ "k": expected }), "{text}");
    }
}

#[test]
fn keys_become_texts() {
    let text = "on: a\n1: b\n0x10: c\n1.50: d\n~x: e\n2020-01-01: f\n'no': g\n123456789.5: h\n.inf: i\n? long key\n: j\n";
    assert_eq!(
        value(text),
        json!({
            "true": "a", "1": "b", "16": "c", "1.5": "d", "~x": "e", "2020-01-01": "f", "no": "g",
            "1.2345679e+08": "h", ".inf": "i", "long key": "j",
        })
    );
    assert_eq!(read("~: a").unwrap_err(), "unsupported map key of type: %!s(<nil>), key: <nil>");
    assert_eq!(
        read("a: {{x}}").unwrap_err(),
        "yaml: invalid map key: map[interface {}]interface {}{\"x\":interface {}(nil)}"
    );
}

#[test]
fn anchors_are_repeated_and_merged() {
    let text = "base: &b {p: 1, q: [2]}\nagain: *b\nmerged:\n  p: 0\n  <<: *b\n  q: 3\nlist: {<<: [{x: 1}, {x: 2, z: 3}]}\n\
                quoted: {'<<': 1}\n";
    assert_eq!(
        value(text),
        json!({
            "base": {"p": 1, "q": [2]}, "again": {"p": 1, "q": [2]}, "merged": {"p": 1, "q": 3},
            "list": {"x": 1, "z": 3}, "quoted": {"<<": 1},
        })
    );
    for (text, error) in [
        ("a: *nope", "yaml: unknown anchor 'nope' referenced"),
        ("a: &x [*x]", "yaml: anchor 'x' value contains itself"),
        ("a: &x {<<: *x}", "yaml: anchor 'x' value contains itself"),
        ("<<: 1", "yaml: map merge requires map or sequence of maps as the value"),
        ("<<: [1]", "yaml: map merge requires map or sequence of maps as the value"),
    ] {
        assert_eq!(read(text).unwrap_err(), error, "{text}");
    }
}

#[test]
fn json_is_yaml() {
    let text = "{\n\t\"a\": [\n\t\t1,\n\t\t\"\\/\\u00e9\"\n\t],\"b\":{}\n}\n";
    assert_eq!(value(text), json!({"a": [1, "/é"], "b": {}}));
}

#[test]
fn only_the_first_document_is_read() {
    assert_eq!(value("---\na: 1\n---\nb: [\n"), json!({"a": 1}));
    assert_eq!(value("# nothing\n"), Value::Null);
    assert_eq!(value(""), Value::Null);
    assert_eq!(value("\u{feff}a: 1"), json!({"a": 1}));
}

#[test]
fn keys_that_are_given_twice_are_told_line_by_line() {
    let document = read("a: 1\nb:\n  c: 1\n  c:\n  - 2\na: |\n  x\n1: x\n'1': z\n").unwrap();
    assert_eq!(document.value, json!({"a": "x\n", "b": {"c": [2]}, "1": "z"}));
    assert_eq!(
        document.duplicates.as_deref(),
        Some(
            "yaml: unmarshal errors:\n  line 5: key \"c\" already set in map\n  line 6: key \"a\" already set in map"
        )
    );
    assert_eq!(read("a: {b: 1}\nc: {b: 1}\n").unwrap().duplicates, None);
    let document = read("x: &x {a: 1}\ny: {a: 0, <<: *x, true: 1, on: 2}\n").unwrap();
    assert_eq!(
        document.duplicates.as_deref(),
        Some(
            "yaml: unmarshal errors:\n  line 1: key \"a\" already set in map\n  line 2: key true already set in map"
        )
    );
}

#[test]
fn what_is_no_yaml_is_told_with_its_line() {
    for (text, error) in [
        (
            "apiVersion: v1\nkind: ConfigMap\n\tbad",
            "yaml: line 3: found a tab character that violates indentation",
        ),
        ("g:\n  - \ta\n", "yaml: line 2: found character that cannot start any token"),
        ("a: @b", "yaml: found character that cannot start any token"),
        ("a: b: c", "yaml: mapping values are not allowed in this context"),
        ("a: [1, 2\nb", "yaml: line 2: did not find expected ',' or ']'"),
        ("a: \"b", "yaml: found unexpected end of stream"),
        ("a: 1\nb: - c", "yaml: line 2: block sequence entries are not allowed in this context"),
        ("%YAML 1.2\n---\na: 1", "yaml: found incompatible YAML document"),
        ("a: \u{1}", "yaml: control characters are not allowed"),
        ("a: .nan", "json: unsupported value: NaN"),
        ("a: !!int x", "yaml: cannot decode !!str `x` as a !!int"),
    ] {
        assert_eq!(read(text).map(|document| document.value).unwrap_err(), error, "{text}");
    }
    assert_eq!(value("a:\tb\nc: [1,\t2]\n"), json!({"a": "b", "c": [1, 2]}));
}

#[test]
fn no_document_grows_without_bound() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
        let _ = writeln!(laughs, "a{n}: &a{n} [{aliases}]");
    }
    let excessive = "yaml: document contains excessive aliasing";
    assert_eq!(read(&laughs).unwrap_err(), excessive);
    let long = "x".repeat(1 << 20);
    let wide = format!("a: &a {long}\nb: [{}]\n", vec!["*a"; 90].join(", "));
    assert_eq!(read(&wide).unwrap_err(), excessive);

    let deep = "yaml: exceeded max depth of 128";
    assert_eq!(read(&"[".repeat(100_000)).unwrap_err(), deep);
    assert_eq!(read(&"- ".repeat(100_000)).unwrap_err(), deep);
    assert_eq!(read(&"{a: ".repeat(100_000)).unwrap_err(), deep);
    let mut chain = format!("a0: &a0 {}x{}\n", "[".repeat(100), "]".repeat(100));
    for n in 1..4 {
        let _ = writeln!(chain, "a{n}: &a{n} {}*a{}{}", "[".repeat(100), n - 1, "]".repeat(100));
    }
    assert_eq!(read(&chain).unwrap_err(), deep);
    let most = format!("{}x{}", "[".repeat(128), "]".repeat(128));
    assert!(read(&most).is_ok());
}

fn scalars() -> impl Strategy<Value = Value> {
    let texts = prop_oneof![
        any::<String>(),
        "[-+.0-9a-fxeobTZ:_ ]{0,12}",
        "[ \\t\\na#:'\"|>{}\\[\\],&*!%@`?-]{0,12}",
        "([a-z]{1,9} {1,2}){0,30}",
        proptest::sample::select(vec![
            "on", "No", "~", "null", "", "<<", "=", "---", "...", "\u{feff}", "\u{2028}"
        ])
        .prop_map(str::to_owned),
    ];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()).prop_map(Value::from),
        texts.prop_map(Value::from),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    scalars().prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[a-zA-Z0-9.~:'\\n -]{0,8}", inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// JSON does not tell integers from other numbers, so that YAML writes both alike.
fn as_json_tells(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            number.as_f64().and_then(super::float::number).map_or(Value::Null, Value::Number)
        }
        Value::Array(items) => items.iter().map(as_json_tells).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), as_json_tells(value))).collect())
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(value in values()) {
        let text = write(&value);
        let document = read(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(document.value, as_json_tells(&value), "{}", text);
        prop_assert_eq!(document.duplicates, None);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[ \\t\\na-c1#:'\"|>{}\\[\\],&*!%@`?<~.é-]{0,40}") {
        let _ = read(&text);
    }
}

/// As `sigs.k8s.io/yaml` reads them: a second anchor or tag belongs to another node, so that the first has none of its
/// own; before the root, that is the whole document.
#[test]
fn a_node_has_one_anchor() {
    for text in
        ["a: &x &y 1", "a: &x &y\n  c: 1", "a: &x !!str &y 1", "a: !!str !!str 1", "a: &x *y", "&a &b c: 1"]
    {
        assert_eq!(read(text).unwrap_err(), "yaml: did not find expected key", "{text}");
    }
    assert_eq!(read("- &x &y z").unwrap_err(), "yaml: did not find expected '-' indicator");
    assert_eq!(read("x: 1\na: &b\n  &c\n  d: 1").unwrap_err(), "yaml: line 2: did not find expected key");
    assert_eq!(value("&a &b {x: 1}"), Value::Null);
    assert_eq!(value("&a\n&b c: 1"), json!({"c": 1}));
    assert_eq!(value("a: &x\nb: 1"), json!({"a": null, "b": 1}));
}
