//! Rules, levels, the ladder, and the one function that chooses a member and says why.
//!
//! **Invariant:** pure. No clock, no randomness, no member: time, chance and offsets come in as
//! numbers.
//! **Invariant:** a candidate that is not in service serves nothing, whatever a rule says.

mod level;
mod ladder;
mod matches;
mod rules;
mod scope;
mod floor;
mod gate;
mod reason;
mod plan;
mod member_config;
mod allowed;
mod explain;

pub use allowed::{Allowed, Among, Selector};
pub use explain::{Considered, Explanation, explain};
pub use floor::Floor;
pub use gate::{CountHosted, Fed, MinReplicas};
pub use ladder::{Ladder, Step, StepKind, StepsTaken};
pub use level::Level;
pub use matches::{Match, Question};
pub use member_config::MemberConfig;
pub use plan::{
    Candidate, LadderPosition, Members, Plan, ReadRequirements, StaticMembers, Where, plan,
};
pub use reason::{Reason, Unavailable};
pub use rules::{Acks, Route, Routes};
pub use scope::StickyScope;
