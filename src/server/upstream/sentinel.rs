//! Asks sentinels who the master is and who follows it, and hears from them when that changes.

use super::members::attend_member;
use super::talk::{Talk, other};
use crate::base::remote_address::RemoteAddress;
use crate::config::Sentinels;
use crate::node::upstream::{Backoff, MasterVotes, replica_addresses};
use crate::runtime::{clock, tasks};
use crate::server::placement::Threads;
use crate::state::Upstream;
use futures::future::select;
use parking_lot::Mutex;
use std::io;
use std::pin::pin;
use std::sync::Arc;

/// The channel on which sentinels tell of another master.
const SWITCH: &[u8] = b"+switch-master";
/// And that somebody does not answer them.
const DOWN: &[u8] = b"+sdown";

/// What all of them have said.
struct Council {
    upstream: Arc<Upstream>,
    threads: Arc<Threads>,
    sentinels: Sentinels,
    votes: Mutex<MasterVotes>,
}

/// Begins to ask all of them.
pub fn start(upstream: &Arc<Upstream>, threads: &Arc<Threads>, sentinels: &Sentinels) {
    let council = Arc::new(Council {
        upstream: upstream.clone(),
        threads: threads.clone(),
        sentinels: sentinels.clone(),
        votes: Mutex::new(MasterVotes::new(sentinels.addresses.len())),
    });
    for number in 0..sentinels.addresses.len() {
        tasks::spawn(ask(council.clone(), number));
        tasks::spawn(hear(council.clone(), number));
    }
}

/// Asks one of them again and again, until the process ends.
async fn ask(council: Arc<Council>, number: usize) {
    let mut backoff = Backoff::new(clock::entropy());
    loop {
        let (error, has_answered) = council.ask_until_it_ends(number).await;
        if has_answered {
            backoff.succeeded();
        }
        council.change(|votes| votes.silent(number));
        let address = &council.sentinels.addresses[number];
        log::warn!("event=sentinel-silent address={address} why={error}");
        tasks::sleep(backoff.failed()).await;
    }
}

/// Hears one of them, until the process ends.
async fn hear(council: Arc<Council>, number: usize) {
    let mut backoff = Backoff::new(clock::entropy());
    loop {
        // Whoever asks tells of what is wrong with it.
        if let Err(error) = council.hear_until_it_ends(number).await {
            log::debug!("event=sentinel-unheard why={error}");
        }
        tasks::sleep(backoff.failed()).await;
    }
}

impl Council {
    async fn open(&self, number: usize) -> io::Result<Talk> {
        let timeout = self.upstream.settings.connect_timeout;
        let (address, login) = (&self.sentinels.addresses[number], self.sentinels.login());
        Talk::open(address, login, timeout, self.upstream.tls.upstream()).await
    }

    /// Answers what has ended it, and whether anything was answered before.
    async fn ask_until_it_ends(&self, number: usize) -> (io::Error, bool) {
        let settings = &self.upstream.settings;
        let (patience, name) = (settings.replica_timeout, self.sentinels.master_name.as_bytes());
        let mut talk = match self.open(number).await {
            Ok(talk) => talk,
            Err(error) => return (error, false),
        };
        let mut has_answered = false;
        loop {
            let doubts = self.upstream.doubts();
            let master = match talk.ask(&[b"SENTINEL", b"MASTER", name], patience).await {
                Ok(master) => master,
                Err(error) => return (error, has_answered),
            };
            if master.starts_with(b"-") {
                return (other(String::from_utf8_lossy(&master).trim_end()), has_answered);
            }
            let replicas = match talk.ask(&[b"SENTINEL", b"REPLICAS", name], patience).await {
                Ok(replicas) => replicas,
                Err(error) => return (error, has_answered),
            };
            has_answered = true;
            let mut named = replica_addresses(&replicas);
            named.iter().for_each(|it| self.know(it));
            self.change(|votes| votes.told(number, &master));
            named.extend(replica_addresses(&master));
            self.upstream.note_named(&named);
            select(pin!(tasks::sleep(settings.probe_every)), doubts).await;
        }
    }

    async fn hear_until_it_ends(&self, number: usize) -> io::Result<()> {
        let mut talk = self.open(number).await?;
        let patience = self.upstream.settings.replica_timeout;
        talk.ask_all([&[b"SUBSCRIBE", SWITCH], &[b"SUBSCRIBE", DOWN]], patience).await?;
        loop {
            let message = talk.next().await?;
            match switched(&message, self.sentinels.master_name.as_str()) {
                Some(address) => {
                    log::info!("event=sentinel-switch-master master={address}");
                    self.change(|votes| votes.announced(number, address));
                }
                // Somebody is down: who that is, is asked at once.
                None => self.upstream.ask_now(),
            }
        }
    }

    /// Who is told of becomes a member, while there is room.
    fn know(&self, address: &RemoteAddress) {
        if let Some(member) = self.upstream.find(address.clone()) {
            log::info!(
                "event=upstream-found name={} address={}",
                member.described.name,
                member.address
            );
            attend_member(&self.upstream, &member, &self.threads);
        }
    }

    /// One of them has said something: whoever enough of them name is the master.
    fn change(&self, change: impl FnOnce(&mut MasterVotes)) {
        let mut votes = self.votes.lock();
        change(&mut votes);
        let master = votes.master(self.sentinels.quorum).cloned();
        if let Some(address) = &master {
            self.know(address);
        }
        let place = master.and_then(|it| self.upstream.place_of(&it));
        self.upstream.appoint(place);
    }
}

/// The new master, if this is the message that tells of one under this name: `name, old host, old
/// port, host, port`.
fn switched(message: &[u8], name: &str) -> Option<RemoteAddress> {
    let text = std::str::from_utf8(message).ok()?;
    let is_switch = text.contains("+switch-master");
    let payload = text.trim_end().rsplit("\r\n").next().filter(|_| is_switch)?;
    let mut words = payload.split(' ');
    let (told, host, port) = (words.next()?, words.nth(2)?, words.next()?);
    let port = port.parse().ok().filter(|it| *it != 0)?;
    (told == name).then(|| RemoteAddress { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_read_from_its_message() {
        let message = |channel: &str, text: &str| {
            format!(
                "*3\r\n$7\r\nmessage\r\n${}\r\n{channel}\r\n${}\r\n{text}\r\n",
                channel.len(),
                text.len()
            )
        };
        let text = "mymaster 10.0.0.1 6379 10.0.0.2 6380";
        let told = switched(message("+switch-master", text).as_bytes(), "mymaster").unwrap();
        assert_eq!(told.to_string(), "10.0.0.2:6380");
        assert_eq!(switched(message("+switch-master", text).as_bytes(), "other"), None);
        assert_eq!(switched(message("+sdown", text).as_bytes(), "mymaster"), None);
    }
}
