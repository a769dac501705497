//! The front matter of a SKILL.md.

use yaml_rust2::{Yaml, YamlLoader};

/// What the front matter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Front {
    /// The skill's name.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
}

/// The longest description that stands in a catalogue, in characters, as the form allows.
const LONGEST_DESCRIPTION: usize = 1024;

/// Reads the front matter: YAML between two lines `---`, with `name` and `description`.
///
/// # Errors
/// What does not have that form, in words.
pub fn front(text: &str) -> Result<Front, String> {
    let rest = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n")).ok_or("it has no front matter")?;
    let end = rest.find("\n---").ok_or("its front matter does not end")?;
    let documents = YamlLoader::load_from_str(&rest[..end]).map_err(|error| format!("front matter: {error}"))?;
    let fields = documents.first().ok_or("its front matter is empty")?;
    let field = |name: &str| match &fields[name] {
        Yaml::String(value) if !value.trim().is_empty() => Ok(value.split_whitespace().collect::<Vec<_>>().join(" ")),
        _absent_or_no_text => Err(format!("its front matter has no {name}")),
    };
    let front = Front { name: field("name")?, description: field("description")? };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if front.name.len() > 64 || !front.name.chars().all(plain) {
        return Err("its name is not 1 to 64 of a-z, 0-9 and -".to_owned());
    }
    if front.description.chars().count() > LONGEST_DESCRIPTION {
        return Err(format!("its description has more than {LONGEST_DESCRIPTION} characters"));
    }
    Ok(front)
}

#[cfg(test)]
mod tests {
    use super::front;

    #[test]
    fn front_matter_is_yaml_with_a_name_and_a_description() {
        let good =
            front("---\nname: a-1\ndescription: >\n  Does it:\n  well.\nlicense: MIT\n---\n# How\n").expect("good");
        assert_eq!((good.name.as_str(), good.description.as_str()), ("a-1", "Does it: well."));
        for (text, says) in [
            ("# How\n", "no front matter"),
            ("---\nname: a\n", "does not end"),
            ("---\nname: a\n---\n", "no description"),
            ("---\nname: [a]\ndescription: b\n---\n", "no name"),
            ("---\nname: A b\ndescription: b\n---\n", "a-z"),
            ("---\n: : :\n\t- x\n---\n", "front matter"),
        ] {
            let fault = front(text).expect_err(text);
            assert!(fault.contains(says), "{fault}");
        }
        assert!(front(&format!("---\nname: a\ndescription: {}\n---\n", "x".repeat(1025))).is_err());
    }
}
