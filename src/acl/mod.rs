//! Users and what they may do: the rules of ACL SETUSER, and whether they let a request through.
//!
//! **Invariant:** pure. Knows commands by their numbers, and no connection, no file and no clock.

mod category;
mod catalogue;
mod rule_fault;
mod ordered;
mod pattern;
mod selector;
mod password;
mod user;
mod log;
mod check;
mod users;
mod file;

pub use catalogue::{Catalogue, Channels, Listed};
pub use category::Categories;
pub use check::{Asked, Denied};
pub use file::{FileFault, parse_file};
pub use log::{Denial, DenialContext, DenialLog, DenialReason, DeniedName};
pub use password::PasswordDigest;
pub use pattern::{KeyRights, Pattern};
pub use rule_fault::RuleFault;
pub use selector::Selector;
pub use user::User;
pub use users::{DEFAULT_USER, UserEdits, Users, UsersFault, is_user_name, joined_selectors};
