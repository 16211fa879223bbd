//! Programs of others that tests run.

use std::env;
use std::path::Path;

/// The python that has what the tests need: what `PYTHON` names, that of `tests/run.sh`, or the
/// system's.
pub fn python() -> String {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python3");
    let found = if venv.exists() { venv.display().to_string() } else { "python3".into() };
    env::var("PYTHON").unwrap_or(found)
}
