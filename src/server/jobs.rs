//! Work that takes its time: it is done apart from the workers, and its reply fills a slot.

use super::disk::{self, save_now};
use super::end::end;
use super::failover::{fail_over_to_replica, until_no_failover};
use super::forward::{forward, reply_of};
use super::leased::forward_leased;
use super::master_wait::wait_at_master;
use super::migrate;
use super::populate::populate;
use super::upgrade::upgrade;
use super::upstream::{servers_config, submit, switch_over};
use crate::base::ids::MemberId;
use crate::base::remote_address::RemoteAddress;
use crate::command::codes;
use crate::commands::verbs::config::names_logged;
use crate::commands::{AckWait, Job, ServersConfig};
use crate::resp::{Protocol, Reply};
use crate::runtime::{clock, tasks};
use crate::state::{
    AckAsk, AckWaiter, AimedRun, Client, EndOrder, FailoverOrder, JobReply, Message, RunWaiter,
    Server, UNBLOCKED, UnblockAs, Upstream,
};
use futures::channel::oneshot::channel;
use futures::future::{Either, select};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Does a job for a client. `None` when the client has gone first: what runs on a thread of its own
/// ends by itself then, and what waits for another server is given up.
pub async fn run(job: Job, server: &Arc<Server>, client: &Arc<Client>) -> Option<JobReply> {
    let gone = client.mailbox.closed();
    if client.mailbox.is_closed() {
        return None;
    }
    match select(pin!(work(job, server, client)), gone).await {
        Either::Left((reply, _)) => Some(reply),
        Either::Right(_) => None,
    }
}

/// Does a job to its end.
pub async fn work(job: Job, server: &Arc<Server>, client: &Arc<Client>) -> JobReply {
    match job {
        Job::SwitchOver { to, timeout } => switched_over(to, timeout, server).await,
        Job::ServersConfig(asked) => configured(*asked, server, client).await,
        Job::FailOver { candidate } => fail_over(candidate, server).await,
        Job::Remove { member } => remove(member, server).await,
        Job::Reload => reload(server, client).await,
        Job::Follow { master } => follow(master, server).await,
        Job::HandRoleOver(order) => begin_failover(*order, server),
        Job::Upgrade(step) => upgrade(server, *step).await,
        Job::AbortFailover => {
            until_no_failover(server).await;
            JobReply { reply: Ok(JobReply::line("OK")), wrote: None }
        }
        Job::Upstream(aimed) => done_upstream(server, *aimed).await,
        Job::Forward(forwarded) => forward(server, *forwarded).await,
        Job::Leased(forwarded, how) => forward_leased(server, client, *forwarded, how).await,
        Job::WaitAtMaster(wait) => match &server.upstream {
            Some(upstream) => wait_upstream(upstream, *wait).await,
            None => wait_at_master(server, *wait).await,
        },
        Job::Rewrite => rewrite(server, client).await,
        Job::Save => apart(server, save_now).await,
        Job::End(order) => ended(order, server, client).await,
        Job::LoadAof => apart(server, disk::load_aof).await,
        Job::ReloadData => apart(server, disk::reload).await,
        Job::Populate(keys) => apart(server, move |it| populate(it, &keys)).await,
        Job::LoadUsers => load_users(server, client).await,
        Job::SaveUsers => save_users(server, client).await,
        Job::Migrate { db, migration } => migrate::migrate(server, client, db, &migration).await,
    }
}

/// Requests of a set of real servers, for whoever waits as a task.
async fn done_upstream(server: &Arc<Server>, aimed: AimedRun) -> JobReply {
    let (answer, answered) = channel();
    match &server.upstream {
        Some(upstream) => submit(upstream, aimed, RunWaiter::Task(answer)),
        None => drop(answer),
    }
    reply_of(answered).await
}

/// WAIT for replicas of a real master: one connection asks for all who wait.
async fn wait_upstream(upstream: &Upstream, wait: AckWait) -> JobReply {
    let AckWait { written, replicas, timeout, unblocked } = wait;
    let (answer, answered) = channel();
    let until = timeout.map(|it| clock::mono_now().plus(it));
    let waiter = AckWaiter::Task(answer);
    upstream.acks.push(AckAsk { written, replicas, until, waiter });
    let order = pin!(async {
        match unblocked {
            Some(unblocked) => unblocked.await.ok(),
            None => None,
        }
    });
    let count = |acked: usize| {
        let mut reply = Reply::new(Protocol::Resp2);
        reply.count(acked);
        reply.into_bytes()
    };
    let lost = || Err("ERR internal error".to_owned());
    let told = |told: Result<Result<usize, &'static str>, _>| match told {
        Ok(acked) => acked.map(count).map_err(str::to_owned),
        Err(_) => lost(),
    };
    let reply = match select(answered, order).await {
        Either::Left((acked, _)) => told(acked),
        Either::Right((None, answered)) => told(answered.await),
        Either::Right((Some(UnblockAs::Timeout), _)) => Ok(count(0)),
        Either::Right((Some(UnblockAs::Error), _)) => Err(UNBLOCKED.to_owned()),
    };
    JobReply { reply, wrote: None }
}

/// PROXY FAILOVER of real servers.
async fn switched_over(to: MemberId, timeout: Duration, server: &Arc<Server>) -> JobReply {
    let Some(upstream) = server.upstream.clone() else {
        return JobReply { reply: Err("ERR its members are hosted".to_owned()), wrote: None };
    };
    // Whoever has ordered it may go: what has begun comes to its end.
    let (answer, answered) = channel();
    let (at_work, of) = (server.clone(), upstream.clone());
    tasks::spawn(async move {
        let done = switch_over(&at_work, &of, to, timeout).await;
        let _ = answer.send(done);
    });
    let done = answered.await.unwrap_or_else(|_| Err("nobody knows why".to_owned()));
    let reply = match done {
        Ok((paused_us, left)) if left.is_empty() => {
            Ok(JobReply::line(&format!("OK paused-us={paused_us}")))
        }
        Ok((paused_us, left)) => Ok(JobReply::line(&format!(
            "OK paused-us={paused_us} tell-by-hand-whom-to-follow={}",
            left.join(",")
        ))),
        Err(why) => {
            let name = &upstream.member(to).described.name;
            Err(codes::cannot_take_over(name, why).to_string())
        }
    };
    JobReply { reply, wrote: None }
}

/// CONFIG of what is real servers' own. What has begun is done to its end and logged, whether its
/// client is still there or not.
async fn configured(asked: ServersConfig, server: &Server, client: &Client) -> JobReply {
    let Some(upstream) = server.upstream.clone() else {
        return JobReply { reply: Err("ERR its members are hosted".to_owned()), wrote: None };
    };
    let set = match &asked {
        ServersConfig::Get { .. } => None,
        ServersConfig::Set(words) => {
            Some(format!("{} at=real-servers names={}", client.logged(), names_logged(words)))
        }
    };
    let (answer, answered) = channel();
    tasks::spawn(async move {
        let reply = servers_config(&upstream, asked).await;
        match (set, &reply) {
            (None, _) => {}
            (Some(set), Ok(_)) => log::info!("event=config-set {set}"),
            (Some(set), Err(why)) => log::info!("event=config-set-failed {set} why={why:?}"),
        }
        let _ = answer.send(reply);
    });
    let reply = answered.await.unwrap_or_else(|_| Err("ERR nobody knows why".to_owned()));
    JobReply { reply, wrote: None }
}

/// PROXY FAILOVER: the candidate may have much to apply.
async fn fail_over(candidate: MemberId, server: &Arc<Server>) -> JobReply {
    let set = server.set.clone();
    let done = tasks::apart(move || set.fail_over(set.member(candidate))).await;
    let reply = match done {
        Ok(paused) => Ok(JobReply::line(&format!("OK paused-us={}", paused.0))),
        Err(why) => {
            let name = &server.set.member(candidate).name;
            Err(codes::cannot_take_over(name, why).to_string())
        }
    };
    JobReply { reply, wrote: None }
}

/// FAILOVER: what comes of it is told by INFO and the log.
fn begin_failover(order: FailoverOrder, server: &Arc<Server>) -> JobReply {
    if !server.failovers.begin() {
        return JobReply {
            reply: Err("ERR FAILOVER already in progress.".to_owned()),
            wrote: None,
        };
    }
    let handed = fail_over_to_replica(server.clone(), order);
    tasks::spawn(async move { drop(handed.await) });
    JobReply { reply: Ok(JobReply::line("OK")), wrote: None }
}

/// PROXY NODE REMOVE: somebody may be reading the member, for long.
async fn remove(member: MemberId, server: &Arc<Server>) -> JobReply {
    let set = server.set.clone();
    let done = tasks::apart(move || set.remove_member(set.member(member), clock::mono_now())).await;
    let name = || server.set.member(member).name.as_str();
    let refused = |why| codes::cannot_be_removed(name(), why).to_string();
    JobReply { reply: done.map(|()| JobReply::line("OK")).map_err(refused), wrote: None }
}

/// PROXY RELOAD: it reads a file.
async fn reload(server: &Arc<Server>, client: &Client) -> JobReply {
    let (its, asked_by) = (server.clone(), format!("client-{}", client.id));
    let done = tasks::apart(move || its.reload(&asked_by)).await;
    if let Err(why) = &done
        && let Some(count) = server.log_limits.config_refused.note(clock::mono_now())
    {
        let who = client.logged();
        log::warn!("event=config-refused {who} by=PROXY-RELOAD why={why:?} count={count}");
    }
    JobReply {
        reply: done
            .map(|()| JobReply::line("OK"))
            .map_err(|why| codes::reload_failed(why).to_string()),
        wrote: None,
    }
}

/// REPLICAOF: who holds the master is waited for.
async fn follow(master: Option<RemoteAddress>, server: &Arc<Server>) -> JobReply {
    let server = server.clone();
    let done = tasks::apart(move || server.follow_at_run_time(master)).await;
    JobReply { reply: done.map(JobReply::line).map_err(|it| it.to_string()), wrote: None }
}

/// ACL LOAD: it reads a file.
async fn load_users(server: &Arc<Server>, client: &Arc<Client>) -> JobReply {
    let (loads, id) = (server.clone(), client.id);
    let done = tasks::apart(move || loads.load_users(id, &format!("client-{id}"))).await;
    if let Ok(true) = done {
        // Its own user is no more: it ends as soon as it has its answer.
        client.mailbox.post(Message::UserGone);
    }
    let reply = done.map(|_| JobReply::line("OK")).map_err(|why| format!("ERR {why}"));
    JobReply { reply, wrote: None }
}

/// ACL SAVE: it writes a file.
async fn save_users(server: &Arc<Server>, client: &Client) -> JobReply {
    let (server, asked_by) = (server.clone(), format!("client-{}", client.id));
    let done = tasks::apart(move || server.save_users(&asked_by)).await;
    let reply = done.map(|()| JobReply::line("OK")).map_err(|why| format!("ERR {why}"));
    JobReply { reply, wrote: None }
}

/// What takes long, and answers OK or why not: it is done on a thread of its own.
async fn apart(
    server: &Arc<Server>,
    work: impl FnOnce(&Server) -> Result<(), String> + Send + 'static,
) -> JobReply {
    let server = server.clone();
    let done = tasks::apart(move || work(&server)).await;
    JobReply { reply: done.map(|()| JobReply::line("OK")), wrote: None }
}

/// SHUTDOWN: nothing is answered by a server that ends.
async fn ended(order: EndOrder, server: &Arc<Server>, client: &Client) -> JobReply {
    log::info!("event=shutdown-asked client={}", client.id);
    let server = server.clone();
    let ended = tasks::apart(move || end(&server, order)).await;
    JobReply {
        reply: ended.map(|()| Vec::new()).map_err(|_| codes::NOT_SHUT_DOWN.to_string()),
        wrote: None,
    }
}

/// CONFIG REWRITE: it reads a file and writes it.
async fn rewrite(server: &Arc<Server>, client: &Client) -> JobReply {
    let (server, asked_by) = (server.clone(), format!("client-{}", client.id));
    let done = tasks::apart(move || server.rewrite_config(&asked_by)).await;
    JobReply {
        reply: done
            .map(|()| JobReply::line("OK"))
            .map_err(|why| format!("ERR Rewriting config file: {why}")),
        wrote: None,
    }
}
