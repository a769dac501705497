//! `table`: what columns a CSV or TSV file has, and what its rows say: some of them, counted, summed, grouped, sorted.

mod question;
mod rows;

use std::{
    io::{Read, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    match run() {
        Ok(answer) => match std::io::stdout().write_all(answer.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error.to_string()),
        },
        Err(why) => failed(&why),
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("{}", why.replace('\n', " "));
    ExitCode::FAILURE
}

fn run() -> Result<String, String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| error.to_string())?;
    let question: question::Question = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let file = std::fs::File::open(&question.path).map_err(|error| format!("{}: {error}", question.path))?;
    question.answer(std::io::BufReader::new(file))
}
