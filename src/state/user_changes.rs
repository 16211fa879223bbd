//! Changes of users, and what becomes of the clients of those who may do less.

use super::server::Server;
use crate::acl::{UserEdits, Users};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

impl Server {
    /// Changes the users as `change` says, who looks at them while nobody else changes them, unless
    /// it refuses: all connections go by them from their next batch on. Clients of users who are no
    /// more are closed, but for `own`; those who subscribe to what they may not hear any more close
    /// themselves. Answers whether `own` is to be closed, too.
    pub fn change_users<E>(
        &self,
        own: u64,
        change: impl FnOnce(&Users) -> Result<UserEdits, E>,
    ) -> Result<bool, E> {
        let _alone = self.accounts.changing.lock();
        let edits = change(&self.accounts.users.read())?;
        Ok(self.put_in_force(own, edits))
    }

    /// Puts these users in the place of all there are, as [`Server::change_users`] does.
    pub fn replace_users(&self, own: u64, with: &Users) -> bool {
        let _alone = self.accounts.changing.lock();
        let edits = self.accounts.look(|users| {
            let gone = users.all().filter(|it| with.get(it.name()).is_none());
            let gone = gone.map(|it| (it.name().to_owned(), None));
            // Who is as he was stays himself: his clients have nothing to look at again.
            let is_other = |name: &str| match (users.get(name), with.get(name)) {
                (Some(one), Some(other)) => one.text() != other.text(),
                _ => true,
            };
            let others = with.all().filter(|it| is_other(it.name()));
            let others = others.map(|it| (it.name().to_owned(), Some((**it).clone())));
            gone.chain(others).collect::<UserEdits>()
        });
        self.put_in_force(own, edits)
    }

    /// To be called while nobody else changes users.
    fn put_in_force(&self, own: u64, edits: UserEdits) -> bool {
        // Only who was there before can have clients.
        let had: HashMap<Arc<str>, bool> = self.accounts.look(|users| {
            let known = edits.iter().filter(|(name, _)| users.get(name).is_some());
            known.map(|(name, after)| (name.as_str().into(), after.is_some())).collect()
        });
        self.accounts.users.write().edit(edits);
        self.accounts.generation.fetch_add(1, AcqRel);
        self.notice_change();
        if had.is_empty() { false } else { self.close_who_may_not(own, &had) }
    }

    /// `changed` says of each changed user whether it is still there.
    fn close_who_may_not(&self, own: u64, changed: &HashMap<Arc<str>, bool>) -> bool {
        let mut closes_own = false;
        for client in self.clients.all() {
            let stays = changed.get(client.names.lock().user.as_str()).copied();
            let Some(stays) = stays else { continue };
            if stays {
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
            let user = users.default_with(password);
            Ok::<UserEdits, ()>(vec![(user.name().to_owned(), Some(user))])
        });
        debug_assert!(done.is_ok(), "nobody has refused");
    }
}
