//! The conversation as Markdown that any reader of Markdown shows.

use common_ground::report::Report;

use crate::{text::squeezed, view::Block};

/// The conversation so far.
pub fn markdown(blocks: &[Block]) -> String {
    let mut text = String::new();
    for block in blocks {
        match block {
            Block::Asked(question) => text.push_str(&format!("\n## {}\n\n", squeezed(question))),
            Block::Line { text: line, .. } => text.push_str(&format!("- {line}\n")),
            Block::Answer(report) => text.push_str(&answer(report)),
            Block::Told(told) => {
                text.push_str("\n```\n");
                told.lines.iter().for_each(|line| text.push_str(&format!("{}\n", line.replace("```", "'''"))));
                text.push_str("```\n");
            }
        }
    }
    text.trim_start().to_owned()
}

fn answer(report: &Report) -> String {
    let mut text = String::from("\n");
    for section in &report.sections {
        if report.sections.len() > 1 {
            text.push_str(&format!("### {}\n\n", squeezed(&section.question)));
        }
        for claim in &section.claims {
            let numbers: String = claim.sources.iter().map(|number| format!("[{number}]")).collect();
            text.push_str(&format!("{} {numbers}\n\n", squeezed(&claim.text)));
        }
    }
    if !report.answered {
        text.push_str("No answer was found.\n\n");
    }
    for (source, number) in report.sources.iter().zip(1..) {
        let (start, end) = (source.span.start, source.span.end);
        text.push_str(&format!(
            "{number}. `{}`, bytes {start}–{end}: “{}”\n",
            squeezed(&source.path),
            squeezed(&source.quote)
        ));
    }
    for gap in &report.gaps {
        text.push_str(&format!("\nMissing: {} ({})\n", squeezed(&gap.question), squeezed(&gap.reason)));
    }
    text.push('\n');
    text
}
