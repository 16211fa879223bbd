//! Serving calls that wait for keys, as soon as a write has made one ready: under the lock of that
//! write, each as a transaction of its own, before anybody else sees the key.

use super::key_waiters::{BlockedCall, KeyWait, Waiter};
use super::master_guard::MasterGuard;
use super::member_state::MemberFlags;
use super::transaction::Verb;
use crate::base::planted::{Planted, is_planted};
use crate::base::time::{MonoUs, WallMs};
use crate::command::{Args, CallEnv};
use crate::engine::{BlockingKeys, Called, Effects};
use crate::resp::Reply;

impl MasterGuard<'_> {
    /// Lets a call wait for keys. It is made again when one of them is ready, unless what is
    /// answered here has been dropped before.
    pub fn block(&mut self, keys: BlockingKeys, call: BlockedCall) -> KeyWait {
        self.forget_given_up();
        keys.keys.iter().for_each(|it| self.hosted.engine.block(call.db, it));
        self.set.key_waiters.enter(keys, call)
    }

    /// Serves those whose keys have become ready, until no key is: what is served may make another
    /// ready.
    #[cold]
    pub(super) fn serve_blocked(&mut self, at: MonoUs, now: WallMs) {
        if std::mem::replace(&mut self.is_serving, true) {
            return;
        }
        self.forget_given_up();
        loop {
            let ready = self.hosted.engine.take_ready();
            if ready.is_empty() {
                break;
            }
            ready.iter().for_each(|(db, key)| self.serve_key(*db, key, at, now));
        }
        self.is_serving = false;
    }

    fn forget_given_up(&mut self) {
        for (db, keys) in self.set.key_waiters.take_given_up() {
            keys.iter().for_each(|it| self.hosted.engine.unblock(db, it));
        }
    }

    /// Serves those that wait for `key`, in the order in which they came, for as long as something
    /// of their kind is there. Who waits for another kind keeps its place, unless it insists on
    /// its own.
    fn serve_key(&mut self, db: usize, key: &[u8], at: MonoUs, now: WallMs) {
        let mut behind = 0;
        // The rest is told by the failover that follows a quarantine.
        while !self.member.is(MemberFlags::QUARANTINED) {
            let (kind, waiters) = (self.hosted.engine.kind(db, key, now), &self.set.key_waiters);
            let next = match kind {
                Some(_) => waiters.next(db, key, behind),
                None => waiters.next_insisting(db, key, behind),
            };
            let Some(waiter) = next else { return };
            behind = waiter.number;
            if kind == Some(waiter.kind) || waiter.insists {
                self.serve(&waiter, at, now);
            }
        }
    }

    fn serve(&mut self, waiter: &Waiter, at: MonoUs, now: WallMs) {
        let BlockedCall { spec, verb, request, db, client, block, .. } = &waiter.call;
        if !client.claim(*block) {
            return;
        }
        let (env, mut effects) = (CallEnv::new(now, 0), Effects::default());
        let mut reply = Reply::new(waiter.call.protocol);
        reply.set_limit(waiter.call.reply_bytes_max);
        let args = Args::new(request.borrow(), 1, *db, &env);
        let writer = self.by.take();
        let transaction = self.begin(&mut effects, at);
        let called = transaction.call_and_commit(Verb::Blocking(spec, *verb), args, &mut reply);
        self.by = writer;
        if let Ok(Called::Block(_)) = called {
            return client.disclaim(*block);
        }
        if self.set.key_waiters.remove(waiter) {
            waiter.keys.iter().for_each(|it| self.hosted.engine.unblock(*db, it));
        }
        if is_planted(Planted::ServedAndNotTold) {
            return client.disclaim(*block);
        }
        // Who was shown something must not see less afterwards, even if showing it wrote nothing.
        let wrote = called.is_ok().then(|| self.set.head());
        client.served(*block, called.map(|_| reply), wrote);
    }
}
