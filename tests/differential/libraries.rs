//! Libraries of functions go from one server to the other and stay what they are.

use super::client::{Client, Mismatch};
use crate::support::{Value, words};

/// Each server takes what the other dumps, and then lists what it has listed before.
pub fn exchange(client: &mut Client) -> Result<(), Mismatch> {
    let list = words(&["FUNCTION", "LIST", "WITHCODE"]);
    client.play(std::slice::from_ref(&list))?;
    let (theirs, ours) = client.ask_both(&words(&["FUNCTION", "DUMP"]));
    for dump in [ours, theirs] {
        let Value::Bulk(dump) = dump else { panic!("FUNCTION DUMP: {dump}") };
        let restore = words(&[&b"FUNCTION"[..], b"RESTORE", &dump, b"FLUSH"]);
        client.play(&[restore, list.clone()])?;
    }
    Ok(())
}
