//! How late hosted replicas are under a steady 50,000 writes/s.

use crate::drive::{KEYS, Replies, VALUE};
use crate::options::Options;
use crate::peers::{Binaries, Kind, Party};
use crate::wire::{Wire, encode};
use async_std::future::timeout;
use async_std::net::TcpStream;
use async_std::task;
use entourage::base::random::Random;
use futures::AsyncWriteExt;
use futures::future::try_join_all;
use std::fmt::Write;
use std::io;
use std::time::{Duration, Instant};

const WRITES_PER_SECOND: u64 = 50_000;
const CONNECTIONS: u64 = 10;
/// Each connection writes a few commands every so often.
const BEAT: Duration = Duration::from_millis(1);
const WRITES_PER_BEAT: u64 = WRITES_PER_SECOND / CONNECTIONS / 1000;
const _: () = assert!(WRITES_PER_BEAT * CONNECTIONS * 1000 == WRITES_PER_SECOND);
const BEATS: u64 = 10_000;

/// What `PROXY STATS` says about push lag after the writes.
pub fn report(binaries: &Binaries, options: &Options) -> String {
    let Some(party) = binaries.start(Kind::Entourage, 2) else { return "n/a\n".into() };
    match paced_writes(&party, options.scaled(BEATS)) {
        Ok(told) => told,
        Err(why) => format!("n/a ({why})\n"),
    }
}

fn paced_writes(party: &Party, beats: u64) -> Result<String, String> {
    let begun = Instant::now();
    let patience = Duration::from_secs(60) + BEAT * 2 * beats as u32;
    let run = timeout(patience, write_all(party.port(), beats));
    task::block_on(run).map_err(|it| it.to_string())?.map_err(|it| it.to_string())?;
    let writes = beats * WRITES_PER_BEAT * CONNECTIONS;
    let rate = writes as f64 / begun.elapsed().as_secs_f64();
    let mut told = format!("{writes} writes at {rate:.0}/s (asked: {WRITES_PER_SECOND}/s)\n\n");
    let mut wire = Wire::dial(party.port()).map_err(|it| it.to_string())?;
    let stats = wire.ask(&["PROXY", "STATS"])?;
    let stats = String::from_utf8_lossy(&stats);
    for line in stats.lines().filter(|it| it.starts_with("push_lag")) {
        writeln!(told, "    {line}").expect("a string takes every line");
    }
    if !told.contains("push_lag") {
        told.push_str("    push_lag n/a\n");
    }
    Ok(told)
}

async fn write_all(port: u16, beats: u64) -> io::Result<()> {
    let begun = Instant::now();
    try_join_all((0..CONNECTIONS).map(|seed| write(port, seed, beats, begun))).await.map(drop)
}

/// Keeps to the timetable: after a delay the missed beats follow at once.
async fn write(port: u16, seed: u64, beats: u64, begun: Instant) -> io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut random = Random::new(seed);
    let mut replies = Replies::default();
    let phase = BEAT * seed as u32 / CONNECTIONS as u32;
    for beat in 0..beats {
        task::sleep((phase + BEAT * beat as u32).saturating_sub(begun.elapsed())).await;
        let mut burst = Vec::new();
        for _ in 0..WRITES_PER_BEAT {
            let key = format!("key:{:012}", random.below(KEYS));
            burst.extend_from_slice(&encode(&["SET", &key, VALUE]));
        }
        stream.write_all(&burst).await?;
        replies.take(&mut stream, WRITES_PER_BEAT).await?;
    }
    Ok(())
}
