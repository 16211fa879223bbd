//! The upgrade, as the process does it that takes another's place. The other's part is in
//! `upgrade.rs`, and the way of it in `state/upgrade.rs`.

use super::disk::{Store, go_on_with_files};
use super::link_replies::LinkReplies;
use crate::base::position::Offset;
use crate::base::remote_address::RemoteAddress;
use crate::base::time::MonoUs;
use crate::node::Member;
use crate::resp::encode_command;
use crate::runtime::link::{Exchange, Link};
use crate::runtime::passed_sockets::PassedSocket;
use crate::runtime::sent_sockets::SocketsInbox;
use crate::runtime::{clock, process, tasks};
use crate::state::{Server, UPGRADE_NOT_YET};
use std::io::ErrorKind::{ConnectionRefused, NotFound};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often who waits for data or for the other process' end looks again.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long the system may take to let go of the directory of a process that has ended.
const FREED_WITHIN: Duration = Duration::from_secs(2);
/// How often it is said what is waited for.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// How often the directory is tried again, where it cannot be taken.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// How long the other process may take for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long the other process may take to take its role back from one that has ended.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// How long clients wait for what the other process had of the master that both follow.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(2);
const REPLY_BYTES_MAX: usize = 64 << 10;

/// The process whose place is taken.
pub struct Predecessor {
    link: Link,
    replies: LinkReplies,
    /// Where it is reached.
    path: String,
    /// Where it reaches us.
    own_path: String,
    pid: u32,
    /// Where the stream ended there when it was asked.
    offset: Offset,
    /// Whom it follows.
    master: Option<RemoteAddress>,
    /// Its members are real servers: there is no data to take.
    is_upstream: bool,
    dir: String,
}

impl Predecessor {
    /// The process that listens at this path.
    pub async fn find(path: &str) -> Result<Predecessor, String> {
        if path.is_empty() {
            return Err("--upgrade needs server.upgrade-socket, which names no path".to_owned());
        }
        let path = process::absolute(path);
        let link = Link::connect_path(&path).await.map_err(|why| {
            format!("nobody to take over from at server.upgrade-socket = {path}: {why}")
        })?;
        process::remove_sockets_of_ended(Path::new(&path));
        let own_path = format!("{path}.{}", process::id());
        let mut found = Predecessor {
            link,
            replies: LinkReplies::up_to(REPLY_BYTES_MAX),
            path,
            own_path,
            pid: 0,
            offset: Offset::ZERO,
            master: None,
            is_upstream: false,
            dir: String::new(),
        };
        let until = clock::mono_now().plus(BACK_WITHIN);
        loop {
            match found.look().await {
                Err(why) if why.contains(UPGRADE_NOT_YET) && clock::mono_now() < until => {
                    tasks::sleep(LOOK_EVERY).await;
                }
                looked => break looked?,
            }
        }
        log::info!("event=upgrade-begins predecessor={}", found.pid);
        Ok(found)
    }

    /// Asks who it is, and how it stands.
    async fn look(&mut self) -> Result<(), String> {
        let told = self.ask(&["BEGIN"]).await?;
        let field = |name: &str| {
            told.lines().find_map(|it| it.split_once(':').filter(|it| it.0 == name)).map(|it| it.1)
        };
        let number = |name: &str| field(name).and_then(|it| it.parse::<u64>().ok());
        let pid = number("pid").and_then(|it| u32::try_from(it).ok()).filter(|it| *it != 0);
        self.pid = pid.ok_or("it does not say who it is")?;
        self.offset = Offset::new(number("offset").ok_or("it does not say how it stands")?);
        self.master = field("master").and_then(RemoteAddress::parse);
        self.is_upstream = field("upstream") == Some("1");
        self.dir = field("dir").unwrap_or_default().to_owned();
        Ok(())
    }

    /// Where it reaches us.
    pub fn own_path(&self) -> &str {
        &self.own_path
    }

    /// Its listening sockets.
    pub async fn sockets(&mut self) -> Result<Vec<PassedSocket>, String> {
        let path = format!("{}.sockets", self.own_path);
        let inbox = SocketsInbox::at(Path::new(&path)).map_err(|it| format!("{path}: {it}"))?;
        self.ask(&["SOCKETS", &path]).await?;
        inbox.take().map_err(|why| format!("its sockets did not come: {why}"))
    }

    /// Begins to follow the master that it follows, or itself.
    pub fn follow(&self, server: &Server) -> Result<(), String> {
        if self.is_upstream != server.upstream.is_some() {
            return Err("one of the two hosts its members, the other has real servers".to_owned());
        }
        if self.is_upstream {
            return Ok(());
        }
        let told = |why| format!("upgrade: {why}");
        let by_file = server.settings().set.master.clone();
        let followed = match &self.master {
            Some(master) if by_file.as_ref() == Some(master) => server.follow(by_file),
            Some(master) => server.follow_at_run_time(Some(master.clone())),
            None => server.follow(Some(RemoteAddress::at_path(&self.path))),
        };
        followed.map(drop).map_err(told)
    }

    /// Waits until all members have what the other process had when the link was up.
    pub async fn until_in_step(&mut self, server: &Server) -> Result<(), String> {
        if self.is_upstream {
            return Ok(());
        }
        let mut patience = Patience::default();
        let is_linked = || server.set.remote().is_some_and(|it| it.is_connected());
        while !is_linked() {
            patience.wait(self.pid, server, "the link to be up").await?;
        }
        self.look().await?;
        let is_in_step = |it: &Arc<Member>| it.is_sound() && self.offset <= it.applied();
        while !is_linked() || !server.set.members().all(is_in_step) {
            patience.wait(self.pid, server, "all members to have everything").await?;
        }
        Ok(())
    }

    /// Takes its place alone, and becomes the master in it, if it is one. Its clients' writes come
    /// here from then on.
    pub async fn take_role(&mut self, server: &Server) -> Result<(), String> {
        let pid = process::id().to_string();
        let path = self.own_path.clone();
        let master = self.master.as_ref().map_or_else(String::new, ToString::to_string);
        let mut patience = Patience::default();
        loop {
            match self.ask(&["ROLE", &pid, &path, &master]).await {
                Ok(_) => break,
                Err(AskFault::Refused(why)) if why.contains(UPGRADE_NOT_YET) => {
                    patience.wait(self.pid, server, &why).await?;
                }
                Err(why) => return Err(why.into()),
            }
        }
        if server.is_closing() {
            return Err(TOLD_TO_END.to_owned());
        }
        let has_role = self.is_upstream || self.master.is_some() || !server.set.is_following();
        if has_role { Ok(()) } else { Err("it has not handed its role over".to_owned()) }
    }

    /// Has it end: it accepts nobody more, gives its files up, and serves what it was asked. One of
    /// the two goes on, so who does not answer is asked again until it refuses, or has heard.
    pub async fn end(&mut self, server: &Server) -> Result<(), String> {
        let pid = process::id().to_string();
        loop {
            match self.ask(&["END", &pid]).await {
                Ok(told) => {
                    self.until_caught_up(server, &told).await;
                    return Ok(());
                }
                Err(AskFault::Refused(why)) => return Err(why),
                Err(AskFault::Silent(why)) => log::warn!("event=upgrade-waits for={why:?}"),
            }
            match self.connect_again().await {
                true => {}
                // It has gone without a word, or listens no more: nobody else serves.
                false => return Ok(()),
            }
        }
    }

    /// Connects again. `false` where it has ended, or will.
    async fn connect_again(&mut self) -> bool {
        loop {
            match Link::connect_path(&self.path).await {
                Ok(link) => {
                    (self.link, self.replies) = (link, LinkReplies::up_to(REPLY_BYTES_MAX));
                    return true;
                }
                Err(why) if matches!(why.kind(), NotFound | ConnectionRefused) => return false,
                Err(_) if process::has_ended(self.pid) => return false,
                Err(_) => tasks::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Where both follow another, the other process' clients have seen what it had at its end,
    /// which is in `told`. They wait for us to have it, too, though not for long.
    async fn until_caught_up(&self, server: &Server, told: &str) {
        let end = told.split(' ').nth(1).and_then(|it| it.parse().ok()).map(Offset::new);
        let Some(end) = end.filter(|_| self.master.is_some()) else { return };
        let until = clock::mono_now().plus(CATCH_UP_WITHIN);
        while !server.set.members().all(|it| end <= it.applied()) {
            if until <= clock::mono_now() {
                log::warn!("event=upgrade-behind offset={end}");
                return;
            }
            tasks::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until it has ended.
    pub async fn until_ended(&self) {
        let mut told_at = clock::mono_now();
        while !process::has_ended(self.pid) {
            tell_now_and_then(&mut told_at, "the process before to end");
            tasks::sleep(LOOK_EVERY).await;
        }
        log::info!("event=upgrade-done predecessor={}", self.pid);
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether our files are to be where its files are. What another directory holds would be lost
    /// by taking it.
    pub fn check_dir(&self, dir: &str) -> Result<(), String> {
        let dir_there = |it: &str| match it {
            "" => String::new(),
            dir => process::absolute(dir),
        };
        match self.is_upstream || dir_there(dir) == self.dir {
            true => Ok(()),
            false => Err(format!(
                "set.dir = {dir}: an upgrade goes on with the files in {:?}; move them at another \
                 time",
                self.dir
            )),
        }
    }

    /// Asks, and answers what is said, as text.
    async fn ask(&mut self, words: &[&str]) -> Result<String, AskFault> {
        let asked = tasks::within(ANSWER_WITHIN, self.ask_now(words)).await;
        let told = |why: String| format!("PROXY UPGRADE {}: {why}", words[0]);
        match asked {
            None => Err(AskFault::Silent(told("it does not answer".to_owned()))),
            Some(Err(why)) => Err(AskFault::Silent(told(why))),
            Some(Ok(reply)) => text_of(&reply).map_err(|why| AskFault::Refused(told(why))),
        }
    }

    async fn ask_now(&mut self, words: &[&str]) -> Result<Vec<u8>, String> {
        let mut request = Vec::new();
        let words = [&["PROXY", "UPGRADE"], words].concat();
        encode_command(&mut request, words.iter().map(|it| it.as_bytes()));
        self.link.send(&request).await.map_err(|why| why.to_string())?;
        self.replies.next(&self.link).await.map_err(|why| why.to_string())
    }
}

/// Why there is no answer that does what was asked for.
enum AskFault {
    /// It says why not.
    Refused(String),
    /// It says nothing: it may have heard, or not.
    Silent(String),
}

impl From<AskFault> for String {
    fn from(fault: AskFault) -> String {
        match fault {
            AskFault::Refused(why) | AskFault::Silent(why) => why,
        }
    }
}

const TOLD_TO_END: &str = "this process was told to end";

/// Waits for something of the other process, and says so now and then.
#[derive(Default)]
struct Patience {
    told_at: Option<MonoUs>,
}

impl Patience {
    async fn wait(&mut self, pid: u32, server: &Server, what: &str) -> Result<(), String> {
        if process::has_ended(pid) {
            return Err("the process to take over from has ended".to_owned());
        }
        if server.is_closing() {
            return Err(TOLD_TO_END.to_owned());
        }
        tell_now_and_then(self.told_at.get_or_insert_with(clock::mono_now), what);
        tasks::sleep(LOOK_EVERY).await;
        Ok(())
    }
}

fn tell_now_and_then(told_at: &mut MonoUs, what: &str) {
    let now = clock::mono_now();
    if told_at.plus(TELL_EVERY) <= now {
        *told_at = now;
        log::info!("event=upgrade-waits for={what:?}");
    }
}

/// What a reply says: a line, or a text; an error's text is an error.
fn text_of(reply: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(reply);
    let (head, rest) = text.split_once("\r\n").unwrap_or((&text, ""));
    match head.as_bytes().first() {
        Some(b'-') => Err(head[1..].to_owned()),
        Some(b'$') => Ok(rest.to_owned()),
        _ => Ok(head.get(1..).unwrap_or_default().to_owned()),
    }
}

/// Takes the directory as soon as the process of this number gives it up, and goes on with its
/// files. Where that is not possible when it has ended, no write is taken that is to be on disk.
pub async fn take_files(server: Arc<Server>, predecessor: u32) {
    let mut ended_at = None;
    loop {
        let settings = server.settings();
        let store = tasks::apart(move || Store::open(&settings.set.disk)).await;
        let why = match store {
            Ok(None) => break,
            Ok(Some(store)) => match go_on_with_files(server.clone(), store) {
                Ok(()) => break,
                Err(why) => format!("no thread: {why}"),
            },
            Err(why) => why,
        };
        let now = clock::mono_now();
        if process::has_ended(predecessor) {
            ended_at.get_or_insert(now);
        }
        if ended_at.is_none_or(|it| now < it.plus(FREED_WITHIN)) {
            tasks::sleep(LOOK_EVERY).await;
            continue;
        }
        log::error!("event=directory-not-taken why={why:?}");
        server.persistence.status().aof.trouble = Some(why);
        server.settle_disk_trouble();
        tasks::sleep(TRY_EVERY).await;
    }
    server.upgrade.await_files(false);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_a_line_a_text_or_an_error() {
        let text = |it: &str| text_of(it.as_bytes());
        assert_eq!(text("+OK\r\n"), Ok("OK".to_owned()));
        assert_eq!(text("$7\r\na:1\r\nb:\r\n"), Ok("a:1\r\nb:\r\n".to_owned()));
        assert_eq!(text("-ERR no\r\n"), Err("ERR no".to_owned()));
        assert_eq!(text(""), Ok(String::new()));
    }
}
