//! Who may do what, for all connections: the users in force, and what they have been denied.

use super::server::Server;
use crate::acl::{Denial, DenialLog, User, Users};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// The users in force, and what they have been denied.
pub struct Accounts {
    users: RwLock<Users>,
    generation: AtomicU64,
    changing: Mutex<()>,
    denials: Mutex<DenialLog>,
}

impl Accounts {
    /// The default user alone, with this password if there is one.
    pub fn new(password: Option<&str>) -> Accounts {
        Accounts {
            users: RwLock::new(Users::new(password)),
            generation: AtomicU64::new(1),
            changing: Mutex::new(()),
            denials: Mutex::default(),
        }
    }

    /// Looks at the users, who stay as they are meanwhile.
    pub fn look<T>(&self, look: impl FnOnce(&Users) -> T) -> T {
        look(&self.users.read())
    }

    /// Grows whenever they change.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    /// What the user of this name may do; `None` when that is everything, so that nothing needs to
    /// be looked at. Of a user who is no more, that is nothing.
    pub fn rules_of(&self, name: &str) -> Option<Arc<User>> {
        let user = self.users.read().get(name).cloned();
        let user = user.unwrap_or_else(|| Arc::new(User::new(name, false)));
        (!user.may_all()).then_some(user)
    }

    /// Whether clients need not say who they are.
    pub fn lets_in_anybody(&self) -> bool {
        self.look(|it| it.default_user().lets_in_anybody())
    }

    /// Whether whoever comes from another machine could do everything.
    pub fn needs_no_password(&self) -> bool {
        self.look(|it| it.default_user().is_open())
    }

    /// Keeps what was denied, and at most `most` of all.
    pub fn deny(&self, denial: Denial, most: usize) {
        self.denials.lock().push(denial, most);
    }

    /// The newest `count` of what was denied.
    pub fn denials(&self, count: usize) -> Vec<Denial> {
        self.denials.lock().newest(count)
    }

    /// Forgets what was denied.
    pub fn forget_denials(&self) {
        self.denials.lock().clear();
    }
}

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
