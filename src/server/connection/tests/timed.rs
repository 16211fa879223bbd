//! How long what was served took, and who is told.

use super::*;
use crate::metrics::latency_events::LatencyEvent;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A clock on which this much passes from one reading to the next.
pub(super) struct Ticking {
    now_ns: AtomicU64,
    step_ns: u64,
}

impl Ticking {
    pub(super) fn by(step: Duration) -> Ticking {
        let now_ns = AtomicU64::new(Still.mono_ns());
        Ticking { now_ns, step_ns: step.as_nanos() as u64 }
    }

    /// How often it was read.
    fn readings(&self) -> u64 {
        (self.now_ns.load(Relaxed) - Still.mono_ns()) / self.step_ns
    }
}

impl Clock for Ticking {
    fn mono_ns(&self) -> u64 {
        self.now_ns.fetch_add(self.step_ns, Relaxed) + self.step_ns
    }

    fn wall_now(&self) -> WallMs {
        Still.wall_now()
    }
}

const MS: Duration = Duration::from_millis(1);

/// What the slow log has, oldest first: the words, and how many microseconds it took.
fn slow(proxy: &Proxy) -> Vec<(String, u64)> {
    let all = proxy.server.slowlog.lock().newest(usize::MAX);
    let words = |it: Vec<Vec<u8>>| String::from_utf8(it.join(&b' ')).unwrap();
    all.into_iter().rev().map(|it| (words(it.words), it.took_us)).collect()
}

/// What the slow log has of these lines, which come together, when so much passes between two
/// readings of the clock.
fn slow_of(config: &str, step: Duration, lines: &str) -> Vec<(String, u64)> {
    let mut proxy = Proxy::new(&format!("[server]\n{config}\n"));
    let mut client = proxy.connect();
    let bytes = format!("{lines}\r\n");
    proxy.handle_by(&Ticking::by(step), &mut client, Event::Bytes(bytes.as_bytes()));
    slow(&proxy)
}

fn entries<const N: usize>(all: [(&str, u64); N]) -> Vec<(String, u64)> {
    all.map(|(words, us)| (words.to_owned(), us)).to_vec()
}

#[test]
fn commands_in_a_row_that_are_o1_are_slow_together_and_others_by_themselves() {
    let slower = "slowlog-log-slower-than = 1000";
    let three = slow_of(slower, 2 * MS, "GET a\r\nGET b\r\nGET c");
    assert_eq!(three, entries([("GET c ... (with 2 commands before it)", 2000)]));
    assert_eq!(slow_of(slower, 2 * MS, "GET a"), entries([("GET a", 2000)]));
    let mixed = slow_of(slower, 2 * MS, "GET a\r\nKEYS *\r\nGET b");
    assert_eq!(mixed, entries([("GET a", 2000), ("KEYS *", 2000), ("GET b", 2000)]));
    let queued = slow_of(slower, 2 * MS, "MULTI\r\nKEYS *\r\nEXEC");
    assert_eq!(queued[1..], entries([("KEYS *", 2000)]), "EXEC is all of them");
}

#[test]
fn every_command_has_its_own_time_where_less_than_a_millisecond_is_slow() {
    let each = slow_of("slowlog-log-slower-than = 999", MS, "GET a\r\nGET b");
    assert_eq!(each, entries([("GET a", 1000), ("GET b", 1000)]));
    let together = slow_of("slowlog-log-slower-than = 1000", MS, "GET a\r\nGET b");
    assert_eq!(together, entries([("GET b ... (with 1 commands before it)", 1000)]));
}

#[test]
fn what_takes_as_long_as_the_threshold_is_slow_and_what_takes_less_is_not() {
    for line in ["GET a", "KEYS *"] {
        for slower in [500, 1000, 3000] {
            let config = format!("slowlog-log-slower-than = {slower}");
            let step = Duration::from_micros(slower);
            assert_eq!(slow_of(&config, step, line).len(), 1, "{line} {slower}");
            assert_eq!(slow_of(&config, step - Duration::from_nanos(1), line), [], "{line}");
        }
        assert_eq!(slow_of("slowlog-log-slower-than = -1", 9 * MS, line), []);
    }
}

#[test]
fn nobody_reads_the_clock_where_nobody_asks_how_long_anything_takes() {
    let readings = |more: &str| {
        let mut proxy = Proxy::new(&format!("[server]\nmetrics = false\n{more}\n"));
        let mut client = proxy.connect();
        let clock = Ticking::by(MS);
        proxy.handle_by(&clock, &mut client, Event::Bytes(b"GET a\r\nKEYS *\r\nSET a 1\r\n"));
        clock.readings()
    };
    assert_eq!(readings("slowlog-log-slower-than = -1"), 0);
    assert_ne!(readings("slowlog-log-slower-than = 10000"), 0);
    assert_ne!(readings("slowlog-log-slower-than = -1\nlatency-monitor-threshold = 1"), 0);
}

#[test]
fn the_latency_monitor_knows_fast_commands_from_others() {
    for (line, slow, other) in [
        ("GET a", LatencyEvent::FastCommand, LatencyEvent::Command),
        ("KEYS *", LatencyEvent::Command, LatencyEvent::FastCommand),
    ] {
        for (threshold, count) in [(2, 1), (3, 0), (0, 0)] {
            let mut proxy = Proxy::new(&format!(
                "[server]\nslowlog-log-slower-than = -1\nlatency-monitor-threshold = {threshold}\n"
            ));
            proxy.server.set.latency.set_threshold(threshold);
            let mut client = proxy.connect();
            let bytes = format!("{line}\r\n");
            proxy.handle_by(&Ticking::by(2 * MS), &mut client, Event::Bytes(bytes.as_bytes()));
            let samples = |it| proxy.server.set.latency.of(it).map_or(0, |it| it.samples.len());
            assert_eq!((samples(slow), samples(other)), (count, 0), "{line} {threshold}");
            assert_eq!(self::slow(&proxy), []);
        }
    }
}

#[test]
fn a_threshold_that_is_set_counts_from_its_own_command_on() {
    let lines = "GET a\r\nCONFIG SET slowlog-log-slower-than 0\r\nGET b";
    let all = slow_of("slowlog-log-slower-than = -1", MS, lines);
    let words: Vec<_> = all.iter().map(|it| it.0.as_str()).collect();
    assert_eq!(words, ["CONFIG SET slowlog-log-slower-than 0", "GET b"]);
    let lines = "CONFIG SET slowlog-log-slower-than -1\r\nGET b";
    assert_eq!(slow_of("slowlog-log-slower-than = 0", MS, lines), []);
}

#[test]
fn a_command_that_goes_on_is_told_of_when_it_has_ended() {
    let mut proxy = Proxy::new("[server]\nslowlog-log-slower-than = 1000\n");
    let mut client = proxy.connect();
    let clock = Ticking::by(2 * MS);
    proxy.handle_by(&clock, &mut client, Event::Bytes(b"DEBUG SLEEP 3\r\n"));
    assert!(client.is_blocked());
    assert_eq!(slow(&proxy), []);
    proxy.now = NOW.plus(Duration::from_secs(3));
    assert_eq!(client.poll_deadline(), Some(proxy.now));
    let now = proxy.now;
    proxy.handle(&mut client, Event::Time(now));
    assert_eq!(replies(&mut client), "+OK");
    assert_eq!(slow(&proxy), entries([("DEBUG SLEEP 3", 3_000_000)]));
}

#[test]
fn a_wait_for_others_is_no_time_of_a_command() {
    let mut proxy = Proxy::new("[server]\nslowlog-log-slower-than = 1000\n");
    let mut client = proxy.connect();
    proxy.ask(&mut client, "WAIT 2 5000");
    proxy.now = NOW.plus(Duration::from_secs(5));
    let now = proxy.now;
    proxy.handle(&mut client, Event::Time(now));
    assert_eq!(replies(&mut client), ":2", "it has written nothing");
    proxy.ask(&mut client, "BLPOP l 0");
    proxy.now = NOW.plus(Duration::from_secs(9));
    proxy.ask_anew("RPUSH l a");
    for message in client.caller.client.mailbox.take().unwrap() {
        proxy.handle(&mut client, Event::Message(message));
    }
    assert_eq!(replies(&mut client), "*2 $1 l $1 a");
    assert_eq!(slow(&proxy), []);
}

#[test]
fn a_script_is_slow_as_a_whole_and_once() {
    for body in ["redis.call('keys','*')", "redis.call('get','a')", "redis.call('set','a','1')"] {
        let line = format!("EVAL \"{body} {body}\" 0");
        let all = slow_of("slowlog-log-slower-than = 1000", 2 * MS, &line);
        let words: Vec<_> = all.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(words, [format!("EVAL {body} {body} 0")], "{body}");
    }
}
