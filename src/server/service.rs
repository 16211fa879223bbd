//! What a service manager, which is systemd, is told: that we are ready, how we stand, and that our
//! workers run.
//!
//! ```text
//!   loading ──▶ READY=1 ──▶ STATUS=…, WATCHDOG=1 … ──▶ STOPPING=1, or MAINPID=…
//!                 ▲     RELOADING=1 │
//!                 └─────────────────┘
//! ```

use super::placement::{Answers, Threads};
use crate::base::time::MonoUs;
use crate::commands::{NodeFields, all_nodes};
use crate::runtime::notify::NotifySocket;
use crate::runtime::{clock, tasks};
use crate::state::Server;
use futures::future::select;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// How often it is told how we stand, where that has changed.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// While files are loaded, or the last snapshot is made, it is asked for this much more time each
/// time.
const TAKES_LONG: &str = "EXTEND_TIMEOUT_USEC=30000000\n";

/// A service manager.
pub struct ServiceManager {
    /// Where it is told.
    pub socket: NotifySocket,
    /// Within which time it wants to hear that we live, if it does.
    pub watchdog: Option<Duration>,
}

impl ServiceManager {
    /// Does what reads the configuration again, with a word before and after it.
    pub fn around_reload(&self, reload: impl FnOnce()) {
        self.socket.tell_reloading();
        reload();
        self.socket.tell("READY=1\n");
    }

    /// Tells that we end, or which process has taken our place, with which the service goes on.
    /// Answers whether it could be told.
    pub fn tell_end(&self, server: &Server) -> bool {
        match server.upgrade.successor() {
            Some(pid) => self.socket.tell(&format!("MAINPID={pid}\n")),
            None => self.socket.tell("STOPPING=1\n"),
        }
    }

    /// How often it is told something.
    fn every(&self) -> Duration {
        self.watchdog.map_or(STATUS_EVERY, |it| STATUS_EVERY.min(it / 4))
    }
}

/// Tells it all there is to tell, for as long as the process lives.
pub async fn tell_manager(
    server: Arc<Server>,
    threads: Arc<Threads>,
    manager: Arc<ServiceManager>,
) {
    let mut telling = Telling {
        is_ready: false,
        is_stopping: false,
        status: String::new(),
        question: None,
        manager,
        threads,
        server: server.clone(),
    };
    loop {
        telling.tell();
        let rest = pin!(tasks::sleep(telling.manager.every()));
        match telling.is_stopping {
            true => rest.await,
            false => _ = select(rest, pin!(server.closed())).await,
        }
    }
}

/// What has been told so far.
struct Telling {
    server: Arc<Server>,
    threads: Arc<Threads>,
    manager: Arc<ServiceManager>,
    is_ready: bool,
    is_stopping: bool,
    status: String,
    /// What the workers have been asked last.
    question: Option<Question>,
}

/// Whether the workers run: each answers when a task of its own has its turn there.
struct Question {
    answers: Answers,
    asked_at: MonoUs,
    /// That there are too few answers was logged.
    is_told: bool,
}

impl Telling {
    fn tell(&mut self) {
        let socket = &self.manager.socket;
        if self.server.is_closing() {
            self.is_stopping = self.is_stopping || self.manager.tell_end(&self.server);
        } else if self.server.is_ending() || self.server.set.is_loading() {
            socket.tell(TAKES_LONG);
        } else {
            self.is_ready = self.is_ready || socket.tell("READY=1\n");
        }
        let status = status(&self.server);
        if status != self.status && socket.tell(&format!("STATUS={status}\n")) {
            self.status = status;
        }
        if let Some(within) = self.manager.watchdog {
            self.look_at_workers(within, clock::mono_now());
        }
    }

    /// Tells that we live once all workers have answered, and asks them again. This task's own
    /// thread, which has the listeners and the timers, runs as well then.
    fn look_at_workers(&mut self, within: Duration, now: MonoUs) {
        if let Some(question) = &mut self.question {
            let Answers { asked, .. } = question.answers;
            let answered = question.answers.count();
            if answered < asked {
                let ms = now.since(question.asked_at) / 1000;
                if !question.is_told && within.as_millis() <= ms.into() {
                    question.is_told = true;
                    log::error!("event=workers-stuck answered={answered} of={asked} ms={ms}");
                }
                return;
            }
            self.manager.socket.tell("WATCHDOG=1\n");
        }
        let answers = self.threads.ask_workers();
        self.question = Some(Question { answers, asked_at: now, is_told: false });
    }
}

/// How we stand, on one line.
fn status(server: &Server) -> String {
    if server.set.is_loading() {
        let status = server.persistence.status();
        let percent =
            status.loading.as_ref().map_or(0, |it| 100 * it.read.min(it.total) / it.total.max(1));
        return format!("Loading: {percent} %");
    }
    let nodes = all_nodes(server, clock::mono_now());
    let is_master = |fields: &NodeFields| {
        fields.iter().any(|(name, field)| *name == "role" && field.text() == "master")
    };
    let master = nodes.iter().find(|it| is_master(&it.1));
    let replicas = nodes.len() - usize::from(master.is_some());
    let head = match (server.set.remote(), master) {
        (Some(remote), _) => format!("Follows {}", remote.address),
        (None, Some((name, _))) => format!("Master {name}"),
        (None, None) => "No master".to_owned(),
    };
    let clients = server.clients.count();
    let ends = if server.is_closing() { "Stopping. " } else { "" };
    format!("{ends}{head}, replicas: {replicas}, clients: {clients}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn workers_answer_when_they_run_and_not_when_one_is_stuck() {
        let threads = Threads::start(2, || Box::new(|| false)).expect("threads can be started");
        let all_answer = |answers: Answers| {
            while answers.count() < answers.asked {
                std::thread::yield_now();
            }
            answers.asked
        };
        assert_eq!(all_answer(threads.ask_workers()), 2);
        let ((stuck, is_stuck), (release, released)) = (channel(), channel());
        threads.spawn(threads.place(), move || async move {
            stuck.send(()).expect("the test waits");
            // As no task does that is not broken.
            released.recv().expect("the test goes on");
        });
        is_stuck.recv().expect("it has begun");
        let answers = threads.ask_workers();
        while answers.count() < 1 {
            std::thread::yield_now();
        }
        assert_eq!(answers.count(), 1, "the other one runs");
        release.send(()).expect("it waits");
        assert_eq!(all_answer(answers), 2);
    }
}
