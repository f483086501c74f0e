//! Limits on waiting: the flags, the format of times, and their meaning.

use std::time::Duration;

use wharf::copy::RetryPolicy;
use wharf::remote::Timeouts;

/// Flags about waiting, of every command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Timeouts, in seconds or as 500ms, 30s, 2m, 1h")]
pub(super) struct Timing {
    /// To connect
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "TIME",
        default_value = "10s"
    )]
    #[arg(value_parser = some_time)]
    timeout_connect: Duration,
    /// For the response, after the request was sent
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "TIME",
        default_value = "30s"
    )]
    #[arg(value_parser = some_time)]
    timeout_answer: Duration,
    /// For the response to the last request of an upload
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "TIME",
        default_value = "5m"
    )]
    #[arg(value_parser = some_time)]
    timeout_commit: Duration,
    /// Without a byte moved either way
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "TIME",
        default_value = "1m"
    )]
    #[arg(value_parser = some_time)]
    timeout_idle: Duration,
    /// Longest wait before the second try; it doubles with each further try
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "TIME",
        default_value = "1s"
    )]
    #[arg(value_parser = time)]
    retry_wait: Duration,
    /// Longest wait that a registry may request
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "TIME",
        default_value = "2m"
    )]
    #[arg(value_parser = time)]
    max_retry_after: Duration,
    /// Keep trying for this long while all requests have trouble and some succeed, or there are too
    /// many [default: 1m, or 0 with fewer --retries]
    #[arg(long, global = true, hide_short_help = true, value_name = "TIME")]
    #[arg(value_parser = time)]
    patience: Option<Duration>,
}

impl Timing {
    /// The timeouts.
    pub(super) fn timeouts(&self) -> Timeouts {
        Timeouts {
            connect: self.timeout_connect,
            header: self.timeout_answer,
            commit: self.timeout_commit,
            idle: self.timeout_idle,
        }
    }

    /// The retries, with `tries` tries in all.
    pub(super) fn retry(&self, tries: u32) -> RetryPolicy {
        let usual = RetryPolicy::default();
        RetryPolicy {
            tries,
            base: self.retry_wait,
            cap: usual.cap.max(self.retry_wait),
            patience: self.max_retry_after,
            endurance: self.patience,
        }
    }

    /// How long a registry may ask to wait.
    pub(super) fn patience(&self) -> Duration {
        self.max_retry_after
    }
}

/// The longest allowed wait.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

fn some_time(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err("must be more than 0".to_owned()),
        time => Ok(time),
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => Some(1),
        "" | "s" => Some(1000),
        "m" => Some(60 * 1000),
        "h" => Some(60 * 60 * 1000),
        _ => None,
    };
    let (Ok(number), Some(unit)) = (number.parse::<u64>(), milliseconds) else {
        return Err("not a time; write 30s, 2m, 1h, 500ms or a number of seconds".to_owned());
    };
    let time = number.checked_mul(unit).map(Duration::from_millis);
    time.filter(|time| *time <= LONGEST)
        .ok_or_else(|| "longer than 24h".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use wharf::remote::Limits;

    use super::*;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        timing: Timing,
    }

    fn typed(arguments: &[&str]) -> Timing {
        Typed::parse_from([&["wharf"], arguments].concat()).timing
    }

    #[test]
    fn r5_what_is_not_typed_is_what_the_library_does() {
        let timing = typed(&[]);
        assert_eq!(timing.timeouts(), Timeouts::default());
        assert_eq!(timing.patience(), Limits::default().patience);
        let usual = RetryPolicy::default();
        assert_eq!(timing.retry(usual.tries), usual);
    }

    #[test]
    fn r5_every_flag_has_its_meaning() {
        let timing = typed(&[
            "--timeout-connect=1",
            "--timeout-answer=2s",
            "--timeout-commit=3m",
            "--timeout-idle=4h",
            "--retry-wait=30s",
            "--max-retry-after=600ms",
            "--patience=5m",
        ]);
        let timeouts = timing.timeouts();
        let times = [
            timeouts.connect,
            timeouts.header,
            timeouts.commit,
            timeouts.idle,
        ];
        assert_eq!(times.map(|time| time.as_secs()), [1, 2, 180, 14400]);
        let retry = timing.retry(7);
        assert_eq!((retry.tries, retry.base.as_secs()), (7, 30));
        assert_eq!(retry.cap, retry.base, "no wait is shorter than the first");
        assert_eq!(retry.patience, Duration::from_millis(600));
        assert_eq!(retry.endurance, Some(Duration::from_secs(300)));
        assert_eq!(timing.patience(), retry.patience);
    }

    #[test]
    fn times_that_make_no_sense_are_refused_with_the_reason() {
        for text in ["", "s", "-1", "+1", "1.5", "1 s", "1d", "1S", "٣s"] {
            assert!(time(text).unwrap_err().starts_with("not a time"), "{text}");
        }
        for text in ["25h", "86401", "18446744073709551615h"] {
            assert_eq!(time(text).unwrap_err(), "longer than 24h", "{text}");
        }
        assert_eq!(time("24h"), Ok(LONGEST));
        assert_eq!(time("0"), Ok(Duration::ZERO));
        some_time("0s").unwrap_err();
    }
}
