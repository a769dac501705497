//! What a page's tags would cost to read, before they are: by its rules a parser of HTML copies every formatting element that
//! is still open into each new block, and so makes a gigabyte of a few hundred kilobytes.
//!
//! **Invariant:** a page of [`MOST_NODES`] nodes or more, by a count that is never below the parser's by more than its implied
//! tags, is not parsed; nor is one deeper than [`DEEPEST`].

/// Deepest nesting; browsers stop at 512.
const DEEPEST: usize = 400;
/// Most nodes.
const MOST_NODES: usize = 400_000;
/// Elements that are open again in the next block.
const FORMATTING: [&str; 14] =
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];
/// Elements that have no end, or that often leave it out and are ended by their neighbours.
const UNENDED: [&str; 34] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr", "p",
    "li", "td", "th", "tr", "tbody", "thead", "tfoot", "colgroup", "dt", "dd", "option", "optgroup", "rt", "rp",
    "html", "head", "body", "path", "image",
];

/// Whether a page may be parsed.
///
/// # Errors
/// Words that say what is too much of it.
pub(super) fn weigh(page: &str) -> Result<(), String> {
    let (mut deep, mut formatting, mut nodes) = (0_usize, 0_usize, 0_usize);
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let is_end = rest.starts_with('/');
        let inner = rest.strip_prefix('/').unwrap_or(rest);
        let length = inner.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let name = inner[..length].to_ascii_lowercase();
        if name.is_empty() {
            continue;
        }
        let is_formatting = FORMATTING.contains(&name.as_str());
        let nests = !UNENDED.contains(&name.as_str());
        if is_end {
            formatting = formatting.saturating_sub(usize::from(is_formatting));
            deep = deep.saturating_sub(usize::from(nests));
        } else {
            nodes += 2 + formatting;
            formatting += usize::from(is_formatting);
            deep += usize::from(nests);
            if name == "script" || name == "style" {
                // What stands in there is no tag.
                rest = rest.find("</").map_or("", |end| &rest[end..]);
            }
        }
        if deep > DEEPEST {
            return Err(format!("the page is nested more than {DEEPEST} deep; `raw` gives its HTML"));
        }
        if nodes > MOST_NODES {
            return Err(format!("the page has more than {MOST_NODES} nodes; `raw` gives its HTML"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::weigh;

    #[test]
    fn what_is_too_much() {
        for tag in ["<div>", "<b>", "<blockquote>", "<ul><li>", "<table><tr><td>", "<svg><g>"] {
            assert!(weigh(&tag.repeat(20_000)).is_err(), "{tag}");
            assert!(weigh(&tag.repeat(100)).is_ok(), "{tag}");
        }
        let fonts: String = (0..300).map(|n| format!("<font a={n}>")).collect();
        assert!(weigh(&(fonts + &"<p>".repeat(100_000))).is_err());
    }

    #[test]
    fn usual_pages_are_read() {
        let item = "<li><p>one <b>two</b> <a href=x>three</a><br><img src=y>";
        let page = format!("<html><body><script>if (a<b) {{ '<div><div>' }}</script><ul>{}</ul>", item.repeat(10_000));
        assert_eq!(weigh(&page), Ok(()));
    }
}
