//! Entourage beside redis-server and valkey-server: one load, one machine, one table.
//!
//! ```text
//! cargo bench --bench side_by_side             all but those that take long or ask for TLS: see `--help`
//! cargo bench --bench side_by_side -- --rows single --only SET,GET --depths 1,16 --quick
//! ```
//!
//! The servers take turns (A B C A B C …) and every figure is the median of the rounds. CPU per
//! request is that of all threads of the server's processes, until every replica has applied
//! everything: it holds on a busy machine; requests/s does not. The tables go to stdout as Markdown,
//! the progress to stderr.

mod options;
mod peers;
mod wire;
mod cpu;
mod drive;
mod members;
mod measure;
mod speed;
mod workers;
mod collections;
mod bits;
mod queues;
mod memory;
mod lag;
mod wire_lag;
mod levels;
mod metering;
mod tls;
mod watched;
mod load;
mod eviction;
mod fillings;
mod probes;
mod long_work;
mod stalls;
mod disk;
mod disk_load;
mod resync;
mod table;

use clap::Parser;
use options::{Options, Rows};
use peers::Binaries;

fn main() {
    let options = Options::parse();
    let binaries = Binaries::find(&options);
    println!("{}, 50 connections\n", binaries.caption());
    if options.quick {
        println!("A quick run, with a tenth of the data: not to be quoted.\n");
    }
    for rows in options.sections() {
        println!("### {}\n", rows.title());
        println!("{}", section(rows, &binaries, &options));
    }
}

fn section(rows: Rows, binaries: &Binaries, options: &Options) -> String {
    match rows {
        Rows::Single => speed::single(binaries, options),
        Rows::Set => speed::set(binaries, options),
        Rows::Workers => workers::tables(binaries, options),
        Rows::Collections => collections::table(binaries, options),
        Rows::Bits => bits::table(binaries, options),
        Rows::Queues => queues::table(binaries, options),
        Rows::Memory => memory::table(binaries, options),
        Rows::Eviction => eviction::table(binaries, options),
        Rows::Lag => lag::table(binaries, options),
        Rows::Levels => levels::table(binaries, options),
        Rows::Metrics => metering::table(binaries, options),
        Rows::Tls => tls::table(binaries, options),
        Rows::Watched => watched::tables(binaries, options),
        Rows::Stalls => stalls::table(binaries, options),
        Rows::Resync => resync::table(binaries, options),
        Rows::WireLag => wire_lag::tables(binaries, options),
        Rows::Disk => disk::tables(binaries, options),
        Rows::Load => load::table(binaries, options),
        Rows::All => unreachable!("`all` names sections, it is not one"),
    }
}
