//! What choosing costs: a route, a floor and a plan. The bar is 30 ns when no rule looks at keys.

use criterion::{Criterion, criterion_group, criterion_main};
use entourage::base::ids::MemberId;
use entourage::base::position::{Offset, Position, ReplId, ReplicationHistory};
use entourage::command::{Class, Group, Keys};
use entourage::resp::OwnedRequest;
use entourage::route::{
    Candidate, Floor, Ladder, LadderPosition, Level, Match, Question, ReadRequirements, Route,
    Routes, StaticMembers, plan,
};
use std::hint::black_box;

const HISTORY: ReplId = ReplId::new([7; 20]);

fn replicas(applied: [u64; 2]) -> [Candidate; 2] {
    let mut count = 0;
    applied.map(|it| {
        count += 1;
        let member = MemberId(count);
        let applied = Offset::new(it);
        Candidate { member, applied, in_service: true, paused: false, in_flight: 1, behind_us: 9 }
    })
}

/// A session that has written, at the default level.
struct Session {
    level: Level,
    own: Option<Position>,
    history: ReplicationHistory,
    ladder: Ladder,
}

impl Session {
    fn new() -> Session {
        Session {
            level: Level::Sticky,
            own: Some(Position { replid: HISTORY, offset: Offset::new(90) }),
            history: ReplicationHistory::new(HISTORY),
            ladder: Ladder::default(),
        }
    }

    fn asks(&self, preferred: Option<usize>, random: u64) -> ReadRequirements<'_> {
        let head = Offset::new(100);
        ReadRequirements {
            class: Class::Read,
            level: self.level,
            floor: Floor::of(self.level, self.own, None, head, &self.history),
            watching: false,
            of_member: false,
            wrote_lately: false,
            preferred,
            random,
            ladder: &self.ladder,
            ladder_position: LadderPosition::START,
        }
    }
}

fn planning(bench: &mut Criterion) {
    let session = Session::new();
    let cases = [
        ("fresh_home", Some(0), [95, 95]),
        ("two_choices", None, [95, 95]),
        ("catch_up", Some(0), [80, 80]),
    ];
    for (name, preferred, applied) in cases {
        let replicas = replicas(applied);
        let members = StaticMembers {
            master: Some(MemberId(0)),
            replicas: &replicas,
            head: Offset::new(100),
        };
        let mut random = 1_u64;
        bench.bench_function(&format!("plan/sticky/{name}"), |it| {
            it.iter(|| {
                random = random.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
                plan(&black_box(&session).asks(black_box(preferred), random), black_box(&members))
            });
        });
    }
}

fn choosing(bench: &mut Criterion) {
    let owned = OwnedRequest::of(["GET", "user:1001"]);
    let request = owned.borrow();
    let ask = Question {
        command: "GET",
        class: Class::Read,
        group: Group::String,
        keys: Keys::READ,
        request,
        db: 0,
        user: "default",
        client: "",
        listener: "main",
    };
    let rule = |matches| Route { matches, ..Route::default() };
    let hashes = Match { groups: vec![Group::Hash], ..Match::default() };
    let sessions = Match { keys: vec!["session:*".into()], ..Match::default() };
    let cases = [
        ("no_rules", vec![]),
        ("four_rules_without_keys", vec![rule(hashes); 4]),
        ("four_rules_with_keys", vec![rule(sessions); 4]),
    ];
    for (name, rules) in cases {
        let routes = Routes::new(Level::Sticky, Route::default(), rules);
        bench.bench_function(&format!("choose/{name}"), |it| {
            it.iter(|| routes.choose(black_box(&ask)));
        });
    }
}

criterion_group!(benches, planning, choosing);
criterion_main!(benches);
