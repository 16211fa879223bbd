//! One client of both servers: it says the same to each and compares what they answer.

use super::classes::{Class, agree, class, forgets_zero_signs, witness};
use super::vocabulary::Vocabulary;
use crate::support::{Server, Value, Wire, Words, words};

/// Databases from here on are the clients' second ones.
pub const SECOND_DBS: usize = 8;

/// Whose replies count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// The Redis that Entourage follows.
    Redis,
    /// A newer server: its forms and options count, the words of its refusals do not.
    Valkey,
}

/// The two servers.
pub struct Servers {
    /// Which the other one is.
    pub model: Model,
    /// A real Redis, or a Valkey.
    pub theirs: Server,
    /// Entourage.
    pub ours: Server,
}

/// A connection to each server, in a database of its own.
pub struct Client {
    model: Model,
    theirs: Wire,
    ours: Wire,
    /// Which client of the servers it is.
    pub index: usize,
    /// What its commands are made of.
    pub vocabulary: Vocabulary,
    /// All that it has said.
    pub log: Vec<Words>,
    /// Whether HELLO 3 was taken.
    pub speaks_resp3: bool,
}

/// Two replies that may not both be given.
#[derive(Debug)]
pub struct Mismatch {
    /// Where the command stands in the client's log.
    pub at: usize,
    /// The order of elements counts too.
    pub is_strict: bool,
    /// What Redis answered.
    pub theirs: Value,
    /// What Entourage answered.
    pub ours: Value,
}

impl Client {
    /// Connects; odd clients speak RESP3.
    pub fn dial(servers: &Servers, index: usize, crowd: u64) -> Client {
        let other_db = SECOND_DBS + index;
        let mut client = Client {
            model: servers.model,
            theirs: servers.theirs.dial(),
            ours: servers.ours.dial(),
            index,
            vocabulary: Vocabulary { db: index, other_db, crowd },
            log: vec![],
            speaks_resp3: false,
        };
        if index % 2 == 1 && !client.ours.ask("HELLO 3").is_error() {
            client.theirs.ask("HELLO 3");
            client.speaks_resp3 = true;
        }
        client.select(index);
        client
    }

    /// Whether what scripts answer is compared: a newer server has other words for mistakes.
    pub fn runs_scripts(&self) -> bool {
        self.model == Model::Redis
    }

    /// Whether the other one is a newer server.
    pub fn is_newer(&self) -> bool {
        self.model == Model::Valkey
    }

    /// Does the same at both servers.
    pub fn on_each(&mut self, mut deed: impl FnMut(&mut Wire)) {
        deed(&mut self.theirs);
        deed(&mut self.ours);
    }

    /// Asks both servers, outside of the log.
    pub fn ask_both(&mut self, command: &Words) -> (Value, Value) {
        self.on_each(|wire| wire.send(std::slice::from_ref(command)));
        (self.theirs.read(), self.ours.read())
    }

    /// Works in another database from now on.
    pub fn select(&mut self, db: usize) {
        self.on_each(|wire| assert_eq!(wire.ask(&format!("SELECT {db}")).string(), "OK"));
    }

    /// Sends commands to both.
    pub fn send(&mut self, batch: &[Words]) {
        self.on_each(|wire| wire.send(batch));
        self.log.extend_from_slice(batch);
    }

    /// Reads and compares the replies of the last batch; answers Redis' replies.
    pub fn receive(&mut self, batch: &[Words]) -> Result<Vec<Value>, Mismatch> {
        let theirs = self.theirs.read_many(batch.len());
        let ours = self.ours.read_many(batch.len());
        let first = self.log.len() - batch.len();
        for (index, command) in batch.iter().enumerate() {
            let class = self.class(command);
            let told = witness(command).filter(|it| batch.get(index + 1) == Some(it));
            let told = told.map(|_| &ours[index + 1]);
            let (theirs, ours) = (&theirs[index], &ours[index]);
            let is_same = agree(class, theirs, ours, told)
                || forgets_zero_signs(command)
                    && agree(class, &theirs.unsigned(), &ours.unsigned(), told)
                || self.model == Model::Valkey && theirs.is_error() && ours.is_error();
            if !is_same {
                return Err(mismatch(first + index, theirs, ours));
            }
            if class == Class::Popped && theirs != ours {
                self.reconcile(first + index, command, theirs, ours)?;
            }
        }
        Ok(theirs)
    }

    /// Forms are told exactly by who has them all.
    fn class(&self, command: &Words) -> Class {
        match (self.model, class(command)) {
            (Model::Valkey, Class::Encoding) => Class::Exact,
            (_, class) => class,
        }
    }

    /// Sends commands and compares their replies.
    pub fn play(&mut self, batch: &[Words]) -> Result<Vec<Value>, Mismatch> {
        let mut replies = vec![];
        for part in batch.split_inclusive(|it| class(it) == Class::Popped) {
            self.send(part);
            replies.extend(self.receive(part)?);
        }
        Ok(replies)
    }

    /// Asks something whose reply must be the same to the last byte.
    pub fn play_strictly(&mut self, command: &Words) -> Result<(), Mismatch> {
        self.log.push(command.clone());
        let (theirs, ours) = self.ask_both(command);
        match theirs == ours {
            true => Ok(()),
            false => {
                let mismatch = mismatch(self.log.len() - 1, &theirs, &ours);
                Err(Mismatch { is_strict: true, ..mismatch })
            }
        }
    }

    /// Makes Redis' set what it were if Redis had popped what Entourage popped. What is left may be
    /// encoded by what was popped; then both make the set anew.
    fn reconcile(
        &mut self,
        at: usize,
        command: &Words,
        theirs: &Value,
        ours: &Value,
    ) -> Result<(), Mismatch> {
        let texts = |it: &Value| -> Words {
            let items = it.items().map_or_else(|| vec![it.clone()], <[Value]>::to_vec);
            items.iter().map(|it| it.text().expect("a member").to_vec()).collect()
        };
        let with =
            |name: &str, rest: Words| [words(&[name.as_bytes(), &command[1]]), rest].concat();
        let popped = texts(ours);
        let count = popped.len() as i64;
        self.theirs.cmd(&with("SADD", texts(theirs)));
        if self.theirs.cmd(&with("SREM", popped)) != Value::Int(count) {
            return Err(mismatch(at, theirs, ours));
        }
        let encoding = vec![b"OBJECT".to_vec(), b"ENCODING".to_vec(), command[1].clone()];
        let (theirs, ours) = self.ask_both(&encoding);
        if theirs != ours {
            let members = texts(&self.theirs.cmd(&with("SMEMBERS", vec![])));
            self.ask_both(&with("DEL", vec![]));
            self.ask_both(&with("SADD", members));
        }
        Ok(())
    }
}

fn mismatch(at: usize, theirs: &Value, ours: &Value) -> Mismatch {
    Mismatch { at, is_strict: false, theirs: theirs.clone(), ours: ours.clone() }
}
