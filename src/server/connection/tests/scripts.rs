//! Scripts that run for long: who is told of them, who has a turn meanwhile, and what ends them.

use super::timed::Ticking;
use super::*;
use crate::base::limits::SCRIPT_GONE_US;
use crate::script::Purpose;
use crate::state::Killed;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

thread_local! {
    /// What happens when others have their turn within that of a script.
    static MEANWHILE: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
}

fn let_others_in() -> bool {
    MEANWHILE.with_borrow_mut(|it| it.as_mut().map(|it| it()));
    true
}

/// Some thirty looks at the clock.
const LONG: &str = "for i = 1, 100000 do end";

/// What a client is answered by a clock on which so much passes from one look to the next, and how
/// often others have had a turn.
fn run(
    proxy: &mut Proxy,
    step: Duration,
    lines: &str,
    mut meanwhile: impl FnMut(&mut Proxy) + 'static,
) -> (String, usize) {
    let turns = Rc::new(Cell::new(0));
    let (counted, server) = (turns.clone(), proxy.server.clone());
    MEANWHILE.set(Some(Box::new(move || {
        counted.set(counted.get() + 1);
        meanwhile(&mut Proxy::of(server.clone()));
    })));
    proxy.scratch.let_others_in = let_others_in;
    let mut client = proxy.connect();
    let bytes = format!("{lines}\r\n");
    proxy.handle_by(&Ticking::by(step), &mut client, Event::Bytes(bytes.as_bytes()));
    MEANWHILE.set(None);
    (replies(&mut client), turns.get())
}

const STEP: Duration = Duration::from_micros(600);

fn eval(body: &str) -> String {
    format!("EVAL \"{body}\" 0")
}

#[test]
fn a_script_that_is_not_over_soon_is_known_and_lets_others_in_until_it_ends() {
    let mut proxy = Proxy::new("");
    let line = eval(&format!("{LONG} return 1"));
    let check = |other: &mut Proxy| {
        let running = other.server.scripting.running();
        assert_eq!(running.len(), 1);
        assert!(running[0].is_at_master && running[0].purpose == Purpose::Scripts);
        assert_eq!(other.ask_anew("PING"), "+PONG");
    };
    let (reply, turns) = run(&mut proxy, STEP, &line, check);
    assert_eq!(reply, ":1");
    assert!(5 < turns, "{turns}");
    assert!(proxy.server.scripting.running().is_empty());
    let (reply, turns) = run(&mut proxy, Duration::from_micros(10), &line, |_| {});
    assert_eq!((reply.as_str(), turns), (":1", 0), "it is over soon");
}

#[test]
fn on_a_thread_for_long_work_a_script_lets_nobody_in() {
    let mut proxy = Proxy::new("");
    proxy.scratch.works_long = true;
    let (reply, turns) = run(&mut proxy, STEP, &eval(&format!("{LONG} return 1")), |_| {});
    assert_eq!((reply.as_str(), turns), (":1", 0));
}

#[test]
fn a_script_is_killed_unless_it_has_written() {
    let kill = |expected| {
        move |other: &mut Proxy| {
            assert_eq!(other.server.scripting.kill(Purpose::Scripts), expected);
        }
    };
    for eval in ["EVAL", "EVAL_RO"] {
        let line = format!("{eval} \"{LONG} return 1\" 0");
        let (reply, turns) = run(&mut Proxy::new(""), STEP, &line, kill(Killed::Told));
        assert!(reply.contains("killed by user") && turns == 1, "{reply}, {turns} turns");
    }
    let written = eval(&format!("redis.call('set','a','1') {LONG} return 1"));
    let mut proxy = Proxy::new("");
    let (reply, turns) = run(&mut proxy, STEP, &written, kill(Killed::HasWritten));
    assert!(reply == ":1" && 5 < turns, "{reply}, {turns} turns");
    assert_eq!(proxy.ask_anew("GET a"), "$1 1");
}

#[test]
fn what_a_script_writes_when_it_has_been_killed_is_not_written() {
    let mut proxy = Proxy::new("");
    let body = format!("{LONG} redis.pcall('set','a','1') return 1");
    let kill = |other: &mut Proxy| {
        other.server.scripting.kill(Purpose::Scripts);
    };
    let (reply, _) = run(&mut proxy, STEP, &eval(&body), kill);
    assert!(reply.starts_with("-"), "{reply}");
    assert_eq!(proxy.ask_anew("GET a"), "$-1");
}

#[test]
fn a_script_whose_client_has_gone_ends_unless_it_has_written() {
    let step = Duration::from_micros(SCRIPT_GONE_US / 4);
    for (body, is_gone, ends) in [
        (format!("{LONG} return 1"), true, true),
        (format!("redis.call('set','a','1') {LONG} return 1"), true, false),
        (format!("{LONG} return 1"), false, false),
    ] {
        let mut proxy = Proxy::new("");
        proxy.scratch.has_hung_up = if is_gone { |_| true } else { |_| false };
        let (reply, turns) = run(&mut proxy, step, &eval(&body), |_| {});
        assert_eq!(reply != ":1", ends, "{body}: {reply}");
        assert!(0 < turns, "it may still listen for a while");
    }
}

#[test]
fn who_needs_the_master_is_told_when_a_script_keeps_it_for_too_long() {
    for (threshold, is_told) in [(5, true), (0, false), (10_000, false)] {
        let mut proxy = Proxy::new(&format!("[server]\nbusy-reply-threshold = {threshold}\n"));
        let refused = Rc::new(Cell::new(false));
        let told = refused.clone();
        let look = move |other: &mut Proxy| {
            let set = &other.server.set;
            assert_eq!(set.refuses_at_master(), other.server.scripting.busy().is_some());
            if set.refuses_at_master() {
                told.set(true);
                assert_eq!(code(&other.ask_anew("SET a 1")), "-BUSY");
            }
        };
        let (reply, _) = run(&mut proxy, STEP, &eval(&format!("{LONG} return 1")), look);
        assert_eq!((reply.as_str(), refused.get()), (":1", is_told), "{threshold}");
        assert!(!proxy.server.set.refuses_at_master());
        assert_eq!(proxy.ask_anew("SET a 1"), "+OK");
    }
}

#[test]
fn a_script_executes_as_many_instructions_as_it_may() {
    for (most, is_enough) in [(50_000, false), (1_000_000, true), (0, true)] {
        let mut proxy = Proxy::new(&format!("[server]\nscript-max-instructions = {most}\n"));
        let reply = proxy.ask_anew(&eval(&format!("{LONG} return 1")));
        assert_eq!(reply == ":1", is_enough, "{most}: {reply}");
    }
}

#[test]
fn scripts_that_only_read_keep_nobody_from_the_master() {
    let mut proxy = Proxy::new("[server]\nbusy-reply-threshold = 1\n");
    let line = format!("EVAL_RO \"{LONG} return redis.call('get','a')\" 0");
    let look = |other: &mut Proxy| {
        assert!(!other.server.scripting.running()[0].is_at_master);
        assert!(!other.server.set.refuses_at_master());
        assert_eq!(other.ask_anew("SET b 1"), "+OK");
    };
    let (reply, turns) = run(&mut proxy, STEP, &line, look);
    assert!(reply == "$-1" && 5 < turns, "{reply}, {turns} turns");
}

#[test]
fn what_a_script_may_not_call_is_refused_in_words_of_its_own() {
    for (body, error) in [
        ("return redis.call('get')", "Wrong number of args calling Redis command from script"),
        ("return redis.call('nonsense')", "Unknown Redis command called from script"),
        ("return redis.call('subscribe','c')", "This Redis command is not allowed from script"),
        ("return redis.call('eval','return 1','0')", "This Redis command is not allowed from"),
        ("return redis.call('config','resetstat')", "not allowed from script"),
    ] {
        let reply = Proxy::new("").ask_anew(&eval(body));
        assert!(reply.starts_with('-') && reply.contains(error), "{body}: {reply}");
    }
    for body in ["redis.call('set','k','v')", "redis.call('publish','c','m')"] {
        let reply = Proxy::new("").ask_anew(&format!("EVAL_RO \"{body}\" 0"));
        assert!(reply.contains("Write commands are not allowed from read-only"), "{body}: {reply}");
    }
}

#[test]
fn an_error_that_a_script_passes_on_counts_once() {
    for (body, count) in [
        ("return redis.call('incr')", 1),
        ("return redis.pcall('incr')", 1),
        ("return redis.error_reply('ERR mine')", 1),
        ("redis.pcall('incr') return redis.error_reply('ERR mine')", 2),
        ("redis.pcall('incr') return 1", 1),
        ("return 1", 0),
    ] {
        let mut proxy = Proxy::new("");
        proxy.ask_anew(&eval(body));
        let told = proxy.ask_anew("INFO errorstats");
        let counted = told.split_once("errorstat_ERR:count=").map_or("0", |it| it.1);
        let digits = counted.find(|it: char| !it.is_ascii_digit()).unwrap_or(counted.len());
        assert_eq!(counted[..digits].parse(), Ok(count), "{body}: {told}");
    }
}

#[test]
fn a_script_answers_in_the_protocol_of_its_client_and_its_calls_in_that_it_asks_for() {
    let body = "redis.setresp(3) return redis.call('hgetall','h')";
    let mut proxy = Proxy::new("");
    proxy.ask_anew("HSET h f v");
    assert_eq!(proxy.ask_anew(&eval(body)), "*2 $1 f $1 v");
    let mut client = proxy.connect();
    proxy.ask(&mut client, "HELLO 3");
    assert_eq!(proxy.ask(&mut client, &eval(body)), "%1 $1 f $1 v");
    assert_eq!(proxy.ask(&mut client, "GET none"), "_");
}

#[test]
fn a_script_selects_for_itself_alone() {
    let mut proxy = Proxy::new("");
    let mut client = proxy.connect();
    let body = "redis.call('select','3') redis.call('set','k','v') return redis.call('get','k')";
    assert_eq!(proxy.ask(&mut client, &eval(body)), "$1 v");
    assert_eq!(proxy.ask(&mut client, "GET k\r\nSELECT 3\r\nGET k"), "$-1 +OK $1 v");
}

#[test]
fn a_monitor_sees_a_script_before_what_it_calls_and_who_has_called_it() {
    let mut proxy = Proxy::new("");
    let mut monitor = proxy.connect();
    proxy.ask(&mut monitor, "MONITOR");
    proxy.ask_anew(&eval("return redis.call('get','k')"));
    let mut shown = String::new();
    for message in monitor.caller.client.mailbox.take().unwrap() {
        proxy.handle(&mut monitor, Event::Message(message));
        shown += &replies(&mut monitor);
    }
    let places = ["\"EVAL\"", "[0 lua] \"get\" \"k\""].map(|it| shown.find(it));
    assert!(places[0].is_some() && places[0] < places[1], "{shown}");
}
