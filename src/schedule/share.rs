//! A number of nodes, or a percentage of all: `5`, `30%`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::visible;

/// A part of all nodes. A journal holds it as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Share {
    /// So many nodes.
    Count(usize),
    /// So many of a hundred; above 100 counts as 100.
    Percent(u8),
}

/// A text that is no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is no number of nodes: write a number such as 5, or a percentage from 0% to 100%"
)]
pub struct ShareError {
    /// The text that was read.
    pub text: String,
}

impl Share {
    /// Returns the number of nodes that this is of `total`; a percentage is rounded down.
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                // In two halves, so that no product is larger than the total.
                let percent = usize::from(percent.min(100));
                total / 100 * percent + total % 100 * percent / 100
            }
        }
    }
}

impl Default for Share {
    fn default() -> Self {
        Self::Count(0)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let fault = || ShareError { text: visible(text) };
        let digits = text.strip_suffix('%').unwrap_or(text);
        // `parse` alone would take `+5`.
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(fault());
        }
        let number: usize = digits.parse().map_err(|_| fault())?;
        if digits.len() == text.len() {
            return Ok(Self::Count(number));
        }
        let percent = u8::try_from(number).ok().filter(|percent| *percent <= 100);
        percent.map(Self::Percent).ok_or_else(fault)
    }
}

impl TryFrom<String> for Share {
    type Error = ShareError;

    fn try_from(text: String) -> Result<Self, ShareError> {
        text.parse()
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_as_it_is_written() {
        for text in ["0", "5", "1000", "0%", "30%", "100%"] {
            let share: Share = text.parse().unwrap();
            assert_eq!(share.to_string(), text);
            let json = serde_json::to_string(&share).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Share>(&json).unwrap(), share);
        }
    }

    #[test]
    fn what_is_no_share_is_refused_and_shown() {
        for text in ["", "%", "-1", "+5", " 5", "5 %", "5%%", "1.5", "101%", "300%", "٥", "all"] {
            let error = text.parse::<Share>().unwrap_err();
            assert_eq!(error.text, text);
        }
        assert!("99999999999999999999999".parse::<Share>().is_err());
        assert!(serde_json::from_str::<Share>("\"101%\"").is_err());
    }

    #[test]
    fn a_percentage_is_rounded_down_and_never_overflows() {
        let of = |percent, total| Share::Percent(percent).of(total);
        assert_eq!([of(30, 3), of(34, 3), of(50, 3), of(100, 3), of(0, 3)], [0, 1, 1, 3, 0]);
        assert_eq!([of(10, 1000), of(33, 1000), of(99, 101)], [100, 330, 99]);
        assert_eq!([of(100, usize::MAX), of(255, 7)], [usize::MAX, 7]);
        assert_eq!(Share::Count(9).of(3), 9);
    }
}
