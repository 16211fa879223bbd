//! How long commands take: service times for the metrics, and the commands of the slow log and of
//! the latency monitor.
//!
//! The clock is read around every command that is not O(1), so such a command has a time of its own
//! and the slow log is exact about it. Commands that are O(1) run in runs without a look at the
//! clock: only the run has a time, which is the command's own when it runs alone, as it does
//! without pipelining. Nothing in a run that was quicker than `slowlog-log-slower-than` was slower.
//! A run that was not quicker is one entry of the slow log: its last command, with the time of the
//! whole run and, behind its words, how many ran before it. Below a threshold of `FINE_NS` the
//! clock is read behind every command, and each is exact.

use super::batch::BatchContext;
use super::caller::Caller;
use super::stopwatch::SlowRun;
use crate::base::time::WallMs;
use crate::command::Flags;
use crate::commands::{Command, slow_words, table};
use crate::metrics::Label;
use crate::metrics::latency_events::LatencyEvent;
use crate::resp::{AuthState, Decoder, Limits, OwnedRequest, Request, Step};
use crate::state::Slow;
use std::sync::atomic::Ordering::Relaxed;

impl BatchContext<'_, '_> {
    /// Before a command whose time must be its own.
    #[inline]
    pub fn begin_command(&mut self, command: &Command) {
        if !command.is_quick {
            self.end_run();
        }
    }

    /// After a command: it is counted, and measured unless it may share its neighbours' time.
    #[inline]
    pub fn count(&mut self, label: Label, command: &Command) {
        self.scratch.metrics.count(label, 1);
        if command.is_quick && !self.stopwatch.is_fine {
            self.stopwatch.run += 1;
            self.stopwatch.last = self.at;
            return;
        }
        let took_ns = self.read_clock();
        if self.stopwatch.slow_ns <= took_ns {
            self.stopwatch.slow_one = Some(took_ns);
            self.stopwatch.has_slow = true;
        }
    }

    /// Ends a run of commands that share their time.
    pub fn end_run(&mut self) {
        let took_ns = self.read_clock();
        let commands = std::mem::take(&mut self.stopwatch.run);
        if commands != 0 && self.stopwatch.slow_ns <= took_ns {
            self.stopwatch.slow_run =
                Some(SlowRun { commands, took_ns, last: self.stopwatch.last });
            self.stopwatch.has_slow = true;
        }
    }

    /// Nanoseconds since the last reading, which the commands counted since then have taken.
    fn read_clock(&mut self) -> u64 {
        if !self.stopwatch.is_running {
            return 0;
        }
        let now_ns = self.clock.mono_ns();
        let took_ns = now_ns - self.stopwatch.at_ns;
        self.scratch.metrics.spread(took_ns);
        self.stopwatch.at_ns = now_ns;
        took_ns
    }

    /// Whether the slow log has something to hear.
    #[inline]
    pub fn has_slow(&self) -> bool {
        self.stopwatch.has_slow
    }

    /// A command that has only begun: its time is told when it has ended.
    pub fn goes_on(&mut self) {
        self.stopwatch.slow_one = None;
    }

    /// The end of the batch: what was seen goes to this worker's shard.
    pub fn end(&mut self, caller: &mut Caller) {
        self.end_run();
        // The next write may come late, and what this one stored may be gone by then.
        self.scratch.effects.shrink();
        let env = &self.scratch.env;
        self.scratch.metrics.hits(env.hits.take() as u32);
        self.scratch.metrics.misses(env.misses.take() as u32);
        caller.server.metrics.flush(self.scratch.worker, &mut self.scratch.metrics);
        if !env.uses.is_empty() {
            self.set.tell_uses(&env.uses, env.now.get(), self.now);
        }
        caller.server.counters.commands.add(self.scratch.worker, self.served);
        caller.client.active.store(self.now.0, Relaxed);
        // Nobody else counts them.
        let served = caller.client.commands.load(Relaxed) + self.served;
        caller.client.commands.store(served, Relaxed);
        caller.client.mirror(&caller.session, caller.replies.out.protocol());
    }
}

impl Caller {
    /// Tells the slow log of a run, and of `request` itself.
    #[cold]
    pub fn tell_slow(
        &self,
        command: &Command,
        request: Request<'_>,
        input: &[u8],
        context: &mut BatchContext<'_, '_>,
    ) {
        self.tell_slow_run(input, context);
        if let Some(took_ns) = context.stopwatch.slow_one.take() {
            let at = context.clock.wall_now();
            self.note_latency(command, took_ns, at);
            if !command.spec.flags.contains(Flags::SKIP_SLOWLOG) {
                self.log_slow(slow_words(command, request), took_ns, at);
            }
        }
    }

    /// Tells the slow log of a run of commands.
    #[cold]
    pub fn tell_slow_run(&self, input: &[u8], context: &mut BatchContext<'_, '_>) {
        context.stopwatch.has_slow = false;
        let Some(SlowRun { commands, took_ns, last }) = context.stopwatch.slow_run.take() else {
            return;
        };
        // It has been decoded before.
        let mut decoder = Decoder::new(Limits::of(AuthState::Known));
        let bytes = &input[last..];
        let Ok(Step::Ready { .. }) = decoder.poll(bytes) else { return };
        let request = decoder.request(bytes);
        let Ok(command) = table().locate(request) else { return };
        let mut words = slow_words(command, request);
        if 1 < commands {
            words.push(format!("... (with {} commands before it)", commands - 1).into_bytes());
        }
        let at = context.clock.wall_now();
        self.note_latency(command, took_ns, at);
        self.log_slow(words, took_ns, at);
    }

    /// A command that was worked on while its client stood still.
    pub fn log_if_slow(&self, request: &OwnedRequest, took_ns: u64, at: WallMs) {
        if let Ok(command) = table().locate(request.borrow()) {
            self.note_latency(command, took_ns, at);
            self.log_slow(slow_words(command, request.borrow()), took_ns, at);
        }
    }

    /// Tells the latency monitor.
    fn note_latency(&self, command: &Command, took_ns: u64, at: WallMs) {
        let event = match command.spec.flags.contains(Flags::FAST) {
            true => LatencyEvent::FastCommand,
            false => LatencyEvent::Command,
        };
        self.server.set.latency.note(event, took_ns / 1000, at);
    }

    /// Tells the latency monitor of EXEC with all that was queued, which began at `began_ns`.
    pub fn note_execution(&self, began_ns: u64, context: &BatchContext<'_, '_>) {
        if self.settings.server.latency_monitor_ms == 0 {
            return;
        }
        let took_us = (context.clock.mono_ns() - began_ns) / 1000;
        let latency = &self.server.set.latency;
        latency.note(LatencyEvent::Command, took_us, context.clock.wall_now());
    }

    /// Keeps an entry, if it is one by the settings of now: those that a CONFIG SET has left behind
    /// say whether it is slow itself.
    fn log_slow(&self, words: Vec<Vec<u8>>, took_ns: u64, at: WallMs) {
        let settings = self.server.settings();
        let slower_than_us = settings.server.slowlog_slower_than_us;
        if !u64::try_from(slower_than_us).is_ok_and(|it| it <= took_ns / 1000) {
            return;
        }
        let slow = Slow {
            id: 0,
            at,
            took_us: took_ns / 1000,
            words,
            address: self.client.peer.address.clone(),
            who: self.client.logged(),
            name: self.client.names.lock().name.clone(),
        };
        self.server.slowlog.lock().push(slow, settings.server.slowlog_entries_max);
    }
}
