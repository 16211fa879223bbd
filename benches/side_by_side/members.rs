//! How far the members of a set have come: a run is over when all have applied everything.

use crate::cpu;
use crate::peers::{Kind, Party};
use crate::wire::Wire;
use std::thread::sleep;
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(120);

/// A server and its replicas, asked for their offsets. The connections are made once, so that
/// making them is not counted as a load's cost.
pub struct Members {
    master: Wire,
    /// Processes of their own; a hosted replica's offset is told by its master.
    replicas: Vec<Wire>,
    hosted: bool,
    pids: Vec<u32>,
}

impl Members {
    pub fn dial(party: &Party) -> Result<Members, String> {
        let dial = |port: &u16| Wire::dial(*port).map_err(|it| it.to_string());
        Ok(Members {
            master: dial(&party.port())?,
            replicas: party.ports()[1..].iter().map(dial).collect::<Result<_, _>>()?,
            hosted: party.kind == Kind::Entourage,
            pids: party.pids(),
        })
    }

    /// Returns when the processes have stopped working and every replica has applied all that was
    /// written before; an error when one does not get there.
    pub fn wait_until_drained_and_quiet(&mut self) -> Result<(), String> {
        cpu::wait_until_quiet(&self.pids);
        if self.drained()? {
            return Ok(());
        }
        self.wait_until_drained()?;
        cpu::wait_until_quiet(&self.pids);
        Ok(())
    }

    /// Returns when every replica has applied all that was written before.
    pub fn wait_until_drained(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        while !self.drained()? {
            if PATIENCE < begun.elapsed() {
                return Err("a replica does not apply what was written".into());
            }
            sleep(LOOK);
        }
        Ok(())
    }

    fn drained(&mut self) -> Result<bool, String> {
        let told = info(&mut self.master, "replication")?;
        let written = number(&told, "master_repl_offset")?;
        if self.hosted {
            return Ok(replica_lines(&told).all(|it| has_applied(it, written)));
        }
        for replica in &mut self.replicas {
            let told = info(replica, "replication")?;
            // Not the offset that its master knows: replicas tell it once a second.
            let applied = number(&told, "slave_repl_offset")?;
            if !told.contains("master_link_status:up") || applied < written {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How often a replica was cut off and had to take everything anew.
    pub fn full_resyncs(&mut self) -> Result<u64, String> {
        if !self.hosted {
            return number(&info(&mut self.master, "stats")?, "sync_full");
        }
        let told = self.master.ask(&["PROXY", "NODES"])?;
        let told = String::from_utf8_lossy(&told);
        let counts = told.split("full-resyncs\r\n:").skip(1);
        Ok(counts.filter_map(|it| it.lines().next()?.parse::<u64>().ok()).sum())
    }

    /// The names of hosted replicas.
    pub fn hosted_replicas(&mut self) -> Result<Vec<String>, String> {
        let told = info(&mut self.master, "replication")?;
        Ok(replica_lines(&told).filter_map(|it| word(it, "name=")).map(str::to_owned).collect())
    }

    /// Whether a hosted replica must take everything anew.
    pub fn is_cut_off(&mut self, name: &str) -> Result<bool, String> {
        let told = info(&mut self.master, "replication")?;
        let line = replica_lines(&told).find(|it| word(it, "name=") == Some(name));
        Ok(line.is_some_and(|it| !it.contains("state=online")))
    }
}

fn info(wire: &mut Wire, section: &str) -> Result<String, String> {
    let told = wire.ask(&["INFO", section])?;
    Ok(String::from_utf8_lossy(&told).into_owned())
}

fn number(told: &str, field: &str) -> Result<u64, String> {
    let value = told.lines().find_map(|it| it.strip_prefix(field)?.strip_prefix(':'));
    value.and_then(|it| it.trim().parse().ok()).ok_or_else(|| format!("INFO lacks {field}"))
}

/// `slave0:ip=127.0.0.1,port=7790,state=online,offset=50,…`, and of ours
/// `hosted0:name=n2,state=online,offset=50,…`
fn replica_lines(told: &str) -> impl Iterator<Item = &str> {
    let digit_follows = |it: &str| it.starts_with(|it: char| it.is_ascii_digit());
    let is_one = move |it: &&str| {
        ["slave", "hosted"].iter().any(|kind| it.strip_prefix(kind).is_some_and(digit_follows))
    };
    told.lines().filter(is_one)
}

fn has_applied(line: &str, written: u64) -> bool {
    let applied = word(line, "offset=").and_then(|it| it.parse::<u64>().ok());
    line.contains("state=online") && applied.is_some_and(|it| written <= it)
}

fn word<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split([',', ':']).find_map(|it| it.strip_prefix(name))
}
