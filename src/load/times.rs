//! Times as settings write them.

use crate::base::size::parse_duration;
use std::time::Duration;

/// No run is longer.
pub const TIME_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// The time of a setting.
pub fn duration(key: &str, text: &str) -> Result<Duration, String> {
    time(text).map_err(|it| format!("{key}: {it}"))
}

/// A time with its unit.
pub fn time(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text.trim().as_bytes(), Some(Duration::from_secs(1)));
    let time = time.ok_or_else(|| format!("{text} is no time; write one like 500ms, 10s or 1m"))?;
    if TIME_MAX < time {
        return Err(format!("{text} is too long; write a year at most"));
    }
    Ok(time)
}
