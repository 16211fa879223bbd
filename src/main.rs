//! The front door.

use entourage::admin::{House, OutputLimit, Settings};
use entourage::engine::Thresholds;
use entourage::node::{Set, new_history};
use entourage::route::{Level, Route, Routes};
use entourage::runtime::stream::Acceptor;
use entourage::runtime::{clock, tasks};
use entourage::server::{Listener, listen, rounds, start_feeds};
use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    env_logger::init();
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| args.iter().position(|it| it == name).and_then(|at| args.get(at + 1));
    let bind = value("--bind").map_or("127.0.0.1:6379", |it| it).to_string();
    let replicas = value("--replicas").and_then(|it| it.parse().ok()).unwrap_or(2);
    let threads = value("--threads").and_then(|it| it.parse().ok()).unwrap_or(1);
    tasks::start(threads);
    let set = Set::new(
        replicas,
        clock::entropy(),
        new_history(),
        Thresholds::default(),
        1 << 20,
        64 << 20,
    );
    let settings = Settings {
        max_clients: 10_000,
        password: None,
        idle_timeout: None,
        shutdown_timeout: Duration::from_secs(10),
        output_limit: OutputLimit::default(),
        min_replicas: None,
        routes: Arc::new(Routes::new(Level::Sticky, Route::default(), vec![])),
        debug: true,
        metrics: true,
    };
    let house = Arc::new(House::new(Arc::new(set), threads, settings));
    start_feeds(&house);
    tasks::spawn(rounds(house.clone(), Duration::from_secs(10)));
    let listener =
        Listener { name: "main".into(), level: None, acceptor: Acceptor::tcp(&bind).unwrap() };
    tasks::spawn(listen(house, listener));
    loop {
        std::thread::park();
    }
}
