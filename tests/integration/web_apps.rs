//! Two applications as people write them, each in four processes with connections of their own,
//! while replicas are paused, the master changes and somebody else writes: Flask with redis-py and
//! flask-session, Express with node-redis, connect-redis and ioredis. What is asked of the shop
//! goes to a process chosen at random, as a load balancer sends it.
//!
//! With the default config nothing is odd. Level `eventual` shows that the test can fail.

use crate::support::{Server, python, words};
use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

/// Processes of an application.
const PROCESSES: usize = 4;
/// Longest that a replica is paused.
const PAUSE_MS_MAX: u64 = 50;
/// The master changes as often.
const FAILOVER_EVERY: Duration = Duration::from_millis(200);
/// What a run gets; `timeout` ends it, so that no test hangs.
const SECONDS_MAX: &str = "1200";

/// How many people shop at level `global`, and how many at `eventual`.
fn rounds() -> (u32, u32) {
    match (env::var_os("ENTOURAGE_LONG"), env::var_os("ENTOURAGE_QUICK")) {
        (Some(_), _) => (20_000, 2_000),
        (_, Some(_)) => (200, 200),
        _ => (1_000, 300),
    }
}

#[test]
fn a_flask_shop_sees_nothing_odd() {
    nothing_odd("flask", &|port| shop(&python(), "shop_flask.py", port));
}

#[test]
fn an_express_shop_sees_nothing_odd() {
    nothing_odd("express", &|port| shop("node", "shop_express.js", port));
}

fn nothing_odd(name: &str, start: &dyn Fn(u16) -> Shop) {
    let (many, few) = rounds();
    let told = go_shopping(many, &[], start);
    assert_eq!(number(&told, "odd="), 0, "{name}: {told}");
    assert_eq!(number(&told, "rounds="), u64::from(many), "{name}: {told}");
    let told = go_shopping(few, &["--level", "eventual"], start);
    assert!(0 < number(&told, "odd="), "{name}: the test cannot fail: {told}");
}

/// Lets so many people shop; answers what they found.
fn go_shopping(rounds: u32, flags: &[&str], start: &dyn Fn(u16) -> Shop) -> String {
    let server = Server::entourage(flags);
    let shops: Vec<Shop> = (0..PROCESSES).map(|_| start(server.port())).collect();
    let is_over = AtomicBool::new(false);
    let told = scope(|scope| {
        scope.spawn(|| disturb(&server, &is_over));
        scope.spawn(|| write_beside(&server, &is_over));
        let mut command = Command::new("timeout");
        command.args([SECONDS_MAX, &python()]).arg(apps().join("shoppers.py"));
        command.args([rounds.to_string(), rounds.to_string()]);
        command.args(shops.iter().map(|it| it.port.to_string()));
        let output = command.output();
        is_over.store(true, Relaxed);
        output.expect("python runs")
    });
    let all = [told.stdout, told.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

/// Pauses one replica after the other, and changes the master.
fn disturb(server: &Server, is_over: &AtomicBool) {
    let mut wire = server.dial();
    let mut failed_over = Instant::now();
    for round in 0_u64.. {
        if is_over.load(Relaxed) {
            return;
        }
        let member = round % 3 + 1;
        // The master takes no such orders, and says so.
        wire.ask(&format!("PROXY NODE n{member} PAUSE"));
        sleep(Duration::from_millis(round * 7919 % PAUSE_MS_MAX + 1));
        wire.ask(&format!("PROXY NODE n{member} RESUME"));
        if FAILOVER_EVERY <= failed_over.elapsed() {
            wire.ask(&format!("PROXY FAILOVER TO n{}", (round / 3) % 3 + 1));
            failed_over = Instant::now();
        }
    }
}

fn write_beside(server: &Server, is_over: &AtomicBool) {
    let mut wire = server.dial();
    for round in 0_u64.. {
        if is_over.load(Relaxed) {
            return;
        }
        let set = |it| words(&["SET", &format!("beside:{}", (round * 16 + it) % 50_000), "value"]);
        wire.pipeline(&(0..16).map(set).collect::<Vec<_>>());
    }
}

/// One process of an application.
struct Shop {
    child: Child,
    port: u16,
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts one, and waits until it serves.
fn shop(interpreter: &str, script: &str, redis: u16) -> Shop {
    let mut command = Command::new(interpreter);
    command.arg(apps().join(script)).arg(redis.to_string()).current_dir(apps());
    command.stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().unwrap_or_else(|it| panic!("{interpreter}: {it}"));
    let mut line = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    let read = BufReader::new(stdout).read_line(&mut line);
    let port = line.trim().parse();
    let mut shop = Shop { child, port: 0 };
    shop.port = port.unwrap_or_else(|_| {
        panic!("{script} does not start ({read:?}); tests/run.sh installs what it needs")
    });
    shop
}

fn apps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps")
}

/// The number behind `name` in the last line that has it.
fn number(told: &str, name: &str) -> u64 {
    let at = told.rfind(name).unwrap_or_else(|| panic!("no {name} in: {told}"));
    let digits = &told[at + name.len()..];
    let end = digits.find(|it: char| !it.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().expect("a number")
}
