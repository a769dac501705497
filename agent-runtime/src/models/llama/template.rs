//! Chat templates as files carry them: Jinja with the functions, filters and methods that the tools which write them offer.
//!
//! **Invariant:** a template reads no file and no clock, and stops: it has a bound of steps. The date it may ask for is that
//! of the loading of the model, so that a request renders alike each time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use minijinja::{
    Environment, Error, ErrorKind,
    value::{Kwargs, Value},
};
use serde::Serialize;
use serde_json::ser::Formatter;
use time::OffsetDateTime;

/// Steps of one rendering; a conversation of a hundred turns takes some ten thousand.
const MOST_STEPS: u64 = 20_000_000;
const NAME: &str = "chat";

/// A template that was read.
#[derive(Debug)]
pub(super) struct Template {
    environment: Environment<'static>,
}

impl Template {
    /// Reads a template; `now` is the date it may show.
    ///
    /// # Errors
    /// What in its syntax is wrong, in one line.
    pub(super) fn new(text: &str, now: SystemTime) -> Result<Self, String> {
        let mut environment = Environment::new();
        // As the makers of these templates set it.
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_fuel(Some(MOST_STEPS));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", move |format: &str| strftime(format, now));
        environment.add_filter("tojson", to_json);
        environment.add_template_owned(NAME, text.to_owned()).map_err(|error| line(&error))?;
        Ok(Self { environment })
    }

    /// Renders it.
    ///
    /// # Errors
    /// What failed, in one line; also what the template itself raised.
    pub(super) fn render(&self, context: impl Serialize) -> Result<String, String> {
        let template = self.environment.get_template(NAME).map_err(|error| line(&error))?;
        template.render(context).map_err(|error| line(&error))
    }
}

fn line(error: &Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Python's `json.dumps`, as the original filter is; the usual one escapes for HTML.
fn to_json(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // Sorted or not, ASCII or not: no template's meaning depends on these.
    for name in ["ensure_ascii", "sort_keys", "separators"] {
        options.get::<Option<Value>>(name)?;
    }
    options.assert_all_used()?;
    let mut bytes = Vec::new();
    let written = match indent {
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Spaced)),
        Some(width) => {
            let indent = " ".repeat(width.min(16));
            let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))
        }
    };
    written.map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    Ok(Value::from_safe_string(text))
}

/// A space after each comma and colon.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

/// The parts of `strftime` that templates use; UTC.
fn strftime(format: &str, now: SystemTime) -> Result<String, Error> {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    let now = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let (month, day) = (now.month().to_string(), now.weekday().to_string());
        text += &match letters.next() {
            Some('Y') => now.year().to_string(),
            Some('y') => format!("{:02}", now.year() % 100),
            Some('m') => format!("{:02}", u8::from(now.month())),
            Some('d') => format!("{:02}", now.day()),
            Some('B') => month,
            Some('b') => month[..3].to_owned(),
            Some('A') => day,
            Some('a') => day[..3].to_owned(),
            Some('H') => format!("{:02}", now.hour()),
            Some('M') => format!("{:02}", now.minute()),
            Some('S') => format!("{:02}", now.second()),
            Some('j') => format!("{:03}", now.ordinal()),
            Some('%') => "%".to_owned(),
            other => {
                let letter = other.map_or_else(String::new, String::from);
                return Err(Error::new(ErrorKind::InvalidOperation, format!("strftime_now has no %{letter}")));
            }
        };
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::Template;

    fn render(text: &str) -> Result<String, String> {
        // 2024-02-09 05:06:07 UTC, a Friday.
        let now = UNIX_EPOCH + Duration::from_secs(1_707_455_167);
        let messages =
            serde_json::json!({"messages": [{"role": "user", "content": " <a> "}], "tools": [{"a": [1, 2]}]});
        Template::new(text, now)?.render(messages)
    }

    #[test]
    fn templates_have_what_their_makers_offer_them() {
        for (text, rendered) in [
            ("{{ messages[0]['content'].strip() }}", "<a>"),
            ("{{ messages[0].content.split('<')[1] }}{{ 'ab'.startswith('a') }}", "a> True"),
            ("{{ tools | tojson }}", r#"[{"a": [1, 2]}]"#),
            ("{{ messages[0].content | tojson }}", "\" <a> \""),
            ("{{ tools[0] | tojson(indent=2) }}", "{\n  \"a\": [\n    1,\n    2\n  ]\n}"),
            ("{{ strftime_now('%d %b %Y, %A %H:%M:%S %j %%') }}", "09 Feb 2024, Friday 05:06:07 040 %"),
            (
                "{% if true %}\n  {% set ns = namespace(n=0) %}\n{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}{% endif %}",
                "1",
            ),
            ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
            ("{% macro m(x) %}[{{ x }}]{% endmacro %}{{ m('y') }}{{ nothing }}", "[y]"),
        ] {
            assert_eq!(render(text).as_deref(), Ok(rendered), "{text}");
        }
    }

    #[test]
    fn a_template_that_fails_says_why_and_one_without_end_stops() {
        for (text, why) in [
            ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
            ("{% if %}", "syntax error"),
            ("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", "fuel"),
            ("{{ strftime_now('%Q') }}", "strftime_now has no %Q"),
        ] {
            let error = render(text).expect_err("fails");
            assert!(error.contains(why) && !error.contains('\n'), "{error}");
        }
    }
}
