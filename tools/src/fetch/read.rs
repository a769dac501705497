//! From an answer's bytes to text, by what the answer says it is.
//!
//! **Invariant:** what is no text is not turned into any: it is named, with its length, and left as it is.

use common_ground::grant::Limits;
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use http::header;

use super::{pdf, weigh::weigh};
use crate::egress::Response;

/// Most HTML that is turned into text; what is beyond is left out, and said.
const MOST_HTML: usize = 2 << 20;
/// Columns of text; links and long words may go beyond.
const WIDTH: usize = 120;
/// How far into a page its own word for its character set is looked for.
const PRESCAN: usize = 1_024;

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Html,
    Plain,
    Pdf,
    Other,
}

/// The text of an answer.
///
/// # Errors
/// Words that say why there is none.
pub(super) async fn text(response: Response, raw: bool, limits: Limits) -> Result<String, String> {
    let declared = response.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (kind, charset) = (kind(declared, &response.body), parameter(declared, "charset").map(str::to_owned));
    let declared = declared.to_owned();
    let body = response.body;
    let within = std::time::Duration::from_millis(limits.wall_ms);
    // Parsers of others over bytes of strangers: away from the threads that serve everybody, and a panic ends them alone.
    let reading = tokio::task::spawn_blocking(move || match kind {
        Kind::Html if raw => Ok(decode(&body, charset.as_deref(), kind)),
        Kind::Html => html(&decode(&body, charset.as_deref(), kind)),
        Kind::Plain => Ok(decode(&body, charset.as_deref(), kind)),
        Kind::Pdf => pdf::text(&body),
        Kind::Other if body.is_empty() => Ok(String::new()),
        Kind::Other => Err(format!("{} is not text, and archives are not unpacked", name(&declared))),
    });
    match tokio::time::timeout(within, reading).await {
        Ok(Ok(text)) => text,
        Ok(Err(_panic)) => Err("it is so damaged that no text can be read from it".to_owned()),
        Err(_elapsed) => Err(format!("no text could be read from it in {within:?}")),
    }
}

fn name(declared: &str) -> &str {
    if declared.is_empty() { "a body of no declared type" } else { declared }
}

fn kind(declared: &str, body: &[u8]) -> Kind {
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/html" | "application/xhtml+xml" => Kind::Html,
        "application/pdf" | "application/x-pdf" => Kind::Pdf,
        "application/json"
        | "application/xml"
        | "application/javascript"
        | "application/yaml"
        | "application/x-yaml"
        | "application/toml"
        | "application/x-ndjson"
        | "application/graphql"
        | "image/svg+xml" => Kind::Plain,
        // Some servers know only this word; a body says more.
        "" | "application/octet-stream" | "binary/octet-stream" => sniff(body),
        other if other.starts_with("text/") || other.ends_with("+json") || other.ends_with("+xml") => Kind::Plain,
        _others => Kind::Other,
    }
}

fn sniff(body: &[u8]) -> Kind {
    let start = body[..body.len().min(PRESCAN)].to_ascii_lowercase();
    if start.starts_with(b"%pdf-") {
        Kind::Pdf
    } else if body.contains(&0) || std::str::from_utf8(body).is_err() {
        Kind::Other
    } else if ["<!doctype html", "<html"]
        .iter()
        .any(|tag| String::from_utf8_lossy(&start).trim_start().starts_with(tag))
    {
        Kind::Html
    } else {
        Kind::Plain
    }
}

fn parameter<'a>(declared: &'a str, name: &str) -> Option<&'a str> {
    let parameters = declared.split(';').skip(1).filter_map(|part| part.split_once('='));
    let mut of_name = parameters.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
    of_name.next().map(|(_, value)| value.trim().trim_matches('"'))
}

/// Text by its mark, its header, its own word, or what it looks like, in this order.
fn decode(body: &[u8], charset: Option<&str>, kind: Kind) -> String {
    let own_word = || {
        if kind != Kind::Html {
            return None;
        }
        let start = String::from_utf8_lossy(&body[..body.len().min(PRESCAN)]).to_ascii_lowercase();
        let (_, rest) = start.split_once("charset=")?;
        let label: String = rest
            .trim_start_matches(['"', '\''])
            .chars()
            .take_while(|one| one.is_ascii_alphanumeric() || "-_:.".contains(*one))
            .collect();
        Encoding::for_label(label.as_bytes())
    };
    let looks = || if std::str::from_utf8(body).is_ok() { UTF_8 } else { WINDOWS_1252 };
    let declared = charset.and_then(|label| Encoding::for_label(label.as_bytes()));
    let encoding = declared.or_else(own_word).unwrap_or_else(looks);
    // A byte order mark goes before all of these.
    encoding.decode(body).0.into_owned()
}

fn html(page: &str) -> Result<String, String> {
    let read = page.floor_char_boundary(MOST_HTML);
    weigh(&page[..read])?;
    let config = html2text::config::plain()
        .no_table_borders()
        .allow_width_overflow()
        .min_wrap_width(40)
        .no_link_wrapping()
        .link_footnotes(true);
    let text =
        config.string_from_read(&page.as_bytes()[..read], WIDTH).map_err(|error| format!("the page: {error}"))?;
    let more = page.len() - read;
    Ok(if more == 0 { text } else { format!("{text}\n[{more} bytes of HTML left out]\n") })
}

#[cfg(test)]
mod tests {
    use super::{Kind, decode, html, kind};

    #[test]
    fn what_a_body_is() {
        for (declared, body, wanted) in [
            ("text/html; charset=utf-8", "", Kind::Html),
            ("TEXT/Plain", "", Kind::Plain),
            ("application/ld+json", "", Kind::Plain),
            ("application/zip", "text", Kind::Other),
            ("", "<!DOCTYPE html><p>", Kind::Html),
            ("", "%PDF-1.7", Kind::Pdf),
            ("application/octet-stream", "a\0b", Kind::Other),
            ("", "plain", Kind::Plain),
            ("image/png", "", Kind::Other),
        ] {
            assert_eq!(kind(declared, body.as_bytes()), wanted, "{declared}");
        }
    }

    #[test]
    fn character_sets() {
        assert_eq!(decode(b"na\xefve", Some("ISO-8859-1"), Kind::Plain), "naïve");
        assert_eq!(decode("naïve".as_bytes(), None, Kind::Plain), "naïve");
        assert_eq!(decode(b"na\xefve", None, Kind::Plain), "naïve");
        assert_eq!(decode(b"<meta charset='koi8-r'>\xc4\xc1", None, Kind::Html), "<meta charset='koi8-r'>да");
        assert_eq!(decode(b"\xff\xfea\0b\0", Some("utf-8"), Kind::Plain), "ab");
    }

    #[test]
    fn a_page_as_text() {
        let page = "<html><head><title>T</title><script>x()</script><style>y</style></head><body><h1>One</h1>\
            <p>Some <a href='/there'>words</a>.</p><ul><li>a</li><li>b</li></ul><table><tr><td>1</td><td>2</td></tr></table>";
        let text = html(page).unwrap_or_else(|error| panic!("{error}"));
        for part in ["# One", "words", "/there", "* a", "1", "2"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("x()"), "{text}");
    }

    #[test]
    fn the_deepest_pages_that_are_read() {
        for tag in ["div", "b", "blockquote", "ul><li", "table><tr><td"] {
            let deep = format!("<{tag}>").repeat(390) + "bottom";
            // On a small stack, as a thread of the runtime has.
            let reading = std::thread::Builder::new().stack_size(2 << 20).spawn(move || html(&deep)).expect("a thread");
            let text = reading.join().expect("no panic").unwrap_or_else(|error| panic!("{tag}: {error}"));
            assert!(text.contains("bottom"), "{tag}");
        }
    }
}
