//! Durations as Istio writes them: `15s`, `1m30s`, `0.5s`.

use std::time::Duration;

/// `None` for what is no duration, is negative, or is longer than anybody waits.
pub fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut seconds, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, behind) = rest.split_at_checked(digits)?;
        let letters = behind.find(|letter: char| !letter.is_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(letters)?;
        seconds += number.parse::<f64>().ok()? * unit_in_seconds(unit)?;
        rest = behind;
    }
    (!text.is_empty() && seconds <= 1e6).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

fn unit_in_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "h" => 3600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" => 1e-3,
        "us" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    //! What is a duration.

    use super::*;

    #[test]
    fn durations_as_istio_writes_them() {
        for (text, milliseconds) in [
            ("15s", 15_000),
            ("0s", 0),
            ("0", 0),
            ("1m30s", 90_000),
            ("0.5s", 500),
            ("250ms", 250),
            ("1h", 3_600_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "15", "s", "-1s", "1d", "1e9s", "1.2.3s", "1s ", "99999999999999999999h"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
