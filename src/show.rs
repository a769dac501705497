//! Reports and outcomes in words.

use std::{collections::BTreeSet, fmt::Write};

use common_ground::{
    budget::BudgetPart,
    citation::Citation,
    report::Report,
    run::{Outcome, PauseReason},
};

use commons_index::SearchedIn;

use crate::exit::{Exit, Failure};

/// The report as the person reads it. The same report gives the same bytes.
pub(crate) fn report(report: &Report) -> Result<String, Failure> {
    let mut text = String::new();
    write_report(&mut text, report).map_err(Failure::internal)?;
    Ok(text)
}

fn write_report(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(text, "{}", squeezed(&report.question))?;
    for section in &report.sections {
        if report.sections.len() > 1 || section.question != report.question {
            writeln!(text, "\n{}", squeezed(&section.question))?;
        } else {
            writeln!(text)?;
        }
        for claim in &section.claims {
            let numbers: Vec<String> = claim.sources.iter().map(|number| format!("[{number}]")).collect();
            writeln!(text, "  {} {}", squeezed(&claim.text), numbers.join(""))?;
        }
        if section.claims.is_empty() && report.answered {
            writeln!(text, "  No answer was found.")?;
        }
    }
    if !report.answered {
        writeln!(
            text,
            "No answer was found{}",
            if report.sources.is_empty() { "." } else { "; the nearest passages:" }
        )?;
    }
    let cited: BTreeSet<u32> =
        report.sections.iter().flat_map(|s| &s.claims).flat_map(|c| &c.sources).copied().collect();
    let numbered = || report.sources.iter().zip(1_u32..);
    if !cited.is_empty() {
        writeln!(text, "\nSources")?;
    }
    for (source, number) in numbered().filter(|(_, number)| cited.contains(number) || !report.answered) {
        writeln!(text, "  [{number}] {}", place(source))?;
        writeln!(text, "      {}", shortened(&squeezed(&source.quote)))?;
    }
    if report.answered && numbered().any(|(_, number)| !cited.contains(&number)) {
        writeln!(text, "\nFurther passages")?;
        for (source, number) in numbered().filter(|(_, number)| !cited.contains(number)) {
            writeln!(text, "  [{number}] {}", place(source))?;
        }
    }
    if !report.gaps.is_empty() {
        writeln!(text, "\nMissing")?;
        for gap in &report.gaps {
            writeln!(text, "  {} ({})", squeezed(&gap.question), squeezed(&gap.reason))?;
        }
    }
    let modules = if report.accepted == 1 { "module was" } else { "modules were" };
    writeln!(text, "\n{} {modules} accepted, each checked by another than its worker.", report.accepted)?;
    writeln!(text, "{}", engine(&report.engine))
}

/// Where a quote stands.
fn place(source: &Citation) -> String {
    format!("{}, bytes {}–{}", plain(&source.place()), source.span.start, source.span.end)
}

/// What made the answer, said plainly.
fn engine(id: &str) -> String {
    match id {
        "extractive" => {
            "No language model was used: the extractive engine quotes sentences of the documents.".to_owned()
        }
        other => format!("Model: {other}."),
    }
}

/// White space as single blanks, so that a quote stays on its line, and nothing that a terminal would obey.
pub(crate) fn squeezed(text: &str) -> String {
    plain(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Text without what a terminal obeys: control characters and marks that turn the direction of writing stand as U+FFFD.
/// Documents and file names are data of others.
pub(crate) fn plain(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if obeyed(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The longest excerpt shown beside a source, in characters.
const EXCERPT: usize = 96;

fn shortened(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        None => text.to_owned(),
        Some((end, _)) => {
            let cut = text[..end].rfind(' ').unwrap_or(end);
            format!("{} …", &text[..cut])
        }
    }
}

/// An outcome in words.
pub(crate) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::NotAccepted => "not_accepted",
        Outcome::Failed => "failed",
        Outcome::Refused => "refused",
        Outcome::Cancelled => "cancelled",
    }
}

/// A part of a budget in words.
pub(crate) fn part(part: BudgetPart, spent: u64, limit: u64) -> String {
    match part {
        BudgetPart::Tokens => format!("{spent} of {limit} tokens"),
        BudgetPart::Cost => format!("{} of {}", money(spent), money(limit)),
        BudgetPart::ToolCalls => format!("{spent} of {limit} tool calls"),
        BudgetPart::Wall => format!("{} of {} seconds", spent / 1000, limit / 1000),
    }
}

/// Millionths of a currency unit as a decimal number.
pub(crate) fn money(micro: u64) -> String {
    let digits = format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000);
    let shortest = digits.len() - 4;
    let end = digits.trim_end_matches('0').len().max(shortest);
    digits[..end].to_owned()
}

/// A pause in words.
pub(crate) fn pause(reason: PauseReason) -> &'static str {
    match reason {
        PauseReason::Interrupt => "interrupted",
        PauseReason::Budget => "the budget is used up",
        PauseReason::Approval => "its plan waits for you",
        PauseReason::Model => "its model cannot be used",
        PauseReason::Guardian => "a guardian ordered it",
    }
}

/// The exit code of an end.
pub(crate) fn exit_of(end: &agent_runtime::driver::End) -> Exit {
    use agent_runtime::driver::End;
    match end {
        End::Closed { outcome: Outcome::Completed, .. } => Exit::Completed,
        End::Closed { outcome: Outcome::NotAccepted | Outcome::Failed | Outcome::Cancelled, .. } => Exit::NotCompleted,
        End::Closed { outcome: Outcome::Refused, .. } => Exit::Refused,
        End::Paused { reason: PauseReason::Interrupt, .. } => Exit::Interrupted,
        End::Paused { reason: PauseReason::Budget, .. } => Exit::Budget,
        End::Paused { reason: PauseReason::Approval, .. } => Exit::NotCompleted,
        End::Paused { reason: PauseReason::Guardian, .. } => Exit::Refused,
        End::Paused { reason: PauseReason::Model, .. } => Exit::Model,
    }
}

/// Where vectors are searched, in a word.
pub(crate) fn searched_in(searched: SearchedIn) -> &'static str {
    match searched {
        SearchedIn::Home => "home",
        SearchedIn::Database => "database",
    }
}

#[cfg(test)]
mod tests {
    use super::{money, squeezed};

    #[test]
    fn money_has_two_digits_or_as_many_as_it_needs() {
        let shown = [0, 1, 2_500_000, 1_234_500, 99_999_999_999].map(money);
        assert_eq!(shown, ["0.00", "0.000001", "2.50", "1.2345", "99999.999999"]);
    }

    #[test]
    fn a_document_cannot_speak_to_the_terminal() {
        assert_eq!(squeezed("a\u{1b}[2Jb \u{202e}c\n\td"), "a\u{fffd}[2Jb \u{fffd}c d");
    }
}
