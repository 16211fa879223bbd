//! Job queues, locks, rate limits, layers over pub/sub and consumers of streams, unmodified and as
//! people use them: each in several processes, some of which are killed, at level `sticky` while
//! one of the two replicas at a time is paused and resumed at random.
//!
//! Each program of `tests/apps/queues` runs by hand, too, against any server: `program URL`. What
//! it has seen it tells in its last line. `QUEUES_SEED=n` pauses as another run has.

use crate::support::{BOTH, Server, Wire, order, python};
use entourage::base::random::Random;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{scope, sleep};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a program gets; `timeout` ends it with all that it has started.
const SECONDS_MAX: &str = "120";
/// How long a program waits for what a wrong server never does.
const HASTE_SECONDS: &str = "10";
/// Longest that a replica is paused, and that it is left alone.
const PAUSE_MS_MAX: u64 = 120;
const BETWEEN_MS_MAX: u64 = 40;
/// The connections of an application share what they have seen: a pool hands out any of them.
const CONFIG: &str = "[[listener]]\nbind = \"127.0.0.1:{port}\"\n\
                      [consistency]\nlevel = \"sticky\"\nsticky-scope = \"user\"\n";
/// How many locks are taken before one of the servers of a Redlock is gone.
const LOCKS_BEFORE_CRASH: u64 = 40;

const LOCKS: Program = Program {
    script: "locks_redis_py.py",
    tells: "held=240 twice=0 in_order=True count=240 told=3 left=0",
};
const REDLOCK: Program =
    Program { script: "redlock.js", tells: "held=160 twice=0 in_order=true last=160 left=fence" };
const LIMITS: Program = Program {
    script: "limiter_py.py",
    tells: "fixed=50+7x7 left=0 moving=50+7x7 left=0 sliding=50+7x7 left=0 keys=0",
};
const FLEXIBLE: Program = Program {
    script: "limiter_node.js",
    tells: "many=50 heavy=7x7 blocks=3 again=true,false penalty=3 blocked=true deleted=true \
            nearly=true,false",
};
const RQ: Program = Program {
    script: "rq_jobs.py",
    tells: "finished=48 failed=2 added=31 twice=0 retried=17 at_a_time=1 refused=1 killed=2 \
            queued=0 started=0 scheduled=0 deferred=0",
};
const HUEY: Program = Program {
    script: "huey_jobs.py",
    tells: "added=111 twice=0 squared=41 revoked_ran=0 failures=6 few=5 flaky=22 alone=8 \
            at_a_time=1 pending=0 results=9 locked=False",
};
const CELERY: Program = Program {
    script: "celery_jobs.py",
    tells: "added=84 twice=0 revoked_ran=0 failures=3 flaky=27 stubborn=6 survived=7 victim=2 \
            unacked=0 waiting=0",
};
const BULLMQ: Program = Program {
    script: "bullmq_jobs.js",
    tells: "completed=129 heard=129 found=129 cleaned=129 failed=2 twice=0 limited=20 victim=2 \
            progress=25,50,100 waiting=0 active=0 delayed=0",
};
const CHANNELS: Program = Program {
    script: "channels_layers.py",
    tells: "core=1080 late=0 pubsub=1080 late=0 work=90 refused=3 subscribed=0 members=0",
};
const SOCKET_IO: Program = Program {
    script: "socketio_rooms.js",
    tells: "heard=1800 late=0 told=5 servers=2 names=6 ended=6",
};
const STREAMS_PYTHON: Program = Program {
    script: "streams_redis_py.py",
    tells: "entries=800 done=799 acknowledged=799 killed=1 failed_once=16 buried=1:7 pending=0 \
            lag=0 trimmed_to=9",
};
const STREAMS_NODE: Program = Program {
    script: "streams_node_redis.js",
    tells: "entries=600 done=600 late=0 acknowledged=600 killed=1 stale=0 pending=0 lag=0",
};

/// Each program with faults of a server that it must notice.
const NOTICED: &[(Program, &[&str])] = &[
    (LOCKS, &["--fault SET=lose:10", "--level eventual"]),
    (REDLOCK, &["--fault EVALSHA=lose:5"]),
    (LIMITS, &["--fault EVALSHA=lose:10"]),
    (FLEXIBLE, &["--fault EVALSHA=twice:10"]),
    (RQ, &["--fault BLMOVE=twice:5"]),
    (HUEY, &["--fault BZPOPMIN=twice:20", "--fault BRPOP=twice:10", "--level eventual"]),
    (CELERY, &["--fault BRPOP=twice:20", "--fault PUBLISH=lose:10"]),
    (BULLMQ, &["--fault EVALSHA=twice:20"]),
    (CHANNELS, &["--fault PUBLISH=lose:20", "--fault EVAL=lose:20", "--level eventual"]),
    (SOCKET_IO, &["--fault PUBLISH=lose:50", "--fault PUBLISH=twice:50"]),
    (STREAMS_PYTHON, &["--fault XREADGROUP=twice:3 --fault XAUTOCLAIM=lose:1"]),
    (STREAMS_NODE, &["--fault XADD=twice:50", "--fault XADD=lose:50", "--level eventual"]),
];

#[test]
fn a_lock_of_redis_py_is_held_by_one_at_a_time() {
    LOCKS.holds();
}

#[test]
fn a_redlock_is_held_by_one_at_a_time_also_when_a_server_is_gone() {
    let [first, second, third] = [(); 3].map(|()| start());
    let urls = [&first, &second, &third].map(url).join(",");
    let first = &first;
    REDLOCK.holds_at(&[first, &second], &urls, move |is_over| {
        let mut wire = first.dial();
        let taken = |wire: &mut Wire| -> Option<u64> {
            String::from_utf8_lossy(wire.ask("GET fence").text()?).parse().ok()
        };
        while taken(&mut wire).unwrap_or(0) < LOCKS_BEFORE_CRASH && !is_over.load(Relaxed) {
            sleep(Duration::from_millis(5));
        }
        third.crash();
    });
}

#[test]
fn the_limits_of_a_python_package_are_exact() {
    LIMITS.holds();
}

#[test]
fn the_limits_of_rate_limiter_flexible_are_exact() {
    FLEXIBLE.holds();
}

#[test]
fn rq_does_every_job() {
    RQ.holds();
}

#[test]
fn huey_does_every_task() {
    HUEY.holds();
}

#[test]
fn celery_does_every_task() {
    CELERY.holds();
}

#[test]
fn bullmq_does_every_job() {
    BULLMQ.holds();
}

#[test]
fn both_layers_of_channels_lose_no_message() {
    CHANNELS.holds();
}

#[test]
fn every_client_of_socket_io_hears_all_in_order() {
    SOCKET_IO.holds();
}

#[test]
fn a_group_of_redis_py_does_every_entry() {
    STREAMS_PYTHON.holds();
}

#[test]
fn a_group_of_node_redis_does_every_entry() {
    STREAMS_NODE.holds();
}

#[test]
#[ignore = "takes minutes"]
fn every_program_notices_a_server_that_is_wrong() {
    let wrong_server = apps().join("wrong_server.py");
    let right = format!("{} {} --port {{port}}", python(), wrong_server.display());
    let mut not_noticed = Vec::new();
    for (program, faults) in NOTICED {
        let run_at = |line: &str| program.run(&url(&Server::of(line)), Some(HASTE_SECONDS));
        let output = run_at(&right);
        assert_eq!(last_line(&output), program.tells, "{}: {output:?}", program.script);
        for fault in *faults {
            let output = run_at(&format!("{right} {fault}"));
            if output.status.success() && last_line(&output) == program.tells {
                not_noticed.push(format!("{} {fault}", program.script));
            }
        }
    }
    assert!(not_noticed.is_empty(), "{not_noticed:?}");
}

/// A program, and the line with which it ends if all is well.
#[derive(Clone, Copy)]
struct Program {
    script: &'static str,
    tells: &'static str,
}

impl Program {
    fn holds(self) {
        let server = start();
        self.holds_at(&[&server], &url(&server), |_| ());
    }

    /// Runs it while replicas of these servers stop and go, and while something else happens.
    fn holds_at(self, servers: &[&Server], urls: &str, beside: impl FnOnce(&AtomicBool) + Send) {
        let seed = seed();
        let is_over = AtomicBool::new(false);
        let output = scope(|scope| {
            for (server, own_seed) in servers.iter().zip(seed..) {
                let (random, is_over) = (Random::new(own_seed), &is_over);
                scope.spawn(move || stop_and_go(server, random, is_over));
            }
            scope.spawn(|| beside(&is_over));
            let output = self.run(urls, None);
            is_over.store(true, Relaxed);
            output
        });
        let script = self.script;
        let stderr = String::from_utf8_lossy(&output.stderr);
        let told = last_line(&output);
        assert_eq!(told, self.tells, "{script} with QUEUES_SEED={seed}: {stderr}");
        assert!(output.status.success(), "{script} with QUEUES_SEED={seed}: {stderr}");
    }

    fn run(self, urls: &str, patience_seconds: Option<&str>) -> Output {
        let interpreter = if self.script.ends_with(".py") { python() } else { "node".into() };
        let mut command = Command::new("timeout");
        command.args(["-s", "KILL", SECONDS_MAX, &interpreter]);
        command.arg(apps().join(self.script)).arg(urls);
        command.envs(patience_seconds.map(|it| ("QUEUES_PATIENCE_SECONDS", it)));
        command.output().expect("timeout runs")
    }
}

fn start() -> Server {
    if Server::is_stand_in() {
        return Server::entourage(&[]);
    }
    Server::entourage_with_config(CONFIG)
}

fn url(server: &Server) -> String {
    format!("redis://127.0.0.1:{}", server.port())
}

/// Pauses one replica or the other, and resumes it, until it is over.
fn stop_and_go(server: &Server, mut random: Random, is_over: &AtomicBool) {
    if Server::is_stand_in() {
        return;
    }
    let mut wire = server.dial();
    while !is_over.load(Relaxed) {
        let one = &[BOTH[random.below(2) as usize]];
        order(&mut wire, one, "PAUSE");
        sleep(Duration::from_millis(1 + random.below(PAUSE_MS_MAX)));
        order(&mut wire, one, "RESUME");
        sleep(Duration::from_millis(random.below(BETWEEN_MS_MAX)));
    }
}

fn seed() -> u64 {
    let named = env::var("QUEUES_SEED").ok().and_then(|it| it.parse().ok());
    let of_now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_millis());
    named.unwrap_or_else(|| of_now() as u64)
}

fn last_line(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stdout);
    told.trim_end().lines().last().unwrap_or_default().to_owned()
}

fn apps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps/queues")
}
