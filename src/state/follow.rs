//! Whom the set follows, as operators say it.

use super::mailbox::UnblockAs;
use super::server::Server;
use crate::base::remote_address::RemoteAddress;
use crate::command::Fault;
use crate::command::codes::OWN_MASTER;
use crate::config::Address;
use crate::node::RemoteMaster;
use crate::runtime::{clock, process};

impl Server {
    /// Follows this master, or nobody any more. Answers what REPLICAOF does. Waits for the master's
    /// lock and for names of hosts: not for a worker that has clients to serve.
    pub fn follow(&self, master: Option<RemoteAddress>) -> Result<&'static str, Fault> {
        let Some(address) = master else {
            self.set.stop_following();
            self.remember_master(None);
            return Ok("OK");
        };
        let is_same = |it: &RemoteAddress| {
            it.host.eq_ignore_ascii_case(&address.host) && it.port == address.port
        };
        if self.set.remote().is_some_and(|it| is_same(&it.address)) {
            return Ok("OK Already connected to specified master");
        }
        if self.is_own(&address) {
            return Err(OWN_MASTER);
        }
        self.set.follow(RemoteMaster::new(address.clone(), clock::mono_now()));
        // What they wait for, acknowledgements of their writes and the like, may never come.
        self.clients.each(|it| {
            it.unblock(UnblockAs::Error);
        });
        self.remember_master(Some(address));
        Ok("OK")
    }

    /// As [`Server::follow`], on an order. As Redis does: who becomes a replica at run time takes
    /// no writes, unless the configuration says that it forwards them.
    pub fn follow_at_run_time(&self, master: Option<RemoteAddress>) -> Result<&'static str, Fault> {
        self.settle_writes();
        self.follow(master)
    }

    /// As [`Server::follow`], when the config file was read again and names another master, or
    /// none. Writes go where they would after a start with that file.
    pub fn follow_as_the_file_says(&self, master: Option<RemoteAddress>) -> Result<(), Fault> {
        let forwards = self.settings().set.follow.writes.forwards();
        self.set.forward_writes(forwards.unwrap_or(true));
        self.follow(master).map(drop)
    }

    fn settle_writes(&self) {
        let forwards = self.settings().set.follow.writes.forwards();
        self.set.forward_writes(forwards.unwrap_or(false));
    }

    /// Follows one of its replicas, which is asked to become the master (FAILOVER).
    pub fn follow_candidate(&self, address: RemoteAddress) {
        match address.is_path() {
            // It takes our place: nobody is to notice meanwhile.
            true => self.set.forward_writes(true),
            false => self.settle_writes(),
        }
        let remote = RemoteMaster::new(address.clone(), clock::mono_now());
        self.set.follow(remote.to_take_over());
        self.remember_master(Some(address));
    }

    fn remember_master(&self, master: Option<RemoteAddress>) {
        if master.as_ref().is_some_and(RemoteAddress::is_path) {
            // An upgrade is over soon, and is nothing to write down.
            return;
        }
        let _ = self.change_settings(|settings| {
            settings.set.master = master;
            Ok::<(), ()>(())
        });
    }

    /// The port at which a remote master's other clients reach this replica, as Redis has it: with
    /// TLS, if it reaches the master so.
    pub fn announced_port(&self) -> u16 {
        match self.process_info.tls_port {
            port @ 1.. if self.settings().tls.replication => port,
            _ => self.process_info.port,
        }
    }

    /// Whether this is where one of our listeners is.
    pub fn is_own(&self, address: &RemoteAddress) -> bool {
        if address.is_path() {
            return false;
        }
        let Some(ip) = process::resolve(&address.host) else { return false };
        self.settings().listeners.iter().any(|it| match &it.at {
            Address::Unix(_) => false,
            Address::Tcp(at) => {
                let port = match at.port() {
                    0 if it.tls => self.process_info.tls_port,
                    0 => self.process_info.port,
                    port => port,
                };
                let is_there =
                    at.ip() == ip || (at.ip().is_unspecified() && process::is_of_this_host(ip));
                port == address.port && is_there
            }
        })
    }
}
