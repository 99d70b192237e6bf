//! Durations and sizes as people write them: `25s`, `500ms`, `64KiB`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A length of time, written as a whole number and a unit: `500ms`, `25s`, `2m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(Duration);

impl Period {
    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// As the standard library's type.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        period.0
    }
}

impl From<Duration> for Period {
    /// Cut to whole milliseconds, the smallest unit that can be written.
    fn from(duration: Duration) -> Self {
        Self::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Unit and its milliseconds, the largest first.
const PERIODS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text);
        let scale = PERIODS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale);
        let (Ok(number), Some(scale)) = (number.parse::<u64>(), scale) else {
            return Err(format!(
                "{text:?} is not a duration; write a number and a unit, such as 500ms, 25s or 2m"
            ));
        };
        match number.checked_mul(scale) {
            Some(milliseconds) => Ok(Self::from_millis(milliseconds)),
            None => Err(format!("the duration {text:?} is too long")),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        if milliseconds == 0 {
            return f.write_str("0s");
        }
        let whole = PERIODS.iter().find(|(_, scale)| milliseconds.is_multiple_of(u128::from(*scale)));
        let (unit, scale) = whole.copied().unwrap_or(("ms", 1));
        write!(f, "{}{unit}", milliseconds / u128::from(scale))
    }
}

/// A number of bytes, written `64KiB`, `1MiB`, `1GiB`, `512B` or as a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(usize);

impl Size {
    /// So many bytes.
    pub const fn from_bytes(bytes: usize) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> usize {
        self.0
    }
}

/// Unit and its bytes, the largest first.
const SIZES: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text);
        let scale = match unit {
            "" => Some(1),
            unit => SIZES.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale),
        };
        let (Ok(number), Some(scale)) = (number.parse::<usize>(), scale) else {
            return Err(format!(
                "{text:?} is not a size; write a number and KiB, MiB or GiB, such as 64KiB, or bytes"
            ));
        };
        match number.checked_mul(scale) {
            Some(bytes) => Ok(Self(bytes)),
            None => Err(format!("the size {text:?} is too large")),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = SIZES.iter().find(|(_, scale)| self.0 != 0 && self.0.is_multiple_of(*scale));
        let (unit, scale) = whole.copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

/// The digits at the start, and what follows them.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (&text[..digits], text[digits..].trim_start())
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PeriodVisitor;
        impl Visitor<'_> for PeriodVisitor {
            type Value = Period;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with its unit, such as 25s or 500ms")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Period, E> {
                text.parse().map_err(E::custom)
            }
        }
        // `any` and not `str`, so that a number without a unit is answered by the line above.
        deserializer.deserialize_any(PeriodVisitor)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;
        impl Visitor<'_> for SizeVisitor {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 64KiB, or a number of bytes")
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
                usize::try_from(bytes).map(Size).map_err(|_| E::custom("the size is too large"))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(SizeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!("25s".parse(), Ok(Period::from_secs(25)));
        assert_eq!("500ms".parse(), Ok(Period::from_millis(500)));
        assert_eq!(" 2 m ".parse(), Ok(Period::from_secs(120)));
        assert_eq!("64KiB".parse(), Ok(Size::from_bytes(65536)));
        assert_eq!("1 MiB".parse(), Ok(Size::from_bytes(1 << 20)));
        assert_eq!("100".parse(), Ok(Size::from_bytes(100)));
    }

    #[test]
    fn refuses_the_rest_and_says_what_to_write() {
        for text in ["", "25", "s", "-1s", "1.5s", "25sec", "1m30s", "99999999999999999999s"] {
            let error = text.parse::<Period>().unwrap_err();
            assert!(error.contains("25s"), "{error}");
        }
        for text in ["", "KiB", "64KB", "64k", "-1", "1.5MiB"] {
            let error = text.parse::<Size>().unwrap_err();
            assert!(error.contains("64KiB"), "{error}");
        }
        assert!("18446744073709551615h".parse::<Period>().unwrap_err().contains("too long"));
        assert!("18446744073709551615GiB".parse::<Size>().unwrap_err().contains("too large"));
    }

    #[test]
    fn shows_the_largest_whole_unit() {
        assert_eq!(Period::from_millis(1500).to_string(), "1500ms");
        assert_eq!(Period::from_secs(7200).to_string(), "2h");
        assert_eq!(Period::from_secs(0).to_string(), "0s");
        assert_eq!(Size::from_bytes(65536).to_string(), "64KiB");
        assert_eq!(Size::from_bytes(1000).to_string(), "1000B");
        assert_eq!(Size::from_bytes(0).to_string(), "0B");
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read(milliseconds in 0u64..u64::MAX / 2, bytes: usize) {
            let period = Period::from_millis(milliseconds);
            prop_assert_eq!(period.to_string().parse(), Ok(period));
            let size = Size::from_bytes(bytes);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<Period>();
            let _ = text.parse::<Size>();
        }
    }
}
