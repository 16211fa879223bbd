//! Who may do what, for all connections: the users in force, and what they have been denied.

use crate::acl::{Catalogue, Denial, DenialLog, User, Users};
use parking_lot::{Mutex, RwLock};
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::{Arc, OnceLock};

/// The users in force, and what they have been denied.
pub struct Accounts {
    pub(super) users: RwLock<Users>,
    pub(super) generation: AtomicU64,
    pub(super) changing: Mutex<()>,
    /// Held by who reads or writes the file of users.
    pub(super) at_file: Mutex<()>,
    /// What rules may name, once it is known.
    pub(super) catalogue: OnceLock<&'static Catalogue>,
    denials: Mutex<DenialLog>,
}

impl Accounts {
    /// The default user alone, with this password if there is one.
    pub fn new(password: Option<&str>) -> Accounts {
        Accounts {
            users: RwLock::new(Users::new(password)),
            generation: AtomicU64::new(1),
            changing: Mutex::new(()),
            at_file: Mutex::new(()),
            catalogue: OnceLock::new(),
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
