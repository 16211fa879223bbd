//! What watching costs: an open status page, and a scrape each second.

use crate::cpu;
use crate::measure::{Row, Sample, median, runs};
use crate::options::Options;
use crate::peers::{Binaries, Party, free_port};
use crate::speed::ROWS;
use crate::table::{Table, interval_verdict, thousands};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const REPLICAS: u32 = 2;
const DEPTH: u64 = 16;
/// Ten GETs to one SET.
const MIX: &str = "MIXED";
/// So many times the usual requests, so that a run sees some looks.
const LONGER: u64 = 4;
/// How often a page asks, and how often it is scraped here.
const EVERY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);
/// Of the load with nobody watching: nothing that can be measured.
const BAR_RATIO: f64 = 1.03;
/// Looks whose processor time is taken, one behind the other.
const LOOKS: u32 = 200;
/// The share of a core that one look a second may take.
const BAR_PERCENT: f64 = 0.5;

/// Who watches, and what they ask for.
const WATCHERS: [(&str, Option<&str>); 3] =
    [("nobody", None), ("one open page", Some("/api/v1/status")), ("a scrape", Some("/metrics"))];

/// A load beside each of them; then what one look takes.
pub fn tables(binaries: &Binaries, options: &Options) -> String {
    match watched(binaries, options) {
        Ok(tables) => tables,
        Err(why) => format!("Nobody could watch: {why}\n"),
    }
}

fn watched(binaries: &Binaries, options: &Options) -> Result<String, String> {
    let mut parties = Vec::new();
    let mut watching = Vec::new();
    for (_, path) in WATCHERS {
        let page = free_port().map_err(|it| it.to_string())?;
        let party = binaries.start_with_page(page, REPLICAS).ok_or("there is no Entourage")?;
        watching.extend(path.map(|it| Watching::start(page, it)));
        parties.push((Some(party), page));
    }
    let (parties, pages): (Vec<_>, Vec<_>) = parties.into_iter().unzip();
    let beside = beside_a_load(&parties, options);
    for watching in watching {
        watching.stop()?;
    }
    let looks = looks(&parties, &pages)?;
    Ok(format!(
        "Ten GETs to one SET at depth {DEPTH}, one worker, two hosted replicas, beside somebody \
         who asks once a second. A ratio is the median of the rounds' ratios with its 90 % \
         interval.\n\n{beside}\nThe processor time of {LOOKS} looks, one behind the other, after that \
         load:\n\n{looks}"
    ))
}

fn beside_a_load(parties: &[Option<Party>], options: &Options) -> String {
    let head = ["watched by", "requests/s", "p99 ms", "CPU µs/request", "× nobody", "bar"];
    let mut table = Table::new(&head);
    let row: &Row = ROWS.iter().find(|it| it.name.contains(MIX)).expect("the mix is a row");
    let requests = LONGER * options.requests_at(DEPTH);
    let runs = runs(row, parties, options.effort(DEPTH, requests));
    for ((name, _), of_watched) in WATCHERS.iter().zip(&runs) {
        let sample = of_watched.as_deref().and_then(median);
        let figure = |of: fn(Sample) -> String| sample.map_or("n/a".into(), of);
        let mut cells = vec![(*name).to_owned()];
        cells.push(figure(|it| thousands(it.per_second)));
        cells.push(figure(|it| format!("{:.2}", it.p99_ms)));
        cells.push(figure(|it| format!("{:.3}", it.cpu_us)));
        let rounds = of_watched.iter().flatten().zip(runs[0].iter().flatten());
        let ratios = rounds.map(|(of, over)| of.cpu_us / over.cpu_us).collect();
        cells.extend(interval_verdict(ratios, BAR_RATIO));
        table.push(cells);
    }
    table.to_string()
}

fn looks(parties: &[Option<Party>], pages: &[u16]) -> Result<String, String> {
    let mut table = Table::new(&["a look by", "KB", "CPU ms", "% of a core, each second", "bar"]);
    for (at, (name, path)) in WATCHERS.iter().enumerate() {
        let (Some(path), Some(party)) = (path, &parties[at]) else { continue };
        let mut page = Page::open(pages[at]).map_err(|it| it.to_string())?;
        let pids = party.pids();
        let before = cpu::nanos(&pids);
        let mut bytes = 0;
        for _ in 0..LOOKS {
            bytes += page.look(path).map_err(|it| it.to_string())?;
        }
        let ms = (cpu::nanos(&pids) - before) as f64 / 1e6 / f64::from(LOOKS);
        // A millisecond of each second is a tenth of a percent.
        let percent = ms / 10.0;
        let met = if percent <= BAR_PERCENT { "met" } else { "missed" };
        table.push(vec![
            (*name).to_owned(),
            format!("{:.1}", bytes as f64 / f64::from(LOOKS) / 1e3),
            format!("{ms:.3}"),
            format!("{percent:.3}"),
            format!("≤ {BAR_PERCENT} {met}"),
        ]);
    }
    Ok(table.to_string())
}

/// Somebody who asks for a path each second, until they are told to stop.
struct Watching {
    stop: Sender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Watching {
    fn start(port: u16, path: &'static str) -> Watching {
        let (stop, stops) = channel();
        let thread = thread::spawn(move || {
            let mut page = Page::open(port)?;
            while stops.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                page.look(path)?;
            }
            Ok(())
        });
        Watching { stop, thread }
    }

    /// An error where a look has failed meanwhile.
    fn stop(self) -> Result<(), String> {
        drop(self.stop);
        let watched = self.thread.join().map_err(|_| "the watcher panicked")?;
        watched.map_err(|it| format!("a look failed: {it}"))
    }
}

/// A connection to the status page's listener, kept open as browsers and Prometheus do.
struct Page {
    stream: BufReader<TcpStream>,
}

impl Page {
    fn open(port: u16) -> io::Result<Page> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Page { stream: BufReader::new(stream) })
    }

    /// Asks for this path, and returns how many bytes the answer has.
    fn look(&mut self, path: &str) -> io::Result<usize> {
        let ask = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        self.stream.get_mut().write_all(ask.as_bytes())?;
        let mut len = None;
        let status = self.line()?;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            len = line.strip_prefix("content-length: ").and_then(|it| it.parse().ok()).or(len);
        }
        let (true, Some(len)) = (status.contains(" 200 "), len) else {
            return Err(io::Error::other(format!("{path}: {status}")));
        };
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body)?;
        Ok(len)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}
