//! Numbers with a meaning, as the command line writes them.

use std::time::Duration;

/// A number of seconds, at most a day.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is not a number of seconds"))?;
    match seconds {
        s if (0.0..=86_400.0).contains(&s) => Ok(Duration::from_secs_f64(s)),
        _ => Err("must be between 0 and 86400 seconds".into()),
    }
}

/// A number of handshakes a second.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.01..=1e6).contains(&rate) => Ok(rate),
        Ok(_) => Err("must be between 0.01 and 1000000 a second".into()),
        Err(_) => Err(format!("{text:?} is not a number of handshakes a second")),
    }
}

/// A short time with its unit: `us`, `ms` or `s`; at most a second, because a handshake waits for it.
pub(super) fn delay(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 3] = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let parsed = UNITS.iter().find_map(|(unit, scale)| {
        let number: f64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        Some(number * scale)
    });
    match parsed {
        Some(s) if (0.0..=1.0).contains(&s) => Ok(Duration::from_secs_f64(s)),
        Some(_) => Err("must be between 0 and 1 second".into()),
        None => Err(format!("{text:?} is not a time such as 50us or 1ms")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_have_units() {
        assert_eq!(delay("50us"), Ok(Duration::from_micros(50)));
        assert_eq!(delay("1.5 ms"), Ok(Duration::from_micros(1500)));
        assert_eq!(delay("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
    }
}
