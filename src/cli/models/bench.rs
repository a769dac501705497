//! `ii models bench`: prompt and generated tokens a second, and latency, over several calls one after the other.

use std::time::{Duration, Instant};

use common_ground::port::model::{ModelError, Reply};
use serde_json::json;

use super::probe::{measure, question};
use crate::{
    cli::{Program, print_json},
    config::Config,
    exit::{Exit, Failure},
    models::{Spec, from_model, make},
    progress::Progress,
};

/// Arguments of `ii models bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model, such as `ollama:NAME`.
    model: String,
    /// How many calls.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    calls: u32,
    /// Words of each prompt.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    words: u32,
    /// Most tokens of each answer.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    tokens: u32,
}

/// One call.
struct Sample {
    first: Duration,
    whole: Duration,
    read: u64,
    written: u64,
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program, config: &Config) -> Result<Exit, Failure> {
    if Spec::parse(&args.model)? == Spec::Extractive {
        let what = "extractive is no language model: there are no tokens to count";
        return Err(Failure::new(Exit::Usage, what, "name a model that `ii models list` shows"));
    }
    let model = make(&args.model, &program.home, config).await?;
    let progress = Progress::new(program.json);
    let began = Instant::now();
    let mut samples: Vec<Sample> = Vec::new();
    for number in 0..args.calls {
        // The number stands first, so that no server answers from what it kept of the call before.
        let task =
            format!("{number}. Go on with this: {}", "one two three four ".repeat(args.words.div_ceil(4) as usize));
        let request = question(&*model, &task, Reply::Text, args.tokens.into());
        let (measured, ended) = measure(&*model, &request).await;
        let (read, written) = match ended {
            Ok(()) => (measured.used.tokens_in - measured.used.tokens_cached, measured.used.tokens_out),
            // An answer that is cut has used all its tokens, and nobody says what it read.
            Err(ModelError::Cut { limit, .. }) => {
                (model.count_tokens(&request).await.map_err(|error| from_model(&error))?, limit)
            }
            Err(error) => {
                progress.clear();
                return Err(from_model(&error));
            }
        };
        samples.push(Sample { first: measured.first, whole: measured.whole, read, written });
        let rate = samples.len() as f64 / began.elapsed().as_secs_f64();
        let left = f64::from(args.calls - number - 1) / rate;
        progress.say(format!("call {}/{} ({rate:.2} a second, {left:.0} s left)", number + 1, args.calls));
    }
    progress.clear();
    report(&args, program, &samples);
    Ok(Exit::Completed)
}

fn report(args: &Args, program: &Program, samples: &[Sample]) {
    let prompts = rate(samples, |sample| (sample.read, sample.first));
    let generated = rate(samples, |sample| (sample.written, sample.whole.saturating_sub(sample.first)));
    let (p50, p95) = (percentile(samples, 50), percentile(samples, 95));
    if program.json {
        print_json(&json!({"model": args.model, "calls": samples.len(),
            "prompt_tokens_per_second": prompts, "generated_tokens_per_second": generated,
            "latency_ms": {"p50": p50.as_millis() as u64, "p95": p95.as_millis() as u64},
            "tokens_read": samples.iter().map(|s| s.read).sum::<u64>(),
            "tokens_written": samples.iter().map(|s| s.written).sum::<u64>()}));
        return;
    }
    let shown = |rate: Option<f64>| {
        rate.map_or_else(|| "not measurable".to_owned(), |rate| format!("{rate:.1} tokens a second"))
    };
    println!("prompt       {}", shown(prompts));
    println!("generation   {}", shown(generated));
    println!("latency      {} ms p50, {} ms p95 over {} calls", p50.as_millis(), p95.as_millis(), samples.len());
}

/// Tokens a second over all samples that have both; none when none has.
fn rate(samples: &[Sample], part: impl Fn(&Sample) -> (u64, Duration)) -> Option<f64> {
    let parts = samples.iter().map(part).filter(|(tokens, time)| *tokens > 0 && !time.is_zero());
    let (tokens, time) = parts.fold((0, Duration::ZERO), |(tokens, time), (t, d)| (tokens + t, time + d));
    (!time.is_zero()).then(|| tokens as f64 / time.as_secs_f64())
}

/// The smallest latency that so many of a hundred calls do not exceed.
fn percentile(samples: &[Sample], percent: usize) -> Duration {
    let mut sorted: Vec<Duration> = samples.iter().map(|sample| sample.whole).collect();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Sample, percentile, rate};

    #[test]
    fn percentiles_and_rates_are_what_they_say() {
        let sample = |ms| Sample {
            first: Duration::from_millis(ms / 2),
            whole: Duration::from_millis(ms),
            read: 10,
            written: 5,
        };
        let samples: Vec<Sample> = (1..=20).map(|n| sample(n * 100)).collect();
        assert_eq!(percentile(&samples, 50), Duration::from_millis(1000));
        assert_eq!(percentile(&samples, 95), Duration::from_millis(1900));
        assert_eq!(percentile(&samples[..1], 95), Duration::from_millis(100));
        let read = rate(&samples, |sample| (sample.read, sample.first)).expect("a rate");
        assert!((read - 200.0 / 10.5).abs() < 0.001, "{read}");
        assert_eq!(rate(&samples, |sample| (sample.read, Duration::ZERO)), None);
    }
}
