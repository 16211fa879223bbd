//! What a client asks of its session, of other clients and of their replies.

use super::*;

impl Script {
    pub fn consistency(&mut self, around: &mut Around<'_>) {
        match around.below(8) {
            0 => self.be_called(around.any_of(&["one", "other"])),
            1 => self.share(around.any_of(&["client-name", "client-name", "user", "connection"])),
            _ => self.stand_at(around.any_of(LEVELS)),
        }
    }

    /// Asks for a name.
    pub fn be_called(&mut self, name: &str) {
        self.name = name.to_owned();
        let what = What::Share { group: self.group() };
        self.say("CLIENT SETNAME", &[name.to_owned()], what);
    }

    /// Asks for a floor that is shared within this scope.
    pub fn share(&mut self, scope: &'static str) {
        self.scope = scope;
        let what = What::Share { group: self.group() };
        self.say("PROXY CONSISTENCY SCOPE", &[scope.to_owned()], what);
    }

    /// Those with whom it shares a floor.
    fn group(&self) -> Option<String> {
        match self.scope {
            "client-name" if !self.name.is_empty() => Some(format!("name {}", self.name)),
            "user" => Some("user".to_owned()),
            _ => None,
        }
    }

    /// Asks for a level.
    pub fn stand_at(&mut self, level: &str) {
        self.level = Level::parse(level).expect("a level");
        self.say(&format!("PROXY CONSISTENCY {level}"), &[], What::Granted);
    }

    pub fn ask_for_acks(&mut self, around: &mut Around<'_>) {
        let ms = (1 + around.below(20)).to_string();
        let (acks, args) = match around.below(6) {
            0 | 1 => (AskedFor::Nothing, vec!["0".to_owned()]),
            5 => (AskedFor::All, vec!["all".to_owned(), ms]),
            2 => (AskedFor::InSync, vec!["in-sync".to_owned(), ms]),
            _ => {
                let replicas = 1 + around.below(around.members);
                (AskedFor::Replicas(replicas), vec![replicas.to_string(), ms])
            }
        };
        self.acks = acks;
        self.say("PROXY ACKS", &args, What::Granted);
    }

    pub fn pause(&mut self, around: &mut Around<'_>) {
        let (all, ms) = (around.below(3) == 0, 1 + around.random.below(20));
        let mode = if all { "ALL" } else { "WRITE" };
        let args = [ms.to_string(), mode.to_owned()];
        self.say("CLIENT PAUSE", &args, What::Pause { all, ms });
    }

    pub fn unblock(&mut self, around: &mut Around<'_>) {
        let id = around.clients[around.below(around.clients.len())];
        let how = around.any_of(&["TIMEOUT", "ERROR"]).to_owned();
        self.say("CLIENT UNBLOCK", &[id.to_string(), how], What::Unblock { id });
    }

    pub fn kill(&mut self, around: &mut Around<'_>) {
        let id = around.clients[around.below(around.clients.len())];
        if id != self.id {
            self.say("CLIENT KILL ID", &[id.to_string()], What::Kill { id });
        }
    }

    /// Some requests without replies: the next one, or all until it wants them again.
    pub fn hush(&mut self, around: &mut Around<'_>) {
        self.is_silent = true;
        if around.below(2) == 0 {
            self.say("CLIENT REPLY SKIP", &[], What::Granted);
            self.unheard(around);
            self.is_silent = false;
        } else {
            self.say("CLIENT REPLY OFF", &[], What::Granted);
        }
    }

    pub fn draw_silent(&mut self, around: &mut Around<'_>) {
        if around.below(3) != 0 {
            return self.unheard(around);
        }
        self.end_silence();
    }

    /// Wants replies again.
    pub fn end_silence(&mut self) {
        if self.is_silent {
            self.is_silent = false;
            self.say("CLIENT REPLY ON", &[], What::Granted);
        }
    }

    pub fn unheard(&mut self, around: &mut Around<'_>) {
        let number = around.number();
        match around.below(4) {
            0 => self.say("ECHO", &[number.to_string()], What::Echo { number }),
            1 => self.say("WAIT 1 5", &[], What::Wait { replicas: 1 }),
            2 => self.say("GET k0", &[], self.get_of((self.db, 0), true)),
            _ => {
                let name = format!("x{}", self.id);
                self.say("SET", &[name, number.to_string()], What::Other { acks: self.acks });
            }
        }
    }
}
