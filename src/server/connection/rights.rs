//! What a client's user may do: asked before a request, again at EXEC, and of what scripts call.

use super::batch::BatchContext;
use super::caller::Caller;
use crate::acl::{Denial, DenialContext, DenialReason, Denied, DeniedName, KeyRights, User};
use crate::command::Fault;
use crate::commands::{Command, check, denial, may_on_every_key, sort_options, table};
use crate::resp::Request;
use crate::session::{Queue, SubscriptionKind};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::fence;

impl Caller {
    /// What its user may not do of this; `None` when it may do it.
    #[inline]
    pub fn denied(&self, command: &Command, request: Request<'_>) -> Option<Denied> {
        match &self.session.rules {
            None => None,
            Some(user) => check(user, command, request).err(),
        }
    }

    /// Whether its user may do this.
    #[inline]
    pub fn is_permitted(&self, command: &Command, request: Request<'_>) -> bool {
        self.session.rules.is_none()
            || self.denied(command, request).is_none()
                && self.check_patterns_of_sort(command, request).is_ok()
    }

    /// Refuses what its user may not do, and keeps that it was asked for.
    pub fn check_rights(
        &self,
        command: &Command,
        request: Request<'_>,
        context: &BatchContext<'_, '_>,
    ) -> Result<(), Fault> {
        let place = match self.session.queue {
            Some(_) => DenialContext::Multi,
            None => DenialContext::TopLevel,
        };
        let told = |denied: Denied| Fault::Message(denied.text(&command.name));
        self.check_noted(command, request, place, context, told)?;
        match self.session.queue {
            // That is looked at when it is to be done.
            Some(_) => Ok(()),
            None => self.check_patterns_of_sort(command, request),
        }
    }

    /// What its user may not do is kept, and refused as `told` has it.
    fn check_noted(
        &self,
        command: &Command,
        request: Request<'_>,
        place: DenialContext,
        context: &BatchContext<'_, '_>,
        told: impl FnOnce(Denied) -> Fault,
    ) -> Result<(), Fault> {
        let Some(denied) = self.denied(command, request) else { return Ok(()) };
        self.note_denied(denied, place, command, request, context);
        Err(told(denied))
    }

    /// The same of a queued command at its EXEC: the rules may have changed since it was queued.
    pub fn check_rights_at_exec(
        &mut self,
        command: &Command,
        request: Request<'_>,
        context: &BatchContext<'_, '_>,
    ) -> Result<(), Fault> {
        self.keep_up_rights();
        let told = |denied: Denied| Fault::Message(denied.text_at_exec());
        self.check_noted(command, request, DenialContext::Multi, context, told)?;
        self.check_patterns_of_sort(command, request)
    }

    /// The same of all that is queued, for an EXEC that the remote master does as a whole.
    pub fn check_rights_of_queue(
        &mut self,
        queue: &Queue,
        context: &BatchContext<'_, '_>,
    ) -> Result<(), Fault> {
        queue.commands.iter().try_for_each(|(id, request)| {
            let command = table().get(*id);
            self.may_run_elsewhere(command)?;
            self.check_rights_at_exec(command, request.borrow(), context)
        })
    }

    /// What a script calls at the remote master is not looked at here, so only users who may do
    /// everything let scripts run there. Asked where requests are sent, whatever led there.
    pub fn may_run_elsewhere(&self, command: &Command) -> Result<(), Fault> {
        const ELSEWHERE: Fault = Fault::Static(
            "NOPERM scripts run at the remote master here, which does not know this user's rules",
        );
        let is_bound = self.session.rules.is_some() && command.runs_script();
        if is_bound { Err(ELSEWHERE) } else { Ok(()) }
    }

    /// The same of what a script calls.
    pub fn check_rights_in_script(
        &mut self,
        command: &Command,
        request: Request<'_>,
        context: &BatchContext<'_, '_>,
    ) -> Result<(), Fault> {
        self.keep_up_rights();
        let told = |denied: Denied| Fault::Static(denied.text_in_script());
        self.check_noted(command, request, DenialContext::Lua, context, told)?;
        self.check_patterns_of_sort(command, request)
    }

    /// SORT looks up keys by patterns, which no rule about single keys can allow.
    fn check_patterns_of_sort(&self, command: &Command, request: Request<'_>) -> Result<(), Fault> {
        let Some(user) = &self.session.rules else { return Ok(()) };
        if !matches!(command.spec.name, "SORT" | "SORT_RO")
            || may_on_every_key(user, command, request, KeyRights::READ)
        {
            return Ok(());
        }
        for at in sort_options(request) {
            let word = request.get(at).unwrap_or_default();
            let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
            let value = request.get(at + 1);
            let looks_up = is(b"GET") || is(b"BY") && value.is_some_and(|it| it.contains(&b'*'));
            if looks_up && value.is_some() {
                let option = String::from_utf8_lossy(word).to_uppercase();
                let text = "option of SORT denied due to insufficient ACL permissions.";
                return Err(Fault::Message(format!("ERR {option} {text}")));
            }
        }
        Ok(())
    }

    #[cold]
    fn note_denied(
        &self,
        denied: Denied,
        place: DenialContext,
        command: &Command,
        request: Request<'_>,
        context: &BatchContext<'_, '_>,
    ) {
        let counters = &self.server.counters;
        let reason = denied.reason();
        let count = match reason {
            DenialReason::Auth => &counters.failed_logins,
            DenialReason::Command => &counters.denied_commands,
            DenialReason::Key => &counters.denied_keys,
            DenialReason::Channel => &counters.denied_channels,
        };
        count.fetch_add(1, Relaxed);
        let times = (context.now, context.scratch.env.now.get());
        let object = DeniedName::of(denied.object(&command.name, request));
        let kept =
            Denial { object, ..denial(table(), &self.server, &self.client, reason, place, times) };
        self.server.accounts.deny(kept, self.settings.server.acl_log_entries_max);
    }

    /// Logs the client in as the first user that is on of those whom its certificate names. Where
    /// there is none, it stays the default user, who may have to log in.
    pub fn log_in_by_certificate(&mut self, names: &[String]) {
        let (server, client, session) = (&self.server, &self.client, &mut self.session);
        match names.iter().find(|it| server.log_in(client, session, it, User::is_on)) {
            Some(name) => {
                log::debug!("event=certificate-names-user client={} user={name:?}", client.id);
            }
            None => log::debug!("event=certificate-names-no-user client={}", client.id),
        }
    }

    /// Goes by the rules in force now.
    #[inline]
    pub fn keep_up_rights(&mut self) {
        let generation = self.server.accounts.generation();
        if generation != self.rights_generation {
            self.rights_generation = generation;
            self.take_rights();
        }
    }

    #[cold]
    fn take_rights(&mut self) {
        if self.client.peer.is_trusted {
            // It is no user.
            return;
        }
        self.session.rules = self.server.accounts.rules_of(&self.session.user);
        // Who came while nobody had to log in stays known; who did not is so only meanwhile.
        let session = &mut self.session;
        session.is_known = session.has_logged_in || self.server.accounts.lets_in_anybody();
    }

    /// What it has subscribed to may have been forbidden before others could see that it does.
    pub fn check_new_subscriptions(&self) {
        // Whoever changes users looks for subscribers behind that.
        fence(SeqCst);
        if self.server.accounts.generation() != self.rights_generation {
            self.client.check_subscriptions();
        }
    }

    /// Whether its user may hear all that it subscribes to.
    pub fn may_hear_all(&self) -> bool {
        let (Some(user), Some(names)) = (&self.session.rules, &self.session.subscriptions) else {
            return true;
        };
        let kinds = [
            (SubscriptionKind::Channel, false),
            (SubscriptionKind::ShardChannel, false),
            (SubscriptionKind::Pattern, true),
        ];
        kinds.iter().all(|(kind, is_pattern)| {
            names.of(*kind).iter().all(|name| user.may_hear(name, *is_pattern))
        })
    }
}
