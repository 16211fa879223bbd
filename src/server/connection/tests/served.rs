//! What requests are answered, and what of that the session remembers.

use super::*;
use crate::base::ids::MemberId;
use crate::base::position::{Offset, Position, ReplId};
use crate::route::Reason;

#[test]
fn what_is_written_and_read_is_answered_in_order() {
    let mut proxy = Proxy::new("");
    let mut client = proxy.connect();
    let all = proxy.ask(&mut client, "SET a 1\r\nGET a\r\nINCR a\r\nGET a\r\nNONSENSE\r\nPING");
    let expected = "+OK $1 1 :2 $1 2 -ERR unknown command 'NONSENSE', with args beginning with:  \
                    +PONG";
    assert_eq!(all, expected);
}

#[test]
fn who_has_gone_is_on_no_list() {
    let mut proxy = Proxy::new("");
    let (mut subscriber, mut monitor) = (proxy.connect(), proxy.connect());
    proxy.ask(&mut subscriber, "SUBSCRIBE c");
    proxy.ask(&mut monitor, "MONITOR");
    assert_eq!(proxy.ask_anew("PUBSUB NUMSUB c"), "*2 $1 c :1");
    assert!(proxy.server.monitors.are_any());
    drop((subscriber, monitor));
    assert_eq!(proxy.ask_anew("PUBSUB NUMSUB c"), "*2 $1 c :0");
    assert!(!proxy.server.monitors.are_any());
}

#[test]
fn a_write_that_names_a_replica_is_refused() {
    let mut proxy = Proxy::new("");
    assert_eq!(code(&proxy.ask_anew("PROXY ONCE AT n2 DO SET a 1")), "-NOTMASTER");
    assert_eq!(proxy.ask_anew("PROXY ONCE AT n1 DO SET a 1"), "+OK");
    assert_eq!(code(&proxy.ask_anew("PROXY ONCE AT n2 DO INCR a")), "-NOTMASTER");
    let read = proxy.ask_anew("PROXY ONCE AT n1 DO GET a");
    assert!(read.contains("$1 1"), "{read}");
}

#[test]
fn http_is_turned_away_and_its_connection_closed() {
    for line in ["POST / HTTP/1.1", "Host: here"] {
        let mut proxy = Proxy::new("");
        let mut client = proxy.connect();
        proxy.ask(&mut client, line);
        assert!(client.is_closing() || client.is_closed(), "{line}");
    }
    let mut proxy = Proxy::new("");
    let mut client = proxy.connect();
    assert_eq!(code(&proxy.ask(&mut client, "GETS /")), "-ERR");
    assert!(!client.is_closing());
}

#[test]
fn a_tag_stands_in_front_of_what_a_member_has_answered() {
    let mut proxy = Proxy::new("[set]\nreplicas = 1\n");
    let mut client = proxy.connect();
    proxy.ask(&mut client, "HELLO 3");
    assert_eq!(proxy.ask(&mut client, "PROXY TAG ALL"), "+OK");
    let read = proxy.ask(&mut client, "GET a");
    assert!(read.starts_with('|') && read.ends_with('_'), "{read}");
    assert_eq!(proxy.ask(&mut client, "PING"), "+PONG", "the proxy's own");
    assert_eq!(proxy.ask(&mut client, "PROXY TAG STALE"), "+OK");
    assert_eq!(proxy.ask(&mut client, "GET a"), "_", "it is not stale");
    assert_eq!(proxy.ask(&mut client, "PROXY TAG OFF"), "+OK");
    assert_eq!(proxy.ask(&mut client, "GET a"), "_");
}

#[test]
fn a_stale_read_is_tagged_where_the_ladder_allows_it() {
    let mut proxy = Proxy::new(
        "[set]\nreplicas = 1\n[consistency]\nlevel = \"sticky\"\non-lag = [\"stale\"]\n",
    );
    let mut client = proxy.connect();
    proxy.ask(&mut client, "HELLO 3\r\nPROXY TAG STALE\r\nSET a 1");
    let read = proxy.ask(&mut client, "GET a");
    assert!(read.starts_with("|4 $5 stale #t"), "{read}");
    assert!(read.ends_with('_'), "the replica has nothing yet: {read}");
}

#[test]
fn a_history_that_nobody_knows_sends_reads_to_the_master() {
    let mut proxy = Proxy::new("[set]\nreplicas = 1\n[consistency]\nlevel = \"sticky\"\n");
    let mut client = proxy.connect();
    let unknown = Position { replid: ReplId::new([9; 20]), offset: Offset::new(7) };
    client.caller.session.floor = Some(unknown);
    assert_eq!(proxy.ask(&mut client, "GET a"), "$-1");
    assert_eq!(client.caller.session.last.member, MemberId(0));
    assert_ne!(client.caller.session.floor.map(|it| it.replid), Some(unknown.replid));
}

#[test]
fn a_transaction_runs_whole_or_not_at_all() {
    for (lines, expected) in [
        (
            "MULTI\r\nSET a 1\r\nINCR a\r\nGET a\r\nEXEC",
            "+OK +QUEUED +QUEUED +QUEUED *3 +OK :2 $1 2",
        ),
        (
            "MULTI\r\nSET a x\r\nINCR a\r\nEXEC\r\nGET a",
            "+OK +QUEUED +QUEUED *2 +OK -ERR value is not an integer or out of range $1 x",
        ),
        (
            "MULTI\r\nSET a 1\r\nNONSENSE\r\nEXEC\r\nGET a",
            "+OK +QUEUED -ERR unknown command 'NONSENSE', with args beginning with:  \
          -EXECABORT Transaction discarded because of previous errors. $-1",
        ),
        ("MULTI\r\nSET a 1\r\nDISCARD\r\nGET a", "+OK +QUEUED +OK $-1"),
        (
            "MULTI\r\nSELECT 3\r\nSET a 1\r\nEXEC\r\nGET a\r\nSELECT 0\r\nGET a",
            "+OK +QUEUED +QUEUED *2 +OK +OK $1 1 +OK $-1",
        ),
        ("WATCH a\r\nSET a 1\r\nMULTI\r\nSET a 2\r\nEXEC\r\nGET a", "+OK +OK +OK +QUEUED *-1 $1 1"),
        (
            "WATCH a\r\nUNWATCH\r\nSET a 1\r\nMULTI\r\nSET a 2\r\nEXEC",
            "+OK +OK +OK +OK +QUEUED *1 +OK",
        ),
        ("EXEC", "-ERR EXEC without MULTI"),
        ("MULTI\r\nMULTI\r\nEXEC", "+OK -ERR MULTI calls can not be nested *0"),
        ("MULTI\r\nBLPOP l 0\r\nEXEC", "+OK +QUEUED *1 *-1"),
        ("MULTI\r\nWAIT 9 0\r\nEXEC", "+OK +QUEUED *1 :2"),
        ("MULTI\r\nWAITAOF 0 9 0\r\nEXEC", "+OK +QUEUED *1 *2 :0 :0"),
        ("MULTI\r\nSORT l\r\nSORT l STORE k\r\nEXEC", "+OK +QUEUED +QUEUED *2 *0 :0"),
        (
            "MULTI\r\nGEORADIUS z 1 1 1 m\r\nGEORADIUS z 1 1 1 m STORE k\r\nEXEC",
            "+OK +QUEUED +QUEUED *2 *0 :0",
        ),
        ("MULTI\r\nCLIENT REPLY OFF\r\nEXEC", "+OK +QUEUED"),
        ("RPUSH l a\r\nBLPOP l 0\r\nLLEN l", ":1 *2 $1 l $1 a :0"),
    ] {
        assert_eq!(Proxy::new("").ask_anew(lines), expected, "{lines}");
    }
}

#[test]
fn replies_are_silenced_as_client_reply_says() {
    for (lines, expected) in [
        ("CLIENT REPLY SKIP\r\nSET a 1\r\nGET a", "$1 1"),
        ("CLIENT REPLY OFF\r\nSET a 1\r\nNONSENSE\r\nCLIENT REPLY ON\r\nGET a", "+OK $1 1"),
        ("CLIENT REPLY OFF\r\nSUBSCRIBE c\r\nCLIENT REPLY ON", "*3 $9 subscribe $1 c :1"),
    ] {
        let reply = Proxy::new("").ask_anew(lines);
        assert!(reply.starts_with(expected), "{lines}: {reply}");
    }
}

#[test]
fn a_message_reaches_all_who_subscribe_and_its_publisher_before_its_reply() {
    let mut proxy = Proxy::new("");
    let (mut other, mut client) = (proxy.connect(), proxy.connect());
    proxy.ask(&mut other, "SUBSCRIBE c");
    assert_eq!(proxy.ask(&mut client, "PUBLISH c m"), ":1");
    assert!(client.caller.session.floor.is_some_and(|it| Offset::ZERO < it.offset));
    assert_eq!(client.caller.session.last_write, proxy.server.set.head());
    for message in other.caller.client.mailbox.take().unwrap() {
        proxy.handle(&mut other, Event::Message(message));
    }
    assert_eq!(replies(&mut other), "*3 $7 message $1 c $1 m");
    assert_eq!(other.caller.session.floor, client.caller.session.floor);
    proxy.ask(&mut client, "HELLO 3");
    proxy.ask(&mut client, "SUBSCRIBE c");
    for (lines, expected) in [
        ("PUBLISH c m", ">3 $7 message $1 c $1 m :2"),
        ("PUBLISH d m", ":0"),
        ("MULTI\r\nPUBLISH c m\r\nEXEC", "+OK +QUEUED *1 >3 $7 message $1 c $1 m :2"),
    ] {
        assert_eq!(proxy.ask(&mut client, lines), expected, "{lines}");
    }
    proxy.ask(&mut client, "PROXY TAG STALE");
    assert_eq!(proxy.ask(&mut client, "PUBLISH c m"), ":2", "its own comes like everyone's");
    assert!(client.caller.client.mailbox.has_messages());
}

#[test]
fn scripts_are_answered_as_redis_answers_them() {
    let unknown = "0".repeat(40);
    for (lines, expected) in [
        ("EVAL \"return 1\" 0".to_owned(), ":1"),
        ("EVAL \"return {KEYS[1],ARGV[1]}\" 1 k v".into(), "*2 $1 k $1 v"),
        ("EVAL \"return 1\" x".into(), "-ERR value is not an integer or out of range"),
        ("EVAL \"return 1\" -1".into(), "-ERR Number of keys can't be negative"),
        (
            "EVAL \"return 1\" 2 a".into(),
            "-ERR Number of keys can't be greater than number of args",
        ),
        (format!("EVALSHA {unknown} 0"), "-NOSCRIPT No matching script. Please use EVAL."),
        ("EVAL \"return redis.call('set',KEYS[1],ARGV[1])\" 1 k v\r\nGET k".into(), "+OK $1 v"),
        ("SET k v\r\nEVAL_RO \"return redis.call('get',KEYS[1])\" 1 k".into(), "+OK $1 v"),
        ("EVAL \"redis.call('select',3) redis.call('set','k','v')\" 0\r\nGET k".into(), "$-1 $-1"),
        ("EVAL \"return redis.pcall('incr')['err'] ~= nil\" 0".into(), ":1"),
        (
            "EVAL \"redis.call('set','k','1') return redis.call('incr','k')\" 0\r\nGET k".into(),
            ":2 $1 2",
        ),
        ("EVAL \"return redis.call('publish','c','m')\" 0".into(), ":0"),
        (
            "MULTI\r\nEVAL \"return redis.call('incr','k')\" 0\r\nGET k\r\nEXEC".into(),
            "+OK +QUEUED +QUEUED *2 :1 $1 1",
        ),
        (
            "SCRIPT LOAD \"return 7\"\r\nEVALSHA 41bd5f4f5fd9c3e4dc3d6ad1e1f4ad1c0d1a9b3e 0".into(),
            "$40",
        ),
    ] {
        let reply = Proxy::new("").ask_anew(&lines);
        assert!(reply.starts_with(expected), "{lines}: {reply}");
    }
    for lines in [
        "EVAL_RO \"return redis.call('set','k','v')\" 0",
        "EVAL \"#!lua flags=no-writes\\nreturn redis.call('set','k','v')\" 0",
        "EVAL \"return redis.call('nonsense')\" 0",
        "EVAL \"return redis.call('watch','k')\" 0",
        "EVAL \"return redis.call('multi')\" 0",
        "FCALL f 0",
        "EVAL \"syntax error\" 0",
    ] {
        let reply = Proxy::new("").ask_anew(lines);
        assert!(reply.starts_with("-"), "{lines}: {reply}");
        assert_eq!(Proxy::new("").ask_anew(&format!("{lines}\r\nGET k")), format!("{reply} $-1"));
    }
}

#[test]
fn a_function_runs_where_it_may_and_says_so() {
    let library = "FUNCTION LOAD \"#!lua name=l\\n\
                   redis.register_function('w', function(k, a) \
                     return redis.call('set', k[1], a[1]) end)\\n\
                   redis.register_function{function_name='r', flags={'no-writes'}, \
                     callback=function(k) return redis.call('get', k[1]) end}\"";
    let mut proxy = Proxy::new("[set]\nreplicas = 1\n");
    let mut client = proxy.connect();
    assert_eq!(proxy.ask(&mut client, library), "$1 l");
    for (line, expected) in [
        ("FCALL w 1 k v", "+OK"),
        ("FCALL r 1 k", "$1 v"),
        ("FCALL_RO r 1 k", "$1 v"),
        ("FCALL_RO w 1 k v", "-ERR Can not execute a script with write flag"),
        ("FCALL none 0", "-ERR Function not found"),
        ("FCALL w x", "-ERR Bad number of keys provided"),
        ("MULTI\r\nFCALL w 1 k x\r\nFCALL r 1 k\r\nEXEC", "+OK +QUEUED +QUEUED *2 +OK $1 x"),
    ] {
        let reply = proxy.ask(&mut client, line);
        assert!(reply.starts_with(expected), "{line}: {reply}");
    }
}

#[test]
fn what_is_queued_for_a_replica_that_is_read_counts_where_it_was_read() {
    let mut proxy = Proxy::new("[set]\nreplicas = 1\n[consistency]\nlevel = \"eventual\"\n");
    let mut client = proxy.connect();
    proxy.ask(&mut client, "SET a 1");
    assert_eq!(proxy.ask(&mut client, "GET a"), "$-1", "the replica has applied nothing");
    let last = &client.caller.session.last;
    assert_eq!((last.member, last.behind_bytes), (MemberId(1), proxy.server.set.head().bytes()));
    assert_eq!(last.because, Some(Reason::FreshPreferred));
    let told = proxy.ask(&mut client, "PROXY LAST");
    assert!(told.contains("n2"), "{told}");
    assert_eq!(proxy.ask(&mut client, "PROXY ONCE LEVEL sticky DO GET a"), "$1 1", "it catches up");
    assert_eq!(client.caller.session.last.because, Some(Reason::CatchUp));
    assert!(client.caller.session.last.is_of_once);
    assert_eq!(proxy.ask(&mut client, "PROXY ONCE AT n1 DO GET a"), "$1 1");
    assert_eq!(client.caller.session.last.because, Some(Reason::AskedMember));
}

#[test]
fn a_message_of_its_own_is_older_than_every_later_read() {
    for request in
        ["PUBLISH c m", "MULTI\r\nPUBLISH c m\r\nEXEC", "MULTI\r\nSET k 1\r\nPUBLISH c m\r\nEXEC"]
    {
        let mut proxy = Proxy::new("");
        let mut client = proxy.connect();
        proxy.ask(&mut client, "HELLO 3");
        proxy.ask(&mut client, "SET a 1\r\nSUBSCRIBE c");
        let answer = proxy.ask(&mut client, request);
        assert!(answer.contains("$7 message $1 c $1 m"), "{answer}");
        let end = proxy.server.set.head();
        let session = &client.caller.session;
        let history = proxy.server.set.history();
        let told = session.subscriptions.as_ref().and_then(|it| it.told_in(&history));
        assert_eq!(told.map(|it| it.offset), Some(end), "{request}");
    }
}
