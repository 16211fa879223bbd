//! How many bytes of its own history a server drops when it takes another's data: what an old
//! master had written and nobody had taken over.

use super::master_connection::MasterConnection;
use super::master_info::MasterInfo;
use crate::base::position::Position;
use crate::resp::Protocol;
use crate::runtime::tasks;
use crate::state::Server;
use std::sync::Arc;
use std::time::Duration;

/// A report is worth no longer wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the master where it left the history that stands at `before` here. `None` when it does not
/// know that history, or does not answer.
pub async fn dropped_bytes(server: &Arc<Server>, before: Position) -> Option<u64> {
    let ask = async {
        let connection = MasterConnection::open(server, Protocol::Resp2).await.ok()?;
        MasterInfo::ask(&connection, &mut connection.replies()).await.ok()
    };
    tasks::within(PATIENCE, ask).await??.lacks(before)
}
