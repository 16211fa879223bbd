//! Members that are real servers: what is sent to them, what their answers mean, and who of them is
//! the master. All of it decides and none of it does: `server/upstream/` has the sockets.
//!
//! ```text
//!   Run ──▶ Pipeline: [ROLE, requests of many clients, ROLE] ──▶ Verdict ──▶ client, or next_try
//!                                      │
//!              Report, Stand ◀─────────┴──▶ Topology: who is master, in which history
//! ```

mod stand;
mod report;
mod run;
mod sample;
mod pipeline;
mod retry;
mod backoff;
mod member_load;
mod ejection;
mod member_state;
mod view;
mod topology;
mod pairs;
mod sentinel;
mod ack_waits;
mod pushed;
mod scan_cursor;

pub use ack_waits::{AckRound, AckWaits, BARRIER};
pub use backoff::Backoff;
pub use ejection::Ejection;
pub use member_load::MemberLoad;
pub use member_state::MemberState;
pub use pairs::{Pairs, maps};
pub use pipeline::{ConnectionFault, Done, Patience, Pipeline, Verdict};
pub use pushed::{Pushed, is_first};
pub use report::{PROXY_FIELD, Report};
pub use retry::{NextTry, next_try};
pub use run::{ReadRun, Run, RunAcks, RunKind, ScanRun};
pub use sample::Sample;
pub use scan_cursor::{ScanCursor, name_cursor};
pub use sentinel::{MasterVotes, replica_addresses};
pub use stand::Stand;
pub use topology::{Availability, Keeping, Topology};
pub use view::{UpstreamView, ViewMember};
