//! What a file of a snapshot says beside the keys, whoever it is for.

use crate::base::position::Position;
use crate::engine::rdb::{FileInfo, ReplicationInfo};
use crate::runtime::{allocation, clock};
use crate::state::version::REDIS_VERSION;

/// Of a snapshot at this place of the stream, where `stream_db` is selected unless the stream says
/// it next.
pub fn file_info(at: Position, stream_db: Option<usize>) -> FileInfo {
    FileInfo {
        redis_version: REDIS_VERSION,
        made_s: clock::wall_now().0 / 1000,
        used_bytes: allocation::allocated_bytes(),
        replication: Some(ReplicationInfo {
            stream_db,
            id: at.replid.to_string(),
            offset: at.offset.bytes(),
        }),
        is_aof_base: false,
    }
}
