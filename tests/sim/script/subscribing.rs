//! Subscriptions and messages.

use super::*;

impl Script {
    /// Asks for another protocol, if its subscriptions do not depend on it.
    pub fn say_hello(&mut self, version: u8) {
        if self.subscribed.is_empty() {
            self.is_resp3 = version == 3;
            self.say("HELLO", &[version.to_string()], What::Hello);
        }
    }

    /// Whether it can ask for nothing but subscriptions.
    pub fn only_listens(&self) -> bool {
        !self.is_resp3 && !self.subscribed.is_empty()
    }

    /// It speaks RESP2 and has subscribed.
    pub fn draw_listening(&mut self, around: &mut Around<'_>) {
        match around.below(8) {
            0 => self.say("PING", &[], What::Ping),
            1 | 2 => self.subscribe(around),
            3 | 4 => self.unsubscribe(around),
            5 => {
                let number = around.number();
                self.unsubscribe_all(number);
            }
            6 if around.below(20) == 0 => self.quit(),
            // It only listens for a while.
            _ => {}
        }
    }

    pub fn subscribe(&mut self, around: &mut Around<'_>) {
        let kind = [CHANNEL, CHANNEL, PATTERN, SHARD][around.below(4)];
        let names: Vec<String> = (0..1 + around.below(3)).map(|_| a_name(kind, around)).collect();
        let number = around.number();
        let word = ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"][usize::from(kind)];
        self.change_subscriptions(word, kind, names, (true, number));
    }

    pub fn unsubscribe(&mut self, around: &mut Around<'_>) {
        let kind = [CHANNEL, PATTERN, SHARD][around.below(3)];
        let had: Vec<String> = self.names_of(kind);
        let name = match had.len() {
            0 => a_name(kind, around),
            count => had[around.below(count)].clone(),
        };
        let number = around.number();
        self.change_subscriptions(
            UNSUBSCRIBE[usize::from(kind)],
            kind,
            vec![name],
            (false, number),
        );
    }

    /// Ends all subscriptions.
    pub fn unsubscribe_all(&mut self, number: u64) {
        for kind in [CHANNEL, PATTERN, SHARD] {
            // Of many, it is long, and may be refused.
            for some in self.names_of(kind).chunks(3) {
                let word = UNSUBSCRIBE[usize::from(kind)];
                self.change_subscriptions(word, kind, some.to_vec(), (false, number));
            }
        }
    }

    pub fn names_of(&self, kind: u8) -> Vec<String> {
        let of_kind = self.subscribed.iter().filter(|it| it.0 == kind);
        of_kind.map(|it| it.1.clone()).collect()
    }

    /// Each name is answered by itself.
    pub fn change_subscriptions(
        &mut self,
        word: &str,
        kind: u8,
        names: Vec<String>,
        (is_on, number): (bool, u64),
    ) {
        if self.has_quit {
            return;
        }
        let words = std::iter::once(word).chain(names.iter().map(String::as_str));
        self.write_words(&words.collect::<Vec<_>>());
        for name in names {
            let name = (kind, name);
            match is_on {
                true => self.subscribed.insert(name.clone()),
                false => self.subscribed.remove(&name),
            };
            // Shard channels are counted by themselves.
            let is_counted = |it: &&Name| (it.0 == SHARD) == (kind == SHARD);
            let count = self.subscribed.iter().filter(is_counted).count() as i64;
            let what = What::Subscribe { name, is_on, number, count };
            self.asked.push_back(Asked::new(what, true));
        }
    }

    pub fn publish(&mut self, around: &mut Around<'_>) {
        let number = around.number();
        let (words, what) = (self.publish_words(number, around), What::Publish { number });
        match around.below(4) {
            0 => self.call("EVAL", &words, what),
            _ => self.say(&words[0], &words[1..], what),
        }
    }

    /// Each message says whose it is.
    pub fn publish_words(&self, number: u64, around: &mut Around<'_>) -> Vec<String> {
        let (word, kind) = [("PUBLISH", CHANNEL), ("SPUBLISH", SHARD)][around.below(4) / 3];
        let channel = match kind {
            SHARD => a_name(SHARD, around),
            _ => format!("ch{}", around.below(CHANNELS)),
        };
        vec![word.to_owned(), channel, format!("m{number}")]
    }
}

/// A name of this kind that can be subscribed to.
fn a_name(kind: u8, around: &mut Around<'_>) -> String {
    let (db, key) = (around.below(DATABASES), around.random.below(KEYS));
    match (kind, around.below(5)) {
        (CHANNEL, 0) => format!("__keyspace@{db}__:k{key}"),
        (CHANNEL, 1) => format!("__keyevent@{db}__:set"),
        (CHANNEL, _) => format!("ch{}", around.below(CHANNELS)),
        (SHARD, _) => format!("sc{}", around.below(CHANNELS)),
        (_, 0) => format!("__keyspace@{db}__:k*"),
        (_, 1) => "__key*__:*".to_owned(),
        (_, 2) => format!("*h{}", around.below(CHANNELS)),
        _ => "ch*".to_owned(),
    }
}
