//! Changes of users, and what becomes of the clients of those who may do less.

use super::server::Server;
use crate::acl::Users;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

impl Server {
    /// Changes the users, unless `change` refuses: all connections go by them from their next batch
    /// on. Clients of users who are no more are closed, but for `own`; those who subscribe to what
    /// they may not hear any more close themselves. Answers whether `own` is to be closed, too.
    pub fn change_users<E>(
        &self,
        own: u64,
        change: impl FnOnce(&mut Users) -> Result<(), E>,
    ) -> Result<bool, E> {
        let _alone = self.accounts.changing.lock();
        let before = self.accounts.look(Users::clone);
        let mut after = before.clone();
        change(&mut after)?;
        *self.accounts.users.write() = after.clone();
        self.accounts.generation.fetch_add(1, AcqRel);
        self.notice_change();
        Ok(self.close_who_may_not(own, &before, &after))
    }

    fn close_who_may_not(&self, own: u64, before: &Users, after: &Users) -> bool {
        let is_same = |name: &str| match (before.get(name), after.get(name)) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        let changed = before.all().filter(|it| !is_same(it.name()));
        let changed: Vec<&str> = changed.map(|it| it.name()).collect();
        if changed.is_empty() {
            return false;
        }
        let mut closes_own = false;
        for client in self.clients.all() {
            let user = client.names.lock().user.clone();
            if !changed.iter().any(|it| *it == user) {
                continue;
            }
            if after.get(&user).is_some() {
                client.check_subscriptions();
            } else if client.id == own {
                closes_own = true;
            } else {
                client.flags.is_closing.store(true, Relaxed);
                self.clients.leave(client.id);
                client.kill();
            }
        }
        closes_own
    }

    /// `requirepass` has changed: it is the default user's password.
    pub(super) fn set_default_password(&self, password: Option<&str>) {
        let done = self.change_users(0, |users| {
            users.set_default_password(password);
            Ok::<(), ()>(())
        });
        debug_assert!(done.is_ok(), "nobody has refused");
    }
}
