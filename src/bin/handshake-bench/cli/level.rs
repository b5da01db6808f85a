//! How much load there is.

use std::fmt;

/// Clients for each server thread that saturate it: more fill no batch better.
pub(crate) const SATURATING: usize = 64;

/// A load, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Level {
    /// That many percent of the handshakes a second that stock rustls can make, at random times.
    Percent(f64),
    /// As many clients as saturate the server, of which each makes one handshake after the other.
    Saturated,
    /// That many handshakes a second, at random times.
    Rate(f64),
    /// That many clients, of which each makes one handshake after the other.
    Clients(usize),
}

impl Level {
    /// What an operator wants to know.
    pub(crate) const DEFAULT: [Self; 6] = [
        Self::Percent(5.0),
        Self::Percent(25.0),
        Self::Percent(50.0),
        Self::Percent(75.0),
        Self::Percent(90.0),
        Self::Saturated,
    ];

    /// When handshakes begin, for so many server threads and with what stock rustls can make a second.
    ///
    /// # Panics
    /// If that is needed and not known.
    pub(crate) fn pace(self, threads: usize, capacity: Option<f64>) -> Pace {
        match self {
            Self::Percent(percent) => {
                Pace::Open(capacity.expect("it is measured where it is needed") * percent / 100.0)
            }
            Self::Saturated => Pace::Closed(SATURATING * threads),
            Self::Rate(rate) => Pace::Open(rate),
            Self::Clients(clients) => Pace::Closed(clients),
        }
    }

    /// The percentage, if it is one.
    pub(crate) fn percent(self) -> Option<f64> {
        match self {
            Self::Percent(percent) => Some(percent),
            _ => None,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent} %"),
            Self::Saturated => f.write_str("saturated"),
            Self::Rate(rate) => write!(f, "{rate}/s"),
            Self::Clients(1) => f.write_str("1 client"),
            Self::Clients(clients) => write!(f, "{clients} clients"),
        }
    }
}

/// When handshakes begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// A closed loop: that many clients, of which each begins a handshake when its last one has ended.
    Closed(usize),
    /// An open loop: that many handshakes per second, at random times, however long earlier ones take.
    Open(f64),
}

impl Pace {
    /// The rate of an open loop.
    pub(crate) fn offered_per_s(self) -> Option<f64> {
        match self {
            Self::Closed(_) => None,
            Self::Open(rate) => Some(rate),
        }
    }
}

/// A load by what stock rustls can make.
pub(super) fn of_capacity(text: &str) -> Result<Level, String> {
    match text.parse::<f64>() {
        _ if text == "saturated" => Ok(Level::Saturated),
        Ok(percent) if (0.1..=1000.0).contains(&percent) => Ok(Level::Percent(percent)),
        Ok(_) => Err("must be between 0.1 and 1000 percent".into()),
        Err(_) => Err(format!("{text:?} is neither a percentage nor `saturated`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_one_of_what_stock_rustls_can_make() {
        assert_eq!(Level::Percent(25.0).pace(3, Some(1200.0)), Pace::Open(300.0));
        assert_eq!(Level::Saturated.pace(3, None), Pace::Closed(192));
    }
}
