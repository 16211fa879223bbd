//! What a transaction leaves in the log, and at its followers.

use super::*;
use crate::base::ids::MemberId;
use crate::base::position::Offset;
use crate::command::{CallEnv, Event};
use crate::engine::{BlockingKeys, Digest, Kind, Row, Run, Thresholds, verbs};
use crate::node::notify::tests::Heard;
use crate::node::{Applied, ApplyBudget, ReplicaSet, new_replid};
use crate::resp::{AuthState, Decoder, Limits, OwnedRequest, Step};
use proptest::prelude::*;
use std::time::Duration;

const NOW: WallMs = WallMs(1_000_000);
const AT: MonoUs = MonoUs(1);

/// Runs a write of its own in database 0.
pub fn write(set: &ReplicaSet, line: &str, now: WallMs) {
    let (member_list, mut effects) = (set.member_list(), Effects::default());
    let mut writing = set.write(&member_list);
    let done = Sent::new(0, line, now).alone(writing.begin(&mut effects, AT));
    done.unwrap_or_else(|it| panic!("{line}: {it}"));
}

/// A command that is on its way to a transaction.
struct Sent {
    db: usize,
    owned: OwnedRequest,
    env: CallEnv,
}

impl Sent {
    fn new(db: usize, line: &str, now: WallMs) -> Sent {
        Sent { db, owned: OwnedRequest::of(line.split(' ')), env: CallEnv::new(now, 7) }
    }

    fn args(&self) -> Args<'_> {
        Args::new(self.owned.borrow(), self.row().1, self.db, &self.env)
    }

    fn row(&self) -> (&'static Row, usize) {
        verbs::find_for(self.owned.borrow()).map(|it| (it.row, it.words)).expect("a known command")
    }

    fn verb(&self) -> Verb<'static> {
        let row = self.row().0;
        match row.run {
            Run::Read(verb) => Verb::Read(verb),
            Run::Write(verb) | Run::Either { write: verb, .. } => Verb::Write(&row.spec, verb),
            Run::Blocking(verb) | Run::ReadOrWait { wait: verb, .. } => {
                Verb::Blocking(&row.spec, verb)
            }
            Run::Container(_) => panic!("a container is not called"),
        }
    }

    fn among(&self, transaction: &mut Transaction<'_, '_>) -> Result<String, Fault> {
        self.among_as(self.verb(), transaction)
    }

    fn among_as(
        &self,
        verb: Verb<'_>,
        transaction: &mut Transaction<'_, '_>,
    ) -> Result<String, Fault> {
        let mut reply = Reply::default();
        let outcome = transaction.call(verb, self.args(), &mut reply);
        outcome.map(|()| text(reply.bytes()))
    }

    fn alone(&self, transaction: Transaction<'_, '_>) -> Result<(Called, String), Fault> {
        self.alone_as(self.verb(), transaction)
    }

    fn alone_as(
        &self,
        verb: Verb<'_>,
        transaction: Transaction<'_, '_>,
    ) -> Result<(Called, String), Fault> {
        let mut reply = Reply::default();
        let outcome = transaction.call_and_commit(verb, self.args(), &mut reply);
        outcome.map(|it| (it, text(reply.bytes())))
    }
}

fn set(replicas: usize) -> ReplicaSet {
    let id = new_replid();
    let set = ReplicaSet::new(replicas, 7, id, Thresholds::default(), 1 << 20, 1 << 20);
    if replicas == 0 {
        // A set that has had a replica keeps its bytes, whatever became of that.
        set.add_replica(AT).expect("room for a replica");
    }
    set
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", " ").trim_end().to_owned()
}

/// The words of all commands of the stream.
fn stream(set: &ReplicaSet) -> Vec<String> {
    let bytes = set.stream_from(Offset::ZERO).expect("the backlog keeps everything").concat();
    let mut commands = Vec::new();
    each(&bytes, |request| {
        let words = request.iter().map(String::from_utf8_lossy);
        commands.push(words.collect::<Vec<_>>().join(" "));
    });
    commands
}

fn each(mut bytes: &[u8], mut hear: impl FnMut(crate::resp::Request<'_>)) {
    let mut decoder = Decoder::new(Limits::of(AuthState::Known));
    while !bytes.is_empty() {
        let Ok(Step::Ready { consumed }) = decoder.poll(bytes) else { panic!("half a command") };
        hear(decoder.request(bytes));
        bytes = &bytes[consumed..];
    }
}

/// Makes these calls (`db command`) in one transaction; answers their replies.
fn together(set: &ReplicaSet, lines: &[(usize, &str)]) -> Vec<Result<String, Fault>> {
    let (member_list, mut effects) = (set.member_list(), Effects::default());
    let mut writing = set.write(&member_list);
    let mut transaction = writing.begin(&mut effects, AT);
    let replies = lines.iter().map(|(db, line)| Sent::new(*db, line, NOW).among(&mut transaction));
    let replies = replies.collect();
    assert_eq!(transaction.commit(), set.head());
    replies
}

fn breaks(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> VerbResult {
    engine.db_mut(&args).event(Event::DEL, b"x");
    effects.as_sent();
    reply.ok();
    panic!("broken on purpose")
}

fn breaks_in_read(_: &Engine, _: Args<'_>, reply: &mut Reply) -> VerbResult {
    reply.ok();
    panic!("broken on purpose")
}

/// BLPOP of one key.
fn pop_or_wait(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<Called, Fault> {
    let key = args.request().get(1).expect("a key");
    if !engine.db_mut(&args).has(key) {
        reply.null_array();
        return Ok(Called::Block(wanted(key)));
    }
    let words: [&[u8]; 2] = [b"LPOP", key];
    let pop = OwnedRequest::of(words);
    let Verb::Write(_, verb) = Sent::new(args.db, "LPOP", NOW).verb() else { panic!("a write") };
    let popped = Args::new(pop.borrow(), 1, args.db, args.env);
    verb(engine, popped, &mut Effects::default(), reply)?;
    effects.propagate(&words);
    Ok(Called::Done)
}

fn wanted(key: &[u8]) -> BlockingKeys {
    BlockingKeys::of([key].into_iter(), Kind::List, Some(Duration::from_secs(1)))
}

#[test]
fn one_call_is_one_command_of_the_stream_in_the_clients_own_bytes() {
    let set = set(1);
    let wire = b"*3\r\n$3\r\nsEt\r\n$1\r\na\r\n$1\r\n1\r\n";
    let mut decoder = Decoder::new(Limits::of(AuthState::Known));
    assert!(matches!(decoder.poll(wire), Ok(Step::Ready { .. })));
    let (env, sent) = (CallEnv::new(NOW, 1), Sent::new(0, "SET", NOW));
    let args = Args::new(decoder.request(wire), 1, 0, &env);
    let (member_list, mut effects) = (set.member_list(), Effects::default());
    let mut writing = set.write(&member_list);
    let mut reply = Reply::default();
    let transaction = writing.begin(&mut effects, AT);
    assert_eq!(transaction.call_and_commit(sent.verb(), args, &mut reply), Ok(Called::Done));
    drop(writing);
    assert_eq!(text(reply.bytes()), "+OK");
    let bytes = set.stream_from(Offset::ZERO).unwrap().concat();
    assert_eq!(bytes, [&b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"[..], wire].concat());
    write(&set, "SET b 1 PX 500", NOW);
    assert_eq!(stream(&set)[2..], ["SET b 1 PXAT 1000500"]);
}

#[test]
fn several_calls_stand_between_multi_and_exec_and_reads_see_what_came_before() {
    let set = set(1);
    let lines =
        [(0, "SET a 1"), (0, "INCR a"), (0, "LPUSH a x"), (0, "GET a"), (0, "SET b 1 PX 9")];
    let replies = together(&set, &lines);
    let ok = |it: &str| Ok(it.to_owned());
    assert_eq!(replies, [ok("+OK"), ok(":2"), Err(Fault::WrongType), ok("$1 2"), ok("+OK")]);
    let told = ["SELECT 0", "MULTI", "SET a 1", "INCR a", "SET b 1 PXAT 1000009", "EXEC"];
    assert_eq!(stream(&set), told);
}

#[test]
fn short_writes_whose_words_are_encoded_for_the_log_share_its_blocks() {
    // As inline requests and those behind PROXY ONCE are.
    let set = set(1);
    (0..500).for_each(|it| write(&set, &format!("SET key:{it} value"), NOW));
    let blocks = set.stream_from(Offset::ZERO).expect("the backlog keeps everything");
    assert_eq!(blocks.len(), 1);
}

#[test]
fn words_that_change_no_key_stand_between_calls_and_hosted_replicas_pass_over_them() {
    let set = set(1);
    let (member_list, mut effects) = (set.member_list(), Effects::default());
    let mut writing = set.write(&member_list);
    let mut transaction = writing.begin(&mut effects, AT);
    let words = |it: &str| {
        let mut words = Vec::new();
        encode_command(
            &mut words,
            it.split(' ').map(str::as_bytes).collect::<Vec<_>>().into_iter(),
        );
        words
    };
    Sent::new(0, "SET a 1", NOW).among(&mut transaction).unwrap();
    assert!(transaction.pass(0, &words("publish c x")));
    Sent::new(0, "INCR a", NOW).among(&mut transaction).unwrap();
    assert!(transaction.pass(0, &words("PUBLISH c y")));
    let end = transaction.commit();
    drop(writing);
    let told = ["SELECT 0", "MULTI", "SET a 1", "publish c x", "INCR a", "PUBLISH c y", "EXEC"];
    assert_eq!(stream(&set), told);
    let replica = set.member(MemberId(1));
    while set.apply(replica, ApplyBudget::SHORT) == Applied::Some {}
    assert_eq!((replica.applied(), read(&set, 1, "GET a")), (end, "$1 2".to_owned()));
}

#[test]
fn of_several_calls_one_that_changes_something_is_not_wrapped() {
    let set = set(1);
    together(&set, &[(0, "GET a"), (0, "SET a 1"), (0, "DEL nosuch")]);
    assert_eq!(stream(&set), ["SELECT 0", "SET a 1"]);
}

#[test]
fn calls_that_change_nothing_append_nothing() {
    let set = set(1);
    together(&set, &[(0, "DEL a"), (3, "GET a"), (0, "INCRBY a x")]);
    together(&set, &[]);
    assert!(set.head() == Offset::ZERO && stream(&set).is_empty());
}

#[test]
fn each_effect_goes_to_its_database_and_replicas_apply_all_or_nothing() {
    let set = set(1);
    together(&set, &[(0, "SET a 1"), (5, "SET a 2"), (5, "MOVE a 2"), (0, "APPEND a 3")]);
    let told = "SELECT 0,MULTI,SET a 1,SELECT 5,SET a 2,MOVE a 2,SELECT 0,APPEND a 3,EXEC";
    assert_eq!(stream(&set).join(","), told);
    set.apply(set.member(MemberId(1)), ApplyBudget::Writes(1));
    assert_eq!(set.member(MemberId(1)).applied(), set.head());
    assert_same(&set);
}

#[test]
fn a_transaction_that_is_dropped_has_happened_all_the_same() {
    let set = set(1);
    let (member_list, mut effects) = (set.member_list(), Effects::default());
    let mut writing = set.write(&member_list);
    let mut transaction = writing.begin(&mut effects, AT);
    Sent::new(0, "SET a 1", NOW).among(&mut transaction).unwrap();
    assert_eq!(set.head(), Offset::ZERO, "nothing is visible before");
    drop(transaction);
    drop(writing);
    assert_eq!(stream(&set), ["SELECT 0", "SET a 1"]);
}

#[test]
fn what_expires_is_deleted_in_writes_of_their_own_or_with_the_call_that_met_it() {
    let set = set(1);
    for line in ["SET a 1 PX 1", "SET b 1 PX 2", "SET c 1 PX 3", "SET d 1"] {
        write(&set, line, NOW);
    }
    let (later, known) = (WallMs(NOW.0 + 100), stream(&set).len());
    let (member_list, mut effects) = (set.member_list(), Effects::default());
    let mut writing = set.write(&member_list);
    let mut transaction = writing.begin(&mut effects, AT);
    assert_eq!(transaction.expire_due(later, 2), 2);
    transaction.commit_each();
    writing.begin(&mut effects, AT).expire(0, b"d", later);
    drop(writing);
    write(&set, "SETNX c 2", later);
    assert_eq!(stream(&set)[known..], ["DEL a", "DEL b", "MULTI", "DEL c", "SETNX c 2", "EXEC"]);
    assert_same(&set);
}

#[test]
fn a_panic_takes_what_came_before_with_the_member_that_is_replaced() {
    for in_read in [false, true] {
        let set = set(1);
        write(&set, "SET a 1", NOW);
        let (head, heard) = (set.head(), Heard::of(&set));
        assert_eq!(broken_off(&set, in_read), [Ok("+OK".into()), Err(PANICKED), Err(PANICKED)]);
        assert!(set.member(MemberId(0)).is(MemberFlags::QUARANTINED));
        assert_eq!((set.head(), heard.take()), (head, vec![]));
        assert_eq!(together(&set, &[(0, "SET a 3")]), [Err(Fault::MasterDown)]);
        assert_eq!(set.head(), head, "nothing is written at a master that is out of service");
        set.replace_quarantined_master();
        write(&set, "APPEND a x", NOW);
        assert_eq!((set.master(), read(&set, 1, "GET a")), (MemberId(1), "$2 1x".into()));
    }
}

#[test]
fn a_panic_leaves_what_came_before_where_no_replica_can_take_over() {
    for in_read in [false, true] {
        let set = set(0);
        write(&set, "SET a 1", NOW);
        let heard = Heard::of(&set);
        assert_eq!(broken_off(&set, in_read), [Ok("+OK".into()), Err(PANICKED), Err(PANICKED)]);
        assert!(!set.member(MemberId(0)).is(MemberFlags::QUARANTINED));
        assert_eq!(heard.take(), ["set a"]);
        let known = stream(&set);
        assert_eq!(known.last().map(String::as_str), Some("SET a 2"));
        write(&set, "SET b 1", NOW);
        set.sync(set.member(MemberId(1)), AT);
        assert_same(&set);
    }
}

/// A write, a verb that breaks, and another write, which is not made.
fn broken_off(set: &ReplicaSet, in_read: bool) -> [Result<String, Fault>; 3] {
    let spec = &verbs::find(b"SET").unwrap().spec;
    let (member_list, mut effects) = (set.member_list(), Effects::default());
    let mut writing = set.write(&member_list);
    let mut transaction = writing.begin(&mut effects, AT);
    let sent = |line| Sent::new(0, line, NOW);
    let broken = if in_read { Verb::Read(breaks_in_read) } else { Verb::Write(spec, breaks) };
    [
        sent("SET a 2").among(&mut transaction),
        sent("SET b broken").among_as(broken, &mut transaction),
        sent("SET c 3").among(&mut transaction),
    ]
}

#[test]
fn a_panic_in_the_only_call_appends_nothing() {
    for replicas in [0, 1] {
        let set = set(replicas);
        let spec = &verbs::find(b"SET").unwrap().spec;
        let (member_list, mut effects) = (set.member_list(), Effects::default());
        let mut writing = set.write(&member_list);
        let broken = Sent::new(0, "SET a broken", NOW);
        let done = broken.alone_as(Verb::Write(spec, breaks), writing.begin(&mut effects, AT));
        assert_eq!(done, Err(PANICKED));
        drop(writing);
        assert!(effects.is_empty() && set.head() == Offset::ZERO);
    }
}

#[test]
fn a_call_that_is_alone_blocks_on_keys_until_one_is_ready() {
    let set = set(1);
    let spec = &verbs::find(b"LPOP").unwrap().spec;
    let verb = Verb::Blocking(spec, pop_or_wait);
    let asked = || {
        let (member_list, mut effects) = (set.member_list(), Effects::default());
        let mut writing = set.write(&member_list);
        let sent = Sent::new(0, "BLPOP list 1", NOW);
        sent.alone_as(verb, writing.begin(&mut effects, AT)).unwrap()
    };
    assert_eq!(asked(), (Called::Block(wanted(b"list")), String::new()));
    assert_eq!(set.head(), Offset::ZERO);
    write(&set, "RPUSH list x y", NOW);
    assert_eq!(asked(), (Called::Done, "$1 x".into()));
    assert_eq!(stream(&set).last().map(String::as_str), Some("LPOP list"));
}

#[test]
fn among_others_a_call_answers_at_once() {
    let set = set(1);
    let spec = &verbs::find(b"LPOP").unwrap().spec;
    let verb = Verb::Blocking(spec, pop_or_wait);
    let (member_list, mut effects) = (set.member_list(), Effects::default());
    let mut writing = set.write(&member_list);
    let mut transaction = writing.begin(&mut effects, AT);
    let sent = Sent::new(0, "BLPOP list 1", NOW);
    assert_eq!(sent.among_as(verb, &mut transaction), Ok("*-1".into()));
    assert_eq!(sent.alone_as(verb, transaction), Ok((Called::Done, "*-1".into())));
}

fn read(set: &ReplicaSet, at: u16, line: &str) -> String {
    let sent = Sent::new(0, line, NOW);
    let Verb::Read(verb) = sent.verb() else { panic!("{line} reads") };
    let mut reply = Reply::default();
    set.read(set.member(MemberId(at))).run(verb, sent.args(), &mut reply).unwrap();
    text(reply.bytes())
}

fn digest(engine: &Engine) -> Digest {
    engine.digest(WallMs::NEVER_EXPIRES)
}

/// A hosted replica, and whoever replays the stream's bytes, have what the master has.
fn assert_same(set: &ReplicaSet) {
    let (master, replica) = (set.member(set.master()), set.member(MemberId(1)));
    while set.apply(replica, ApplyBudget::SHORT) == Applied::Some {}
    assert_eq!(replica.applied(), set.head());
    let wanted = digest(set.read(master).engine());
    assert_eq!(digest(set.read(replica).engine()), wanted, "hosted");
    let (mut engine, mut db) = (Engine::new(7, Thresholds::default()), 0);
    each(&set.stream_from(Offset::ZERO).unwrap().concat(), |request| {
        match request.get(0).unwrap() {
            b"SELECT" => db = text(request.get(1).unwrap()).parse().unwrap(),
            b"MULTI" | b"EXEC" | b"PING" => {}
            _ => {
                let (mut effects, mut reply) = (Effects::default(), Reply::default());
                engine.repeat(db, WallMs(0), request, &mut effects, &mut reply).unwrap();
            }
        }
    });
    assert_eq!(digest(&engine), wanted, "on the wire");
}

/// Commands of several families: some fail, some change nothing, some meet an expired key.
fn lines() -> impl Strategy<Value = Vec<(usize, String)>> {
    let forms = prop::sample::select(vec![
        "SET K N",
        "SET K N PX 50",
        "SETNX K N",
        "GETDEL K",
        "GET K",
        "APPEND K N",
        "INCRBY K N",
        "INCRBYFLOAT K 0.5",
        "MSET K N c N",
        "DEL K c",
        "EXPIRE K N",
        "PERSIST K",
        "RENAME K c",
        "MOVE K 1",
        "COPY K c DB 1 REPLACE",
        "RPUSH K N x N",
        "LPOP K 2",
        "RPOPLPUSH K c",
        "SADD K N x y z",
        "SPOP K",
        "SPOP K 2",
        "HSET K f N g x",
        "HINCRBY K f N",
        "ZADD K N x 1 y",
        "ZPOPMIN K",
        "SORT K STORE c",
        "GEOADD K N 1 x 1 N y",
        "GEORADIUS K 1 1 2000 km STOREDIST c",
        "SWAPDB 0 2",
        "FLUSHDB",
    ]);
    let key = prop::sample::select(vec!["a", "b", "d"]);
    let line = (0..3usize, forms, key, 1..40u32).prop_map(|(db, form, key, number)| {
        let word = |it: &str| match it {
            "K" => key.to_owned(),
            "N" => number.to_string(),
            it => it.to_owned(),
        };
        (db, form.split(' ').map(word).collect::<Vec<_>>().join(" "))
    });
    prop::collection::vec(line, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// How commands are put together changes nothing but when followers see them.
    #[test]
    fn the_same_calls_alone_or_together_leave_the_same_everywhere(lines in lines()) {
        let sets = [set(1), set(1)];
        for set in &sets {
            let before = WallMs(NOW.0 - 1000);
            let lines = ["SET a 1 PX 10", "RPUSH b x", "PEXPIRE b 20", "SET c 1"];
            lines.iter().for_each(|it| write(set, it, before));
        }
        let [one_by_one, all_at_once] = &sets;
        let known = stream(all_at_once).len();
        let alone = |(db, line): &(usize, String)| {
            let (member_list, mut effects) = (one_by_one.member_list(), Effects::default());
            let mut writing = one_by_one.write(&member_list);
            Sent::new(*db, line, NOW).alone(writing.begin(&mut effects, AT)).map(|it| it.1)
        };
        let replies: Vec<_> = lines.iter().map(alone).collect();
        let lines: Vec<(usize, &str)> = lines.iter().map(|it| (it.0, &*it.1)).collect();
        prop_assert_eq!(together(all_at_once, &lines), replies);
        let digest_of = |it: &ReplicaSet| digest(it.read(it.member(MemberId(0))).engine());
        let [one, all] = [&one_by_one, &all_at_once].map(|it| digest_of(it));
        prop_assert_eq!(one, all);
        sets.iter().for_each(assert_same);
        let told = stream(all_at_once)[known..].iter().filter(|it| *it == "MULTI").count();
        prop_assert!(told <= 1);
    }
}
