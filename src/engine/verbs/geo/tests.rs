//! Places against a script that a real server answered, and what is told of them.

use crate::engine::verbs::check::{Bench, check};

#[test]
fn places() {
    check("geo.txt");
}

#[test]
fn effects_are_what_a_replica_of_redis_would_hear() {
    const SENT: &[&str] = &["as sent"];
    let mut bench = Bench::default();
    bench.expect_said(&[
        ("GEOADD g NX CH 13.361389 38.115556 a", &["zadd g NX CH 3479099956230698 a"]),
        ("GEOADD g 13.361389 38.115556 a", &[]),
        ("GEOADD g XX 1 1 none", &[]),
        (
            "GEOADD g 13.361389 38.115556 a 180 0.00001 b",
            &["zadd g 3479099956230698 a 10133099161583621 b"],
        ),
        ("GEOSEARCHSTORE d g FROMMEMBER a BYRADIUS 1 m", SENT),
        ("GEOSEARCHSTORE d g FROMLONLAT 1 1 BYRADIUS 1 m", SENT),
        ("GEOSEARCHSTORE d g FROMLONLAT 1 1 BYRADIUS 1 m", &[]),
        ("GEORADIUS g 13.361389 38.115556 1 km", &[]),
        ("GEORADIUS g 13.361389 38.115556 1 km STOREDIST d", SENT),
        ("GEORADIUSBYMEMBER none a 1 km STORE d", SENT),
        ("GEORADIUSBYMEMBER none a 1 km STORE d", &[]),
    ]);
}
