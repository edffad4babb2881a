use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A duration in Go's spelling: `1m30s`, `1.5h`, `300ms`; in JSON also a number of nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GoDuration(
    /// Zero for what is below: wherever Consul takes a duration, it has to be above zero to mean anything.
    pub(crate) Duration,
    /// It was given and is below zero, or no duration at all.
    bool,
);

impl GoDuration {
    const BELOW_ZERO: GoDuration = GoDuration(Duration::ZERO, true);

    pub(crate) fn new(duration: Duration) -> GoDuration {
        GoDuration(duration, false)
    }

    pub(crate) fn parse(text: &str) -> Option<GoDuration> {
        if let Some(magnitude) = text.strip_prefix('-').filter(|rest| !rest.starts_with(['+', '-'])) {
            return GoDuration::parse(magnitude).map(|_| GoDuration::BELOW_ZERO);
        }
        let mut rest = text.strip_prefix('+').unwrap_or(text);
        if rest == "0" {
            return Some(GoDuration::default());
        }
        if rest.is_empty() {
            return None;
        }
        let mut nanos: u128 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let (number, after) = rest.split_at(digits);
            let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
            let (unit, after) = after.split_at(unit);
            let unit: u128 = match unit {
                "ns" => 1,
                "us" | "µs" | "μs" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                _ => return None,
            };
            nanos = nanos.checked_add(scaled(number, unit)?)?;
            rest = after;
        }
        let nanos = u64::try_from(nanos).ok().filter(|nanos| i64::try_from(*nanos).is_ok())?;
        Some(GoDuration::new(Duration::from_nanos(nanos)))
    }
}

/// `number` times `unit`, the number with or without a fraction.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 19 {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Beyond this no digit counts.
    let fraction = fraction.get(..fraction.len().min(15))?;
    let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    whole.checked_mul(unit)?.checked_add(part.checked_mul(unit)? / scale)
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let fraction = |whole: u128, part: u128, digits: usize| {
            let text = format!("{whole}.{part:0digits$}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        match nanos {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{nanos}ns"),
            1_000..1_000_000 => write!(f, "{}µs", fraction(nanos / 1_000, nanos % 1_000, 3)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", fraction(nanos / 1_000_000, nanos % 1_000_000, 6)),
            _ => {
                let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
                let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if hours > 0 || minutes > 0 {
                    write!(f, "{minutes}m")?;
                }
                write!(f, "{}s", fraction(seconds % 60, rest, 9))
            }
        }
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(decoder: D) -> Result<GoDuration, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = GoDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration like \"10s\", or nanoseconds")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<GoDuration, E> {
                if text.is_empty() {
                    return Ok(GoDuration::default());
                }
                GoDuration::parse(text)
                    .ok_or_else(|| E::custom(format_args!("time: invalid duration {text:?}")))
            }

            fn visit_u64<E: Error>(self, nanos: u64) -> Result<GoDuration, E> {
                Ok(GoDuration::new(Duration::from_nanos(nanos)))
            }

            fn visit_i64<E: Error>(self, nanos: i64) -> Result<GoDuration, E> {
                match u64::try_from(nanos) {
                    Ok(nanos) => self.visit_u64(nanos),
                    Err(_) => Ok(GoDuration::BELOW_ZERO),
                }
            }

            fn visit_f64<E: Error>(self, nanos: f64) -> Result<GoDuration, E> {
                // So is what no number of nanoseconds can be.
                let fits = (0.0..i64::MAX as f64).contains(&nanos);
                let seconds = Duration::try_from_secs_f64(nanos / 1e9).ok().filter(|_| fits);
                Ok(seconds.map_or(GoDuration::BELOW_ZERO, GoDuration::new))
            }
        }
        decoder.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_reads_and_writes_them_like_this() {
        for (text, millis, said) in [
            ("10s", 10_000, "10s"),
            ("1m30s", 90_000, "1m30s"),
            ("1.5h", 5_400_000, "1h30m0s"),
            ("300ms", 300, "300ms"),
            ("0.5s", 500, "500ms"),
            ("1.25s", 1_250, "1.25s"),
            ("+60000ms", 60_000, "1m0s"),
            ("0", 0, "0s"),
        ] {
            let parsed = GoDuration::parse(text).unwrap();
            assert_eq!(parsed.0, Duration::from_millis(millis), "{text}");
            assert_eq!(parsed.to_string(), said);
        }
        for none in ["-1s", "-1.5h", "-0"] {
            assert_eq!(GoDuration::parse(none), Some(GoDuration::BELOW_ZERO), "{none}");
        }
        for bad in ["", "10", "--1s", "-", "-+1s", "s", "1x", ".s", "1..5s", "99999999999h", "1 s"] {
            assert_eq!(GoDuration::parse(bad), None, "{bad}");
        }
    }
}
