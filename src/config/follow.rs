//! How a set follows a remote master, where nothing is said.

use super::tree::{Follow, FollowWrites};

impl Default for Follow {
    fn default() -> Follow {
        Follow {
            user: String::new(),
            password: String::new(),
            writes: FollowWrites::default(),
            serves_stale: true,
            priority: 0,
            is_announced: true,
            announce_ip: String::new(),
            announce_port: 0,
            diskless_load: "swapdb".to_owned(),
        }
    }
}

impl Follow {
    /// Who logs in at the master, if anybody does: user and password.
    pub fn login(&self) -> Option<(Option<&str>, &str)> {
        let user = (!self.user.is_empty()).then_some(self.user.as_str());
        (!self.password.is_empty()).then_some((user, self.password.as_str()))
    }
}
