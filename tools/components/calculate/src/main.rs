//! `calculate`: one expression, exactly.

mod expression;

use std::{
    io::{Read, Write},
    process::ExitCode,
};

use serde_json::Value;

fn main() -> ExitCode {
    match run() {
        Ok(answer) => match writeln!(std::io::stdout(), "{answer}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error.to_string()),
        },
        Err(why) => failed(&why),
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}

fn run() -> Result<String, String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| error.to_string())?;
    let arguments: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let expression = arguments["expression"].as_str().ok_or("expression is missing")?;
    let places = arguments["places"].as_u64().map(|places| places.min(1_000) as u32);
    Ok(expression::value(expression)?.shown(places))
}
