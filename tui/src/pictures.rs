//! Pictures that a question names: a mark in its text, `[picture: PATH]`, so that what is queued, edited or sent again has
//! them still.
//!
//! **Invariant:** nothing of a pasted text is ever part of a mark, except that the path of a picture, pasted alone, becomes
//! one: what a page or a model wrote names no file of the person's.

const BEGINS: &str = "[picture: ";
/// What begins no mark.
const BROKEN: &str = "[picture ";
const COLON: usize = BROKEN.len() - 1;
const ENDS: char = ']';
const ENDINGS: [&str; 5] = [".png", ".jpg", ".jpeg", ".gif", ".webp"];

/// The mark of a picture; none for a path that cannot stand in one.
pub fn mark(path: &str) -> Option<String> {
    let fits = !path.is_empty() && !path.contains(|c: char| c == ENDS || c.is_control());
    fits.then(|| format!("{BEGINS}{path}{ENDS}"))
}

/// The path of a picture that a paste consists of, as terminals write a file that is dropped on them: bare, in quotes, or
/// with its spaces escaped.
pub fn dropped(pasted: &str) -> Option<String> {
    let text = pasted.trim();
    let unquoted = ['\'', '"'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
    let path = unquoted.map_or_else(|| text.replace("\\ ", " "), str::to_owned);
    let path = path.strip_prefix("file://").map(str::to_owned).unwrap_or(path);
    let small = path.to_lowercase();
    let is_path = path.starts_with('/') || path.starts_with("~/");
    (is_path && ENDINGS.iter().any(|ending| small.ends_with(ending)) && mark(&path).is_some()).then_some(path)
}

/// Puts a pasted text at a place, where it neither makes a mark nor is part of one: not with what stands around it either,
/// which may have been pasted too. Gives where it ends.
pub fn put(text: &mut String, at: usize, pasted: &str) -> usize {
    let pasted = pasted.replace(BEGINS, BROKEN);
    text.insert_str(at, &pasted);
    unmark(text, at, at + pasted.len())
}

/// Puts a picture's mark at a place, outside of other marks. Gives where it ends.
pub fn put_mark(text: &mut String, at: usize, mark: &str) -> usize {
    let at = unmark(text, at, at);
    text.insert_str(at, mark);
    at + mark.len()
}

/// Breaks what begins before `to` and ends after `from`, also where its end is not written yet. Gives where `to` is then.
fn unmark(text: &mut String, from: usize, to: usize) -> usize {
    let begins: Vec<usize> = text.match_indices(BEGINS).map(|(at, _)| at).take_while(|at| *at < to).collect();
    let reaches = |at: &usize| text[at + BEGINS.len()..].find(ENDS).is_none_or(|more| at + BEGINS.len() + more >= from);
    let broken: Vec<usize> = begins.into_iter().filter(reaches).collect();
    let mut end = to;
    for at in broken.into_iter().rev() {
        text.replace_range(at..at + BEGINS.len(), BROKEN);
        // What was cut is the colon.
        end -= usize::from(at + COLON < end);
    }
    end
}

/// The question with the names of its pictures in the place of their paths, and the paths.
pub fn taken(question: &str) -> (String, Vec<String>) {
    let mut text = String::with_capacity(question.len());
    let mut paths = Vec::new();
    let mut rest = question;
    while let Some((before, after)) = rest.split_once(BEGINS) {
        let Some((path, after)) = after.split_once(ENDS) else { break };
        let name = path.rsplit('/').next().unwrap_or(path);
        text.push_str(&format!("{before}[picture {name}]"));
        paths.push(path.to_owned());
        rest = after;
    }
    text.push_str(rest);
    (text, paths)
}

#[cfg(test)]
mod tests {
    use super::{dropped, mark, put, put_mark, taken};

    #[test]
    fn a_dropped_file_is_a_picture_by_its_path_alone() {
        for (pasted, path) in [
            ("/home/a/shot.png", Some("/home/a/shot.png")),
            (" '/home/a/my shot.PNG'\n", Some("/home/a/my shot.PNG")),
            ("/home/a/my\\ shot.jpeg", Some("/home/a/my shot.jpeg")),
            ("file:///home/a/b.webp", Some("/home/a/b.webp")),
            ("~/b.gif", Some("~/b.gif")),
            ("shot.png", None),
            ("/home/a/notes.md", None),
            ("/home/a/b.png and more", None),
            ("/home/a/[b].png", None),
            ("/home/a\n/b.png", None),
            ("", None),
        ] {
            assert_eq!(dropped(pasted).as_deref(), path, "{pasted}");
        }
    }

    #[test]
    fn marks_are_taken_out() {
        let first = mark("/a/b c.png").expect("a mark");
        let question = format!("What is {first} and [picture: ~/d.gif]?");
        let (text, paths) = taken(&question);
        assert_eq!(text, "What is [picture b c.png] and [picture d.gif]?");
        assert_eq!(paths, ["/a/b c.png", "~/d.gif"]);
        assert_eq!(taken("a [picture: without an end"), ("a [picture: without an end".to_owned(), Vec::new()));
        assert!(mark("a]b").is_none() && mark("").is_none() && mark("a\nb").is_none());
    }

    #[test]
    fn what_is_pasted_is_part_of_no_mark() {
        for (before, pasted, after, becomes) in [
            ("", "a [picture: /x.png]", "", "a [picture /x.png]|"),
            ("[picture", ": /x.png]", "", "[picture /x.png]|"),
            ("[pict", "ure: ", "/x.png]", "[picture |/x.png]"),
            ("", "[picture", ": /x.png]", "[picture| /x.png]"),
            ("[picture", ":", " /x.png]", "[picture| /x.png]"),
            ("[picture: /a/", "b", ".png]", "[picture /a/b|.png]"),
            ("[picture: and so ", "on]", "", "[picture and so on]|"),
            ("[picture: /a.png]", "b", "[picture: /c.png]", "[picture: /a.png]b|[picture: /c.png]"),
        ] {
            let mut text = format!("{before}{after}");
            let end = put(&mut text, before.len(), pasted);
            text.insert(end, '|');
            assert_eq!(text, becomes);
        }
        let mut text = "[picture: /a/.png]".to_owned();
        let end = put_mark(&mut text, 13, "[picture: /b.png]");
        text.insert(end, '|');
        assert_eq!(text, "[picture /a/[picture: /b.png]|.png]");
    }
}
