//! Times to live as people write them: `90s`, `15m`, `1h30m`, `2d`.

use std::fmt::Write;
use std::time::Duration;

const UNITS: &[(char, u64)] = &[('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Reads numbers with units, greatest unit first, each unit once.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{}` is no duration; write numbers with d, h, m or s, such as \"15m\"", text.escape_debug());
    let (mut total, mut digits, mut least) = (0_u64, String::new(), u64::MAX);
    for sign in text.chars() {
        if sign.is_ascii_digit() {
            digits.push(sign);
            continue;
        }
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == sign).ok_or_else(wrong)?;
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        if *unit >= least {
            return Err(wrong());
        }
        total = count.checked_mul(*unit).and_then(|seconds| total.checked_add(seconds)).ok_or_else(wrong)?;
        least = *unit;
        digits.clear();
    }
    if !digits.is_empty() || least == u64::MAX || total > 366 * 86_400 {
        return Err(wrong());
    }
    Ok(Duration::from_secs(total))
}

/// Writes whole seconds the one way that `print` uses.
pub fn print(duration: Duration) -> String {
    let mut left = duration.as_secs();
    let mut text = String::new();
    for (name, unit) in UNITS {
        if left >= *unit {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}{name}", left / unit);
            left %= unit;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}
