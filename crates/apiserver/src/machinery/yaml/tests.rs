//! What Kubernetes' YAML library makes of documents and values; every expectation here is that library's own answer.

use serde_json::{Value, json};

use super::write;

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
    assert_eq!(write(&json!({ "k": words })), format!("k: {}\n  word word word word\n", first.trim_end()),);
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
