//! What replies are expected to be, said shortly.

use super::value::Value;
use super::wire::Wire;

/// Asks, and is answered OK.
pub fn ok(wire: &mut Wire, line: &str) {
    assert_eq!(wire.ask(line).string(), "OK", "{line}");
}

/// The text of a reply starts like this.
pub fn starts(value: &Value, with: &str) {
    assert!(value.string().starts_with(with), "{value} is not {with}");
}
