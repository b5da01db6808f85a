//! When an object was made, as Kubernetes writes it.

/// Seconds and nanoseconds since 1970 of an RFC 3339 time such as `2026-11-21T10:30:00Z`. `None`: it is not
/// one.
pub(super) fn parse(text: &str) -> Option<(i64, u32)> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, '-')?;
    let (clock, offset) = split_offset(time)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':')?;
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60
        && (1..=9).contains(&fraction.len());
    if !in_range {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    Some((seconds, nanoseconds))
}

/// The time of day, and how many seconds it is ahead of UTC.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let (clock, offset) = time.split_at(time.rfind(['+', '-'])?);
    let [hours, minutes] = numbers(&offset[1..], ':')?;
    let seconds = hours * 3_600 + minutes * 60;
    Some((clock, if offset.starts_with('-') { -seconds } else { seconds }))
}

fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let mut parts = text.split(separator).map(|part| {
        let is_number = (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse().ok().filter(|_| is_number)
    });
    let mut all = [0; N];
    for number in &mut all {
        *number = parts.next()??;
    }
    parts.next().is_none().then_some(all)
}

/// Days since 1970-01-01 in the Gregorian calendar: years begin in March, so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn times_are_read() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some((0, 0)));
        assert_eq!(parse("2000-02-29T12:34:56Z"), Some((951_827_696, 0)));
        assert_eq!(parse("2024-03-01T00:00:00.25Z"), Some((1_709_251_200, 250_000_000)));
        assert_eq!(parse("2024-03-01T02:00:00+02:00"), parse("2024-03-01T00:00:00Z"));
        assert_eq!(parse("2024-02-29T19:00:00-05:00"), parse("2024-03-01T00:00:00Z"));
        assert_eq!(parse("2026-11-21T10:30:00Z"), Some((1_795_257_000, 0)));
    }

    #[test]
    fn everything_else_is_not() {
        for text in ["", "2024-03-01", "2024-13-01T00:00:00Z", "2024-03-01T24:00:00Z", "2024-03-01T00:00:00"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        for text in ["2024-03-01T00:00:00.Z", "2024-+3-01T00:00:00Z", "éé", "2024-03-01Té-", "T+"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
