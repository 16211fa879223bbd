//! The command line: what to do, and the flags that win over the file.

use crate::config::{Checked, Outside, Overrides};
use crate::load;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

mod manual;

/// What the command line asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Invocation {
    /// Serve, with this file if one is named, and these flags over it.
    Serve {
        /// The config file.
        file: Option<PathBuf>,
        /// The flags.
        flags: Box<Overrides>,
        /// Whether it takes the place of a process that serves already.
        upgrades: bool,
    },
    /// Say what would be in force, with this file if one is named, and these flags over it.
    PrintConfig {
        /// The config file.
        file: Option<PathBuf>,
        /// The flags.
        flags: Box<Overrides>,
    },
    /// Say whether this config file is sound.
    Check {
        /// The config file.
        file: PathBuf,
        /// Whether a warning is as bad as an error.
        is_strict: bool,
    },
    /// Say how much of an append-only file is whole.
    CheckAof {
        /// It, or its manifest.
        file: PathBuf,
        /// Whether what is not whole is cut off.
        fixes: bool,
        /// What was written after this time is cut off, in s since 1970.
        until_s: Option<u64>,
    },
    /// Load a server, and check what it promises.
    Load(Box<load::Flags>),
    /// Write this text: a manual page, or a shell's completions.
    Write(Vec<u8>),
    /// Write the reference of the configuration.
    ConfigReference,
    /// Write the reference of all commands.
    CommandReference,
    /// Write the reference of the status page's endpoints.
    StatusReference,
}

/// A Redis-protocol proxy that hosts a master with its replicas, sends writes to the one and
/// reads to the others, and never serves a client a stale read of its own writes.
#[derive(Parser)]
#[command(
    name = "entourage",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Without a file and without flags: one master and two replicas on 127.0.0.1:6379, \
                  everything in memory, and reads that see every write acknowledged \
                  before.\n\n\
                  Examples:\n  \
                  entourage\n  \
                  entourage --port 7000 --replicas 3\n  \
                  entourage --bind localhost:7000 --level sticky\n  \
                  entourage serve --config config/entourage.toml --loglevel verbose\n  \
                  entourage check config/routes.toml"
)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    serve: Serve,
}

const LOAD_EXAMPLES: &str = "Examples:\n  \
                             entourage load\n  \
                             entourage load --scenario cache --duration 30s\n  \
                             entourage load --scenario ycsb-a --check all --report load.html\n  \
                             entourage load --command \"1 INCR {key}\" --rate 5000";

#[derive(Subcommand)]
enum Verb {
    /// Serve clients; what happens without a subcommand, too
    Serve(Box<Serve>),
    /// Check a config file: exit code 0 when it is sound, with a warning for each setting that does
    /// not do what it seems to; 2 with the reason when it cannot be used
    Check {
        /// The TOML file to check
        file: PathBuf,
        /// Exit code 3 when there are warnings
        #[arg(long)]
        strict: bool,
    },
    /// Say how much of an append-only file is whole: exit code 0 when all of it is, 1 with the
    /// place when not
    CheckAof {
        /// One of its parts, or its manifest
        file: PathBuf,
        /// Cut off what is not whole
        #[arg(long)]
        fix: bool,
        /// Cut off what was written later: seconds since 1970, or like 2026-11-27T03:04:05Z; the
        /// file must have been written with aof-timestamp-enabled
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        truncate_to: Option<u64>,
    },
    /// Load a server, measure it, and check what it promises: exit code 0 when all is well, 1 when
    /// a check is violated, 2 when the load could not be begun
    #[command(after_help = LOAD_EXAMPLES)]
    Load(Box<load::Flags>),
    /// Write what a shell completes this command line by: `entourage completions bash >
    /// /etc/bash_completion.d/entourage`
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual page: `entourage man | man -l -`
    Man {
        /// The page of this subcommand, in the place of the one of all
        subcommand: Option<String>,
    },
    /// Write the reference of all settings, in Markdown
    #[command(hide = true)]
    ConfigReference,
    /// Write the reference of all commands, in Markdown
    #[command(hide = true)]
    CommandReference,
    /// Write the reference of the status page's endpoints, in Markdown
    #[command(hide = true)]
    StatusReference,
}

#[derive(Args)]
struct Serve {
    /// Read this TOML file; flags win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen here instead of where the file says, at --port where no port is written; may be given
    /// more than once
    #[arg(long, value_name = "ADDR[:PORT]")]
    bind: Vec<String>,
    /// Listen at this port: of each --bind without one, else of the first listener [default: 6379]
    #[arg(long, value_name = "N")]
    port: Option<String>,
    /// Listen with TLS at this port, and at no other unless --bind, --port, --unix or the file says
    /// so
    #[arg(long, value_name = "N")]
    tls_port: Option<String>,
    /// The certificate (PEM) shown there
    #[arg(long, value_name = "FILE")]
    tls_cert_file: Option<String>,
    /// Its key
    #[arg(long, value_name = "FILE")]
    tls_key_file: Option<String>,
    /// The authorities that clients' certificates are trusted by
    #[arg(long, value_name = "FILE")]
    tls_ca_cert_file: Option<String>,
    /// Whether clients must show a certificate there: yes, no or optional [default: yes]
    #[arg(long, value_name = "WORD")]
    tls_auth_clients: Option<String>,
    /// Listen on this unix socket, and at no port unless --bind or --port is given, too
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// Host this many replicas beside the master [default: 2]
    #[arg(long, value_name = "N")]
    replicas: Option<String>,
    /// Follow this master over the wire: HOST:PORT, "HOST PORT" or redis://USER:PASSWORD@HOST:PORT
    #[arg(long, value_name = "HOST:PORT", visible_alias = "slaveof")]
    replicaof: Option<String>,
    /// Worker threads; 0 is one per core [default: 0]
    #[arg(long, value_name = "N")]
    threads: Option<String>,
    /// What reads promise: master, linearizable, global, sticky, "bounded 50ms 1mb" or eventual
    /// [default: global]
    #[arg(long, value_name = "LEVEL")]
    level: Option<String>,
    /// What is worth a line in the log: debug, verbose, notice or warning [default: notice]
    #[arg(long, value_name = "L")]
    loglevel: Option<String>,
    /// Refuse clients from other machines while there is no password: yes or no [default: yes]
    #[arg(long, value_name = "YES|NO")]
    protected_mode: Option<String>,
    /// Serve the status page, the metrics and their like here, for browsers of this machine
    #[arg(long, value_name = "ADDR[:PORT]")]
    http: Option<String>,
    /// Write what is in force, the file and the flags over it, as TOML without secrets, and serve
    /// nobody
    #[arg(long)]
    print_config: bool,
    /// Take the place of the process that listens at server.upgrade-socket: get its data, its role
    /// and its sockets, and have it end
    #[arg(long, conflicts_with = "print_config")]
    upgrade: bool,
}

/// Reads a command line, program name first. What clap answers by itself (`--help`, `--version`,
/// a misspelt flag) is the error; its `exit` prints it with the right code.
pub fn parse<I>(args: I) -> Result<Invocation, clap::Error>
where
    I: IntoIterator<Item: Into<OsString> + Clone>,
{
    let cli = Cli::try_parse_from(args)?;
    Ok(match cli.verb {
        Some(Verb::Completions { shell }) => {
            Invocation::Write(manual::completions(Cli::command(), shell))
        }
        Some(Verb::Man { subcommand }) => {
            Invocation::Write(manual::page(Cli::command(), subcommand.as_deref())?)
        }
        Some(Verb::Check { file, strict }) => Invocation::Check { file, is_strict: strict },
        Some(Verb::CheckAof { file, fix, truncate_to }) => {
            Invocation::CheckAof { file, fixes: fix, until_s: truncate_to }
        }
        Some(Verb::Load(flags)) => Invocation::Load(flags),
        Some(Verb::ConfigReference) => Invocation::ConfigReference,
        Some(Verb::CommandReference) => Invocation::CommandReference,
        Some(Verb::StatusReference) => Invocation::StatusReference,
        Some(Verb::Serve(serve)) => (*serve).into(),
        None => cli.serve.into(),
    })
}

/// Seconds since 1970: as such, or as a date and time in UTC.
fn parse_time(text: &str) -> Result<u64, String> {
    let wrong = || "seconds since 1970, or a time like 2026-11-27T03:04:05Z".to_owned();
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once(['T', ' ']).ok_or_else(wrong)?;
    let numbers = |text: &str, by: char| {
        text.split(by).map(|it| it.parse::<u64>().ok()).collect::<Option<Vec<_>>>()
    };
    match (numbers(date, '-').as_deref(), numbers(time, ':').as_deref()) {
        (Some(&[year @ 1970..=9999, month @ 1..=12, day @ 1..=31]), Some(&[h, m, s]))
            if h < 24 && m < 60 && s < 60 =>
        {
            Ok(days_to(year, month, day) * 86_400 + h * 3600 + m * 60 + s)
        }
        _ => Err(wrong()),
    }
}

/// Days from 1970 to a date.
fn days_to(year: u64, month: u64, day: u64) -> u64 {
    // March is the first month, so that a leap day ends its year.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let leaps = year / 4 - year / 100 + year / 400;
    const FROM_0_TO_1970: u64 = 719_468;
    year * 365 + leaps + (153 * month + 2) / 5 + day - 1 - FROM_0_TO_1970
}

impl From<Serve> for Invocation {
    fn from(serve: Serve) -> Invocation {
        let Serve { config, bind, port, unix, replicas, replicaof, threads, .. } = serve;
        let Serve { level, loglevel, protected_mode, http, tls_port, .. } = serve;
        let Serve { tls_cert_file, tls_key_file, tls_ca_cert_file, tls_auth_clients, .. } = serve;
        let Serve { print_config, upgrade, .. } = serve;
        let flags = Overrides {
            bind,
            port,
            tls_port,
            tls_cert_file,
            tls_key_file,
            tls_ca_cert_file,
            tls_auth_clients,
            unix,
            replicas,
            replicaof,
            threads,
            level,
            loglevel,
            protected_mode,
            http,
        };
        let flags = Box::new(flags);
        match print_config {
            true => Invocation::PrintConfig { file: config, flags },
            false => Invocation::Serve { file: config, flags, upgrades: upgrade },
        }
    }
}

impl Invocation {
    /// The configuration it comes to, or one line that says why there is none: exit code 2.
    pub fn config(&self, outside: &Outside<'_>) -> Result<Checked, String> {
        match self {
            Invocation::Serve { file, flags, .. } | Invocation::PrintConfig { file, flags } => {
                Checked::read(file.as_deref(), flags, outside)
            }
            Invocation::Check { file, .. } => Checked::read(Some(file), &Overrides::NONE, outside),
            Invocation::CheckAof { .. }
            | Invocation::Load(_)
            | Invocation::Write(_)
            | Invocation::ConfigReference
            | Invocation::CommandReference
            | Invocation::StatusReference => Checked::read(None, &Overrides::NONE, outside),
        }
    }

    /// The config file it names.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Invocation::Serve { file, .. } | Invocation::PrintConfig { file, .. } => {
                file.as_deref()
            }
            Invocation::Check { file, .. } => Some(file),
            Invocation::CheckAof { .. }
            | Invocation::Load(_)
            | Invocation::Write(_)
            | Invocation::ConfigReference
            | Invocation::CommandReference
            | Invocation::StatusReference => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::io;

    const FILE: &str = "[server]\nthreads = 3\n[set]\nreplicas = 1\n";

    fn config(words: &str) -> Result<Config, String> {
        checked(words).map(|it| it.config)
    }

    fn checked(words: &str) -> Result<Checked, String> {
        let read = |path: &Path| match path.to_str() {
            Some("e.toml") => Ok(FILE.to_owned()),
            Some("strict.toml") => Ok("[set]\nmin-replicas-to-write = 3\n".to_owned()),
            Some("bad.toml") => Ok("[set]\nreplicas = -1\n".to_owned()),
            Some("doors.toml") => Ok(DOORS.to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        let resolve = |name: &str| (name == "db.example").then(|| [10, 0, 0, 7].into());
        let outside = Outside { read: &read, resolve: &resolve, ..Outside::NOTHING };
        parse(words.split(' ')).unwrap().config(&outside)
    }

    const DOORS: &str = "[[listener]]\nunix = '/s'\n[[listener]]\nname = 'a'\n\
                         bind = '127.0.0.1:1'\nlevel = 'master'\n[[listener]]\n\
                         bind = '127.0.0.1:2'\n";

    fn at(words: &str) -> Vec<String> {
        config(words).unwrap().listeners.iter().map(|it| it.at.to_string()).collect()
    }

    #[test]
    fn a_port_is_that_of_each_bind_without_one_or_of_the_first_listener() {
        assert_eq!(at("entourage --port 7000"), ["127.0.0.1:7000"]);
        assert_eq!(at("entourage --bind localhost:7001"), ["127.0.0.1:7001"]);
        assert_eq!(at("entourage --bind db.example --bind [::1]"), ["10.0.0.7:6379", "[::1]:6379"]);
        let both = "entourage --port 7000 --bind db.example --bind 127.0.0.1:7001 --unix /u";
        assert_eq!(at(both), ["10.0.0.7:7000", "127.0.0.1:7001", "/u"]);
        assert_eq!(at("entourage --port 7000 --unix /u"), ["127.0.0.1:7000", "/u"]);
        let moved = config("entourage --config doors.toml --port 7000").unwrap();
        assert_eq!(at("entourage --config doors.toml --port 7000")[1], "127.0.0.1:7000");
        assert_eq!((moved.listeners[1].name.as_str(), moved.listeners.len()), ("a", 3));
        assert!(moved.listeners[1].level.is_some(), "the rest stays as the file has it");
        let taken = config("entourage --config doors.toml --port 2").unwrap_err();
        assert_eq!(taken, "--port 2: another listener is already at 127.0.0.1:2");
        let why = config("entourage --port 65536").unwrap_err();
        assert!(why.starts_with("--port 65536 is not accepted; write a port from 0"), "{why}");
    }

    #[test]
    fn a_flag_that_opens_the_server_to_everybody_is_told_of() {
        let warnings = checked("entourage --bind 0.0.0.0").unwrap().warnings;
        assert_eq!(
            warnings,
            ["listener.bind listens at 0.0.0.0:6379, and clients from other machines are \
              refused: there is no password, and server.protected-mode is on; set \
              server.requirepass, or bind to 127.0.0.1"]
        );
        let open = checked("entourage --bind 0.0.0.0 --protected-mode no").unwrap().warnings;
        let told = "open to other machines, and there is no password";
        assert!(open.len() == 1 && open[0].contains(told), "{open:?}");
        assert!(checked("entourage --bind [::1]:1").unwrap().warnings.is_empty());
    }

    #[test]
    fn a_time_is_seconds_or_a_date() {
        assert_eq!(parse_time("1764212645"), Ok(1_764_212_645));
        assert_eq!(parse_time("1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(parse_time("2000-03-01 00:00:01"), Ok(951_868_801));
        assert_eq!(parse_time("2026-11-27T03:04:05Z"), Ok(1_795_748_645));
        for wrong in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-11-27", "2026-11-27T25:00:00"]
        {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_words_mean_the_defaults() {
        assert_eq!(config("entourage").unwrap(), Config::default());
        assert_eq!(config("entourage serve").unwrap(), Config::default());
    }

    #[test]
    fn more_good_replicas_than_there_are_is_refused_unless_a_flag_adds_them() {
        let why = config("entourage check strict.toml").unwrap_err();
        assert_eq!(
            why,
            "strict.toml:2: set.min-replicas-to-write = 3 with set.replicas = 2 refuses every \
             write; write 2 at most, or raise set.replicas"
        );
        assert!(config("entourage --config strict.toml --replicas 3").is_ok());
    }

    #[test]
    fn flags_win_over_the_file() {
        let config =
            config("entourage --config e.toml --replicas 5 --bind [::1]:7000 --unix /tmp/s")
                .unwrap();
        assert_eq!((config.server.threads, config.set.replicas), (3, 5));
        let at: Vec<String> = config.listeners.iter().map(|it| it.at.to_string()).collect();
        assert_eq!(at, ["[::1]:7000", "/tmp/s"]);
    }

    #[test]
    fn flags_reach_levels_and_logs() {
        let config = config("entourage serve --level eventual --loglevel warning").unwrap();
        assert_eq!(config.routes.default_level().to_string(), "eventual");
        assert_eq!(config.server.loglevel.as_str(), "warning");
    }

    #[test]
    fn a_wrong_flag_says_what_it_takes() {
        let refused = |words: &str| config(words).unwrap_err();
        assert_eq!(
            refused("entourage --replicas 101"),
            "--replicas 101 is not accepted; write a whole number from 0 to 100"
        );
        assert_eq!(
            refused("entourage --bind here"),
            "--bind here is not accepted; write an address or a name of this host, with a port or \
             without, like 127.0.0.1:6379, [::1]:6379 or localhost"
        );
        assert_eq!(
            refused("entourage --bind 6390"),
            "--bind 6390 is a port, and no address; write --port 6390, or --bind 127.0.0.1:6390"
        );
        assert!(refused("entourage --level sticki").contains("write master, linearizable"));
        assert!(refused("entourage --protected-mode 1").ends_with("write yes or no"));
        assert!(refused("entourage --loglevel loud").contains("debug, verbose, notice, warning"));
        assert!(refused("entourage --bind 1.1.1.1:1 --bind 1.1.1.1:1").contains("already at"));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        assert!(config("entourage check no.toml").unwrap_err().starts_with("no.toml: cannot be"));
        assert!(config("entourage check bad.toml").unwrap_err().starts_with("bad.toml:2: set.rep"));
        assert!(config("entourage check e.toml").is_ok());
    }

    #[test]
    fn help_and_version_are_clap_s_to_answer() {
        let kind = |words: &str| parse(words.split(' ')).unwrap_err().kind();
        assert_eq!(kind("entourage --version"), clap::error::ErrorKind::DisplayVersion);
        assert_eq!(kind("entourage --help"), clap::error::ErrorKind::DisplayHelp);
        let help = parse(["entourage", "--help"]).unwrap_err().to_string();
        let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("unix socket, and at no port unless --bind or --port"), "{words}");
        assert_eq!(kind("entourage --nonsense"), clap::error::ErrorKind::UnknownArgument);
        assert_eq!(kind("entourage check"), clap::error::ErrorKind::MissingRequiredArgument);
    }
}
