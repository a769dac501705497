//! JSON Schema to grammar: what a model writes under it fits the schema, and ends.
//!
//! Held are types, properties and what is required of them, items and their number, lengths, ranges of whole numbers,
//! `enum`, `const`, `anyOf`, `oneOf`, `allOf` of objects, references within the schema, and patterns that are a plain run of
//! character classes. An object has the members its schema names and no others; one that names none is free. What a
//! schema leaves unbounded is bounded here. Any other keyword is left to whoever reads the answer.
//!
//! **Invariant:** a schema that refers to itself ends at a depth, and one that is too large is refused.

use std::collections::BTreeMap;

use common_ground::port::tool::ToolSpec;
use serde_json::{Map, Value};

use super::{
    grammar::{Grammar, MOST_MEMBERS, Member, Rule},
    pattern,
};

/// Most characters of a string that has no bound of its own.
const MOST_CHARACTERS: u32 = 8192;
/// Most items of an array that has no bound of its own.
const MOST_ITEMS: u32 = 64;
/// How deep values may lie in each other where the schema sets no bound.
const MOST_DEPTH: u32 = 12;
/// The same for values of which it says nothing.
const MOST_FREE_DEPTH: u32 = 3;
/// Most rules of one grammar; the acts of the roles need some hundreds.
const MOST_RULES: usize = 50_000;
/// Largest whole number without a bound of its own; each JSON reader holds it exactly.
const MOST_INTEGER: i64 = 999_999_999_999_999;
/// Most calls in one answer.
const MOST_CALLS: u32 = 16;

/// How calls are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallForm {
    /// `[{"name":…,"arguments":…},…]`.
    Array,
    /// `<tool_call>` and `</tool_call>` around each, as the templates of many models ask for.
    Tagged,
}

pub(super) const OPEN_TAG: &str = "<tool_call>\n";
pub(super) const CLOSE_TAG: &str = "\n</tool_call>";

/// Why a schema makes no grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SchemaError {
    #[error("the schema of {name} is no JSON: {reason}")]
    NotJson { name: String, reason: String },
    #[error("the schema of {name} refers to {reference}, which is not in it")]
    NoTarget { name: String, reference: String },
    #[error("the schema of {name} is too large to decode under; make it smaller")]
    TooLarge { name: String },
    #[error("no value fits the schema of {name}")]
    Nothing { name: String },
}

/// One call or more of these tools.
///
/// # Errors
/// [`SchemaError`] naming the tool.
pub(super) fn calls(tools: &[ToolSpec], form: CallForm) -> Result<Grammar, SchemaError> {
    let mut reader = Reader::new();
    let mut calls = Vec::new();
    for tool in tools {
        let arguments = reader.read(&tool.name, &tool.arguments)?;
        let name = reader.grammar.literal(Value::from(tool.name.as_str()).to_string().as_bytes());
        let parts = [b"{\"name\"".as_slice(), b"\"arguments\"", b"}"].map(|bytes| reader.grammar.literal(bytes));
        let (colon, comma) = (reader.colon, reader.comma);
        calls.push(reader.grammar.sequence(&[parts[0], colon, name, comma, parts[1], colon, arguments, parts[2]]));
    }
    let call = reader.grammar.choice(&calls);
    let (open, close, root) = match form {
        CallForm::Array => {
            let list = reader.grammar.list(call, reader.comma, 1, MOST_CALLS);
            ("[", "]", list)
        }
        CallForm::Tagged => {
            let tags = [OPEN_TAG, CLOSE_TAG, "\n"].map(|text| reader.grammar.literal(text.as_bytes()));
            let tagged = reader.grammar.sequence(&[tags[0], call, tags[1]]);
            ("", "", reader.grammar.list(tagged, tags[2], 1, MOST_CALLS))
        }
    };
    let (open, close) = (reader.grammar.literal(open.as_bytes()), reader.grammar.literal(close.as_bytes()));
    let root = reader.grammar.sequence(&[open, root, close]);
    reader.finish("the tools", root)
}

/// One value of a schema, given as JSON text.
///
/// # Errors
/// [`SchemaError`] with this name.
pub(super) fn value(name: &str, schema: &str) -> Result<Grammar, SchemaError> {
    let mut reader = Reader::new();
    let root = reader.read(name, schema)?;
    reader.finish(name, root)
}

struct Reader {
    grammar: Grammar,
    comma: Rule,
    colon: Rule,
    /// Rules of references, by target and depth: the same rule serves each place that refers to it.
    known: BTreeMap<(String, u32), Rule>,
    free: BTreeMap<u32, Rule>,
}

/// A schema being read, with the whole it may refer into.
#[derive(Clone, Copy)]
struct Scope<'a> {
    name: &'a str,
    whole: &'a Value,
    depth: u32,
}

impl Scope<'_> {
    fn deeper(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

impl Reader {
    fn new() -> Self {
        let mut grammar = Grammar::default();
        // Models were trained on both spellings.
        let [comma, colon] = [",", ":"].map(|mark| {
            let spellings = [mark.to_owned(), format!("{mark} ")].map(|text| grammar.literal(text.as_bytes()));
            grammar.choice(&spellings)
        });
        Self { grammar, comma, colon, known: BTreeMap::new(), free: BTreeMap::new() }
    }

    fn finish(mut self, name: &str, root: Rule) -> Result<Grammar, SchemaError> {
        self.grammar.set_root(root);
        if self.grammar.fewest_left(&self.grammar.start()) == u32::MAX {
            return Err(SchemaError::Nothing { name: name.to_owned() });
        }
        Ok(self.grammar)
    }

    fn read(&mut self, name: &str, schema: &str) -> Result<Rule, SchemaError> {
        let whole: Value = serde_json::from_str(schema)
            .map_err(|error| SchemaError::NotJson { name: name.to_owned(), reason: error.to_string() })?;
        // References are local to one schema.
        self.known.clear();
        self.schema(&whole, Scope { name, whole: &whole, depth: 0 })
    }

    fn schema(&mut self, schema: &Value, scope: Scope<'_>) -> Result<Rule, SchemaError> {
        if self.grammar.len() > MOST_RULES {
            return Err(SchemaError::TooLarge { name: scope.name.to_owned() });
        }
        let Value::Object(keys) = schema else {
            return Ok(if schema == &Value::Bool(false) {
                self.grammar.choice(&[])
            } else {
                self.free(MOST_FREE_DEPTH)
            });
        };
        if scope.depth > MOST_DEPTH {
            return Ok(self.grammar.choice(&[]));
        }
        if let Some(reference) = keys.get("$ref").and_then(Value::as_str) {
            return self.reference(reference, scope);
        }
        if let Some(value) = keys.get("const") {
            return Ok(self.grammar.literal(value.to_string().as_bytes()));
        }
        if let Some(Value::Array(values)) = keys.get("enum") {
            let rules: Vec<Rule> =
                values.iter().map(|value| self.grammar.literal(value.to_string().as_bytes())).collect();
            return Ok(self.grammar.choice(&rules));
        }
        for word in ["anyOf", "oneOf"] {
            let Some(Value::Array(choices)) = keys.get(word) else { continue };
            let mut rules = Vec::new();
            for choice in choices {
                rules.push(self.schema(&joined(keys, word, choice, scope.whole), scope.deeper())?);
            }
            return Ok(self.grammar.choice(&rules));
        }
        if let Some(Value::Array(parts)) = keys.get("allOf") {
            let mut all = Value::Object(keys.clone());
            for part in parts {
                let Value::Object(keys) = &all else { break };
                all = joined(keys, "allOf", part, scope.whole);
            }
            return self.schema(&all, scope.deeper());
        }
        match keys.get("type") {
            Some(Value::String(kind)) => self.typed(kind, keys, scope),
            Some(Value::Array(kinds)) => {
                let mut rules = Vec::new();
                for kind in kinds.iter().filter_map(Value::as_str) {
                    rules.push(self.typed(kind, keys, scope)?);
                }
                Ok(self.grammar.choice(&rules))
            }
            _untyped if keys.contains_key("properties") => self.typed("object", keys, scope),
            _untyped if keys.contains_key("items") => self.typed("array", keys, scope),
            _untyped => Ok(self.free(MOST_FREE_DEPTH)),
        }
    }

    fn reference(&mut self, reference: &str, scope: Scope<'_>) -> Result<Rule, SchemaError> {
        let key = (reference.to_owned(), scope.depth);
        if let Some(rule) = self.known.get(&key) {
            return Ok(*rule);
        }
        let target = target(reference, scope.whole)
            .ok_or_else(|| SchemaError::NoTarget { name: scope.name.to_owned(), reference: reference.to_owned() })?;
        let rule = self.schema(target, scope.deeper())?;
        self.known.insert(key, rule);
        Ok(rule)
    }

    fn typed(&mut self, kind: &str, keys: &Map<String, Value>, scope: Scope<'_>) -> Result<Rule, SchemaError> {
        let bound =
            |word: &str| keys.get(word).and_then(Value::as_u64).map(|bound| u32::try_from(bound).unwrap_or(u32::MAX));
        Ok(match kind {
            "object" => self.object(keys, scope)?,
            "array" => {
                let least = bound("minItems").unwrap_or(0);
                let most = bound("maxItems").unwrap_or(MOST_ITEMS.max(least));
                let item = self.schema(keys.get("items").unwrap_or(&Value::Bool(true)), scope.deeper())?;
                self.between("[", "]", |reader| reader.grammar.list(item, reader.comma, least, most))
            }
            "string" => {
                let fitting = keys.get("pattern").and_then(Value::as_str).and_then(pattern::runs);
                match fitting {
                    Some(runs) => self.between("\"", "\"", |reader| {
                        let runs: Vec<Rule> =
                            runs.iter().map(|run| reader.grammar.class(run.set, run.least, run.most)).collect();
                        reader.grammar.sequence(&runs)
                    }),
                    None => {
                        let least = bound("minLength").unwrap_or(0);
                        self.grammar.text(least, bound("maxLength").unwrap_or(MOST_CHARACTERS.max(least)))
                    }
                }
            }
            "integer" => {
                let (least, most) = range(keys);
                self.grammar.integer(least, most)
            }
            "number" => self.number(range(keys)),
            "boolean" => self.words(&["true", "false"]),
            "null" => self.words(&["null"]),
            _no_type => self.grammar.choice(&[]),
        })
    }

    fn words(&mut self, words: &[&str]) -> Rule {
        let rules: Vec<Rule> = words.iter().map(|word| self.grammar.literal(word.as_bytes())).collect();
        self.grammar.choice(&rules)
    }

    fn between(&mut self, open: &str, close: &str, middle: impl FnOnce(&mut Self) -> Rule) -> Rule {
        let (open, close) = (self.grammar.literal(open.as_bytes()), self.grammar.literal(close.as_bytes()));
        let middle = middle(self);
        self.grammar.sequence(&[open, middle, close])
    }

    fn number(&mut self, (least, most): (i64, i64)) -> Rule {
        let whole = self.grammar.integer(least, most);
        // A fraction lies between its whole part and the next one away from zero, so both must be in the range.
        let part =
            self.grammar.integer(least.saturating_add(i64::from(least < 0)), most.saturating_sub(i64::from(most > 0)));
        let point = self.grammar.literal(b".");
        let mut digits = super::grammar::ByteSet::default();
        (b'0'..=b'9').for_each(|digit| digits.insert(digit));
        let digits = self.grammar.class(digits, 1, 6);
        let fraction = self.grammar.sequence(&[part, point, digits]);
        if least < most { self.grammar.choice(&[whole, fraction]) } else { whole }
    }

    fn object(&mut self, keys: &Map<String, Value>, scope: Scope<'_>) -> Result<Rule, SchemaError> {
        let none = Map::new();
        let named = keys.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let required: Vec<&str> =
            keys.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        if named.is_empty() && required.is_empty() {
            return Ok(match keys.get("additionalProperties") {
                Some(Value::Bool(false)) => self.grammar.literal(b"{}"),
                Some(values @ Value::Object(_)) => {
                    let value = self.schema(values, scope.deeper())?;
                    self.map(value)
                }
                Some(_) | None => {
                    let value = self.free(MOST_FREE_DEPTH - 1);
                    self.map(value)
                }
            });
        }
        let unnamed =
            required.iter().filter(|name| !named.contains_key(**name)).map(|name| (*name, &Value::Bool(true)));
        let mut all: Vec<(&str, &Value)> =
            named.iter().map(|(name, schema)| (name.as_str(), schema)).chain(unnamed).collect();
        // Those that must be there have the first claim on the places there are.
        all.sort_by_key(|(name, _)| !required.contains(name));
        if required.len() > MOST_MEMBERS {
            return Err(SchemaError::TooLarge { name: scope.name.to_owned() });
        }
        let mut members = Vec::new();
        for (name, schema) in all {
            let value = self.schema(schema, scope.deeper())?;
            let key = self.grammar.literal(Value::from(name).to_string().as_bytes());
            let first = self.grammar.sequence(&[key, self.colon, value]);
            let next = self.grammar.sequence(&[self.comma, first]);
            members.push(Member { first, next, required: required.contains(&name) });
        }
        Ok(self.between("{", "}", |reader| reader.grammar.members(&members)))
    }

    /// An object with any keys.
    fn map(&mut self, value: Rule) -> Rule {
        self.between("{", "}", |reader| {
            let key = reader.grammar.text(0, 64);
            let member = reader.grammar.sequence(&[key, reader.colon, value]);
            reader.grammar.list(member, reader.comma, 0, MOST_ITEMS)
        })
    }

    /// Any value with this much depth below it.
    fn free(&mut self, depth: u32) -> Rule {
        if let Some(rule) = self.free.get(&depth) {
            return *rule;
        }
        let mut rules = vec![
            self.words(&["true", "false", "null"]),
            self.grammar.text(0, MOST_CHARACTERS),
            self.number((-MOST_INTEGER, MOST_INTEGER)),
        ];
        if depth > 0 {
            let inner = self.free(depth - 1);
            rules.push(self.between("[", "]", |reader| reader.grammar.list(inner, reader.comma, 0, MOST_ITEMS)));
            rules.push(self.map(inner));
        }
        let rule = self.grammar.choice(&rules);
        self.free.insert(depth, rule);
        rule
    }
}

fn target<'a>(reference: &str, whole: &'a Value) -> Option<&'a Value> {
    whole.pointer(reference.strip_prefix('#')?)
}

/// A schema's keys but one, with those of a part of it added: members and what is required of them together, for all
/// else the part's own.
fn joined(keys: &Map<String, Value>, without: &str, part: &Value, whole: &Value) -> Value {
    let mut part = part;
    // A part is often only a reference; one step is enough, for `schema` follows any further one.
    if let Some(found) = part.get("$ref").and_then(Value::as_str).and_then(|reference| target(reference, whole)) {
        part = found;
    }
    let Value::Object(more) = part else { return part.clone() };
    let mut all = keys.clone();
    all.remove(without);
    for (key, value) in more {
        match (all.get_mut(key), value) {
            (Some(Value::Object(have)), Value::Object(value)) if key == "properties" => have.extend(value.clone()),
            (Some(Value::Array(have)), Value::Array(value)) if key == "required" => have.extend(value.iter().cloned()),
            _first_or_other => {
                all.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(all)
}

/// The whole numbers a schema allows.
fn range(keys: &Map<String, Value>) -> (i64, i64) {
    let bound = |word: &str| keys.get(word).and_then(Value::as_f64);
    #[allow(clippy::cast_possible_truncation)] // `as` saturates, and the result is held to what JSON readers hold
    let whole = |number: f64| (number as i64).clamp(-MOST_INTEGER, MOST_INTEGER);
    let least = bound("minimum").map(|least| whole(least.ceil()));
    let above = bound("exclusiveMinimum").map(|least| whole(least.floor() + 1.0));
    let most = bound("maximum").map(|most| whole(most.floor()));
    let below = bound("exclusiveMaximum").map(|most| whole(most.ceil() - 1.0));
    let low = least.into_iter().chain(above).max().unwrap_or(-MOST_INTEGER);
    (low, most.into_iter().chain(below).min().unwrap_or(MOST_INTEGER))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{CallForm, calls, value};
    use crate::models::llama::grammar::{Grammar, State};

    /// Whether a text is whole under a grammar; the fewest bytes left never fall by more than one for a byte, and end at 0.
    fn fits(grammar: &Grammar, text: &str) -> bool {
        let (mut state, mut next) = (grammar.start(), State::default());
        let mut left = grammar.fewest_left(&state);
        for byte in text.bytes() {
            if !grammar.step(&state, byte, &mut next) {
                return false;
            }
            std::mem::swap(&mut state, &mut next);
            let now = grammar.fewest_left(&state);
            assert!(now.saturating_add(1) >= left, "{text}: {left} bytes and then {now}");
            left = now;
        }
        state.is_complete()
    }

    /// The shortest way to the end from where a text leads, by the promise of `fewest_left` alone.
    fn shortest(grammar: &Grammar, start: &str) -> String {
        let (mut state, mut next) = (grammar.start(), State::default());
        for byte in start.bytes() {
            assert!(grammar.step(&state, byte, &mut next), "{start} does not fit");
            std::mem::swap(&mut state, &mut next);
        }
        let mut text = start.as_bytes().to_vec();
        while !state.is_complete() {
            let left = grammar.fewest_left(&state);
            let byte =
                (0..=255).find(|byte| grammar.step(&state, *byte, &mut next) && grammar.fewest_left(&next) + 1 == left);
            text.push(
                byte.unwrap_or_else(|| {
                    panic!("{left} bytes were to be enough after {}", String::from_utf8_lossy(&text))
                }),
            );
            grammar.step(&state, *text.last().expect("pushed"), &mut next);
            std::mem::swap(&mut state, &mut next);
        }
        String::from_utf8(text).expect("UTF-8")
    }

    #[test]
    fn values_fit_their_schema_and_others_do_not() {
        for (schema, good, bad) in [
            (
                r#"{"type":"string","minLength":1,"maxLength":3}"#,
                &[r#""ä\n\"""#, r#""\ud7FF""#, r#""😀""#][..],
                &[r#""""#, r#""abcd""#, "\"\n\"", r#""\ud800""#, r#""\x""#][..],
            ),
            (
                r#"{"type":"string","pattern":"^[0-9a-f]{4}$"}"#,
                &[r#""00af""#],
                &[r#""00a""#, r#""00AF""#, r#""00aff""#],
            ),
            (
                r#"{"type":"integer","minimum":1,"maximum":50}"#,
                &["1", "9", "10", "50"],
                &["0", "51", "05", "-1", "1.0", "100"],
            ),
            (r#"{"type":"integer","minimum":-12,"maximum":-3}"#, &["-3", "-12", "-9"], &["-2", "-13", "3", "0", "-0"]),
            (r#"{"type":"integer"}"#, &["0", "-7", "999999999999999"], &["-0", "1000000000000000", "007"]),
            (r#"{"type":"number","minimum":0,"maximum":1}"#, &["0", "1", "0.25"], &["1.5", "-0.5", "2", "1."]),
            (r#"{"enum":["a",1,null]}"#, &["\"a\"", "1", "null"], &["\"b\"", "2"]),
            (r#"{"type":["boolean","null"]}"#, &["true", "false", "null"], &["0"]),
            (
                r#"{"type":"array","items":{"type":"boolean"},"minItems":1,"maxItems":2}"#,
                &["[true]", "[true, false]"],
                &["[]", "[true,true,true]", "[1]"],
            ),
            (
                r#"{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]}"#,
                &["\"a\"", "[\"a\"]"],
                &["1"],
            ),
            (r#"{"type":"object"}"#, &["{}", r#"{"a":{"b":[1,"x"]}}"#], &["[]"]),
            (
                r##"{"$defs":{"t":{"type":"object","properties":{"t":{"$ref":"#/$defs/t"}}}},"$ref":"#/$defs/t"}"##,
                &["{}", r#"{"t":{"t":{}}}"#],
                &[r#"{"u":{}}"#],
            ),
            (
                r#"{"allOf":[{"properties":{"a":{"const":1}},"required":["a"]},{"properties":{"b":{"const":2}}}],"type":"object"}"#,
                &[r#"{"a":1}"#, r#"{"b":2,"a":1}"#],
                &["{}", r#"{"b":2}"#],
            ),
        ] {
            let grammar = value("v", schema).expect("a grammar");
            let validator = jsonschema::validator_for(&serde_json::from_str(schema).expect("JSON")).expect("a schema");
            for text in good {
                assert!(fits(&grammar, text), "{text} fits {schema}");
                let parsed: Value = serde_json::from_str(text).expect("JSON");
                assert!(validator.is_valid(&parsed), "{text} is valid by {schema}");
                for (at, _) in text.char_indices() {
                    serde_json::from_str::<Value>(&shortest(&grammar, &text[..at])).expect("ends as JSON");
                }
            }
            for text in bad {
                assert!(!fits(&grammar, text), "{text} does not fit {schema}");
            }
        }
    }

    #[test]
    fn members_come_in_any_order_once_and_the_required_ones_always() {
        let schema = r#"{"type":"object","properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}},"required":["a","c"],"additionalProperties":false}"#;
        let grammar = value("v", schema).expect("a grammar");
        for text in [r#"{"a":1,"c":3}"#, r#"{"c": 3, "a": 1}"#, r#"{"b":2,"c":3,"a":1}"#] {
            assert!(fits(&grammar, text), "{text}");
        }
        for text in ["{}", r#"{"a":1}"#, r#"{"a":1,"a":1,"c":3}"#, r#"{"a":1,"c":3,}"#, r#"{"a":1,"c":3,"d":4}"#] {
            assert!(!fits(&grammar, text), "{text}");
        }
    }

    #[test]
    fn calls_name_a_tool_and_fit_its_arguments() {
        let tools = [crate::roles::acts::plan(), crate::roles::acts::submit()];
        let plan = r#"{"name": "plan", "arguments": {"reason":{"reason":"single"},"modules":[{"name":"a","kind":"answer","question":"q","inputs":[]}]}}"#;
        let array = calls(&tools, CallForm::Array).expect("a grammar");
        assert!(fits(&array, &format!("[{plan}]")) && fits(&array, &format!("[{plan}, {plan}]")));
        assert!(
            !fits(&array, "[]") && !fits(&array, plan) && !fits(&array, &format!("[{}]", plan.replace("single", "x")))
        );
        let tagged = calls(&tools, CallForm::Tagged).expect("a grammar");
        assert!(fits(&tagged, &format!("<tool_call>\n{plan}\n</tool_call>\n<tool_call>\n{plan}\n</tool_call>")));
        assert!(!fits(&tagged, plan));
        for tool in &tools {
            let written = shortest(&array, &format!("[{{\"name\":\"{}\"", tool.name));
            let call: Vec<Value> = serde_json::from_str(&written).expect("JSON");
            let schema = serde_json::from_str(&tool.arguments).expect("a schema");
            assert!(jsonschema::validator_for(&schema).expect("a schema").is_valid(&call[0]["arguments"]), "{written}");
        }
    }

    /// Two readings of the same bytes are kept once, or each of these items would double them.
    #[test]
    fn an_ambiguous_schema_stays_small() {
        let schema = r#"{"type":"array","items":{"anyOf":[{"type":"string"},{"type":"string"},{"type":"string"}]}}"#;
        let grammar = value("v", schema).expect("a grammar");
        assert!(fits(&grammar, &format!("[{}\"\"]", "\"abc\",".repeat(60))));
    }

    #[test]
    fn what_makes_no_grammar_is_refused_by_name() {
        for (schema, why) in [
            ("{", "is no JSON"),
            (r##"{"$ref":"#/$defs/x"}"##, "refers to #/$defs/x"),
            ("false", "no value fits"),
            (r#"{"type":"array","items":false,"minItems":1}"#, "no value fits"),
            (r##"{"properties":{"a":{"$ref":"#"}},"required":["a"]}"##, "no value fits"),
        ] {
            let error = value("v", schema).expect_err("refused").to_string();
            assert!(error.contains(why) && error.contains('v'), "{schema}: {error}");
        }
    }
}
