#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests assert by unwrapping")]

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{EXPRESSION_BYTES, Filter, NESTING, PATTERNS, Shape, shapes};

const EXPRESSIONS: &str = include_str!("../../tests/corpus/filter/expressions.tsv");
const ELEMENTS: &str = include_str!("../../tests/corpus/filter/elements.json");

const SELECTORS: &str = include_str!("../../tests/corpus/filter/selectors.tsv");

const NAMES: [&str; 8] =
    ["agent-service", "agent-check", "member", "node", "service-node", "node-service", "check", "health"];

fn shape(name: &str) -> &'static Shape {
    match name {
        "agent-service" => &shapes::AGENT_SERVICE,
        "agent-check" => &shapes::AGENT_CHECK,
        "member" => &shapes::AGENT_MEMBER,
        "node" => &shapes::NODE,
        "service-node" => &shapes::SERVICE_NODE,
        "node-service" => &shapes::NODE_SERVICE,
        "check" => &shapes::HEALTH_CHECK,
        "health" => &shapes::CHECK_SERVICE_NODE,
        other => panic!("there is no shape {other}"),
    }
}

fn elements() -> HashMap<String, Vec<Value>> {
    serde_json::from_str(ELEMENTS).unwrap()
}

/// Shape, expression, outcome.
fn rows() -> impl Iterator<Item = (&'static str, String, String)> {
    EXPRESSIONS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
        let mut columns = line.split('\t');
        let mut text = || columns.next().unwrap().replace('␤', "\n").replace('␍', "\r").replace('␉', "\t");
        let (name, expression, outcome) = (text(), text(), text());
        let name = elements_name(&name);
        (name, expression, outcome)
    })
}

fn elements_name(name: &str) -> &'static str {
    NAMES.into_iter().find(|it| *it == name).unwrap()
}

fn outcome(expression: &str, shape: &'static Shape, elements: &[Value]) -> String {
    let filter = match Filter::parse(expression, shape) {
        Ok(filter) => filter,
        Err(error) => return format!("error {error}"),
    };
    let mut outcome = String::new();
    for element in elements {
        match filter.matches(element) {
            Ok(matches) => outcome.push(if matches { 'T' } else { 'F' }),
            Err(error) => return format!("late {error}"),
        }
    }
    outcome
}

/// The third column was written by go-bexpr over Consul's own types.
#[test]
fn every_expression_of_the_corpus_has_the_outcome_that_consul_gives() {
    let elements = elements();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (name, expression, expected) in rows() {
        count += 1;
        let got = outcome(&expression, shape(name), &elements[name]);
        if got != expected {
            wrong.push(format!("{name}: {expression:?}\n  expected {expected}\n  got      {got}"));
        }
    }
    assert!(count > 500, "only {count} rows");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every selector of a shape, `*` for any key, with the kind of its values and what it can be asked.
fn selectors(shape: &Shape, path: &str, found: &mut Vec<String>) {
    match shape {
        Shape::Struct(fields) => {
            for (name, field) in *fields {
                let path = format!("{path}.{name}");
                found.push(format!("{path}\t{}\t{}", kind(field), asked(field)));
                selectors(field, &path, found);
            }
        }
        Shape::Map(inner) => {
            let path = format!("{path}.*");
            found.push(format!("{path}\t{}\t{}", kind(inner), asked(inner)));
            selectors(inner, &path, found);
        }
        Shape::List(inner) | Shape::Unchecked(inner) => selectors(inner, path, found),
        Shape::Bool | Shape::Int | Shape::Uint { .. } | Shape::Text | Shape::Address => {}
    }
}

fn asked(shape: &Shape) -> &'static str {
    match shape {
        Shape::Bool | Shape::Int | Shape::Uint { .. } => "Equal, Not Equal",
        Shape::Text => "Equal, Not Equal, In, Not In, Matches, Not Matches",
        Shape::Map(_) => "Is Empty, Is Not Empty, In, Not In",
        Shape::Address | Shape::List(Shape::Text) => "In, Not In, Is Empty, Is Not Empty",
        Shape::List(_) => "Is Empty, Is Not Empty",
        Shape::Struct(_) | Shape::Unchecked(_) => "",
    }
}

fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "bool".to_owned(),
        Shape::Int => "int".to_owned(),
        Shape::Uint { bits } => format!("uint{bits}"),
        Shape::Address => "uint8".to_owned(),
        Shape::Text | Shape::Map(_) | Shape::List(Shape::Text) => "text".to_owned(),
        Shape::List(_) | Shape::Struct(_) | Shape::Unchecked(_) => String::new(),
    }
}

/// The file was written from the types of Consul itself.
#[test]
fn what_can_be_selected_is_what_consul_lets_select() {
    let mut found = Vec::new();
    for name in NAMES {
        selectors(shape(name), name, &mut found);
    }
    found.sort();
    let found = found.join("\n");
    let expected = SELECTORS.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    assert_eq!(found, expected);
}

/// The table of the test above and `bind` agree on who can be asked what.
#[test]
fn what_a_selector_can_be_asked_it_is_asked() {
    let asks = [
        ("Equal", "S == 1"),
        ("Not Equal", "S != 1"),
        ("In", "1 in S"),
        ("Not In", "1 not in S"),
        ("Is Empty", "S is empty"),
        ("Is Not Empty", "S is not empty"),
        ("Matches", "S matches 1"),
        ("Not Matches", "S not matches 1"),
    ];
    for line in SELECTORS.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (name, selector) = columns[0].split_once('.').unwrap();
        for (operator, expression) in asks {
            let expression = expression.replace('S', &selector.replace('*', "any"));
            let allowed = columns[2].split(", ").any(|it| it == operator);
            let got = outcome(&expression, shape(name), &[json!({})]);
            assert_eq!(!got.contains("Invalid match operator"), allowed, "{name}: {expression}: {got}");
            assert!(!got.contains("is not valid") && !got.contains("coerce"), "{name}: {expression}: {got}");
        }
    }
}

#[test]
fn what_json_omits_is_the_zero_value_of_its_shape() {
    let bare = [json!({}), json!({"Node": null, "Service": {"Tags": null, "Meta": null}, "Checks": null})];
    let check = |expression: &str, expected: &str| {
        assert_eq!(outcome(expression, &shapes::CHECK_SERVICE_NODE, &bare), expected, "{expression}");
    };
    check("Node.Node == \"\"", "TT");
    check("Service.Port == 0", "TT");
    check("Service.EnableTagOverride == false", "TT");
    check("Service.Proxy.TransparentProxy.OutboundListenerPort != 0", "FF");
    check("Service.Tags is empty and Service.Meta is empty and Checks is empty", "TT");
    check("x in Service.Tags or x in Service.Meta", "FF");
    check("Service.Meta.x == \"\"", "FF");
    let nobody = [json!({})];
    assert_eq!(outcome("Addr is empty", &shapes::AGENT_MEMBER, &nobody), "T");
    assert_eq!(outcome("Port == 0 and Status == 0", &shapes::AGENT_MEMBER, &nobody), "T");
}

#[test]
fn a_target_that_is_not_checked_says_so_only_to_the_first_element() {
    let filter = Filter::parse("Nope == x", &shapes::AGENT_CHECK).unwrap();
    let error = filter.matches(&json!({})).unwrap_err();
    assert_eq!(error.to_string(), "Selector \"Nope\" is not valid");
}

#[test]
fn an_expression_is_bounded() {
    let refused = |expression: &str, because: &str| {
        let error = Filter::parse(expression, &shapes::NODE).unwrap_err().to_string();
        assert_eq!(error, format!("Failed to create boolean expression evaluator: {because}"));
    };
    let nested = |depth| format!("{}Node == x{}", "(".repeat(depth), ")".repeat(depth));
    Filter::parse(&nested(NESTING), &shapes::NODE).unwrap();
    refused(&nested(NESTING + 1), "parentheses are nested deeper than 64");
    refused(&"(".repeat(EXPRESSION_BYTES), "parentheses are nested deeper than 64");

    let long = format!("Node == \"{}\"", "x".repeat(EXPRESSION_BYTES - 10));
    Filter::parse(&long, &shapes::NODE).unwrap();
    refused(&format!("{long} "), "the expression has 16385 bytes, the limit is 16384");

    let patterns = |count| vec!["Node matches x"; count].join(" and ");
    Filter::parse(&patterns(PATTERNS), &shapes::NODE).unwrap();
    refused(&patterns(PATTERNS + 1), "the expression has more than 32 regular expressions");

    let large = "Failed to compile regular expression \"\\\\pL{1000}\": error parsing regexp: expression too large: \
                 `\\pL{1000}`";
    refused("Node matches `\\pL{1000}`", large);
    let classes = Filter::parse(&format!("Node matches `{}`", "\\pL".repeat(17)), &shapes::NODE).unwrap_err();
    assert!(classes.to_string().contains("expression too large"), "{classes}");
}

#[test]
fn long_chains_need_no_stack() {
    let element = json!({"Node": "n1"});
    let holds =
        |expression: &str| Filter::parse(expression, &shapes::NODE).unwrap().matches(&element).unwrap();
    assert!(holds(&format!("{}Node==n1", "Node==x or ".repeat(1400))));
    assert!(!holds(&format!("{}Node==x", "Node==n1 and ".repeat(1200))));
    assert!(holds(&format!("{}Node == n1", "not ".repeat(4000))));
    assert!(!holds(&format!("{}Node == n1", "not ".repeat(4001))));
}

/// Pieces that the grammar knows, so that random text gets further than its first word.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "Node",
        "Node.Node",
        "Checks.Status",
        "Service.Port",
        "Service.Tags",
        "Node.Meta",
        "[",
        "]",
        "\"",
        "`",
        "(",
        ")",
        " ",
        "\n",
        "==",
        "!=",
        "is",
        "not",
        "empty",
        "in",
        "contains",
        "matches",
        "and",
        "or",
        ".",
        "-",
        "0",
        "12",
        "\\",
        "\"a\"",
        "`^a[b]*$`",
        "\"\\xff\"",
        "ä",
        "(?i)",
        "{2,3}",
        "\\pL",
        "[^",
    ]);
    let spaced = prop_oneof![Just(" "), Just(" "), Just("")];
    prop::collection::vec((word, spaced), 0..24)
        .prop_map(|words| words.into_iter().map(|(word, space)| format!("{word}{space}")).collect())
}

fn never_panics(expression: &str) {
    let elements = elements();
    for name in ["health", "agent-check", "member"] {
        outcome(expression, shape(name), &elements[name]);
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        never_panics(&text);
    }

    #[test]
    fn no_words_panic(text in words()) {
        never_panics(&text);
    }

    #[test]
    fn no_pattern_panics(pattern in r"[-\[\]\(\)\{\}\\?*+|^$.:=!<>,&~0-9a-zP\u{80}-\u{ff}]{0,24}") {
        never_panics(&format!("Node.Node matches `{pattern}`"));
    }

    /// A pattern that Go accepts is never refused for the way in which it was written again.
    #[test]
    fn what_is_rewritten_compiles(pattern in r"[-\[\]\(\)\{\}\\?*+|^$.:=!<>,&~0-1a-zP]{0,24}") {
        let error = outcome(&format!("Node matches `{pattern}`"), &shapes::NODE, &[]);
        prop_assert!(!error.contains("too large"), "{}", error);
    }

    #[test]
    fn any_value_can_be_quoted_and_read_back(value in any::<String>()) {
        // The grammar ends a string at the first quote, escaped or not.
        let value = value.replace('"', "'");
        let expression = format!("Node == {}", super::quote::quote(value.as_bytes()));
        prop_assert_eq!(outcome(&expression, &shapes::NODE, &[json!({"Node": value})]), "T");
    }
}
