//! The front door: command line to config, config to a server, and the server's end.

use entourage::base::log_limit::LogLimit;
use entourage::base::position::{Offset, Position};
use entourage::cli::{Invocation, parse};
use entourage::commands::{catalogue, command_reference, known, table};
use entourage::config::{Checked, Config, Outside, print, reference};
use entourage::http::{self, status_reference};
use entourage::load;
use entourage::node::{ReplicaSet, TurnApplier, new_replid};
use entourage::runtime::acceptor::Acceptor;
use entourage::runtime::allocation::Counting;
use entourage::runtime::notify::{NotifySocket, watchdog};
use entourage::runtime::passed_sockets::{PassedSocket, take_passed_sockets};
use entourage::runtime::pid_file::PidFile;
use entourage::runtime::signals::{Request, Requests};
use entourage::runtime::{clock, process, tasks};
use entourage::server::{
    AofRepair, Listener, Opened, Predecessor, ServiceManager, Store, Threads, WayIn,
    ask_for_freshness, check_aof, cron, drain, end, evict, follow, keep_files, listen, open,
    open_for_upgrade, share, start_feeds, start_upstream, still_configured, take_files,
    tell_manager,
};
use entourage::session::TokenSigner;
use entourage::state::{
    EndOrder, Logging, ProcessInfo, ReadText, Server, Source, clamp_maxclients, log_warnings,
    read_users, version,
};
use futures::future::join_all;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The configuration cannot be used.
const MISCONFIGURED: u8 = 2;
/// It can, and `check --strict` finds something foolish.
const FOOLISH: u8 = 3;

fn main() -> ExitCode {
    // Before anything else has a descriptor of its own.
    let passed = take_passed_sockets();
    let invocation = parse(std::env::args_os()).unwrap_or_else(|it| it.exit());
    let checked = match configured(&invocation, &process::read_text) {
        Ok(checked) => checked,
        Err(why) => {
            why.lines().for_each(|it| eprintln!("entourage: {it}"));
            return ExitCode::from(MISCONFIGURED);
        }
    };
    match invocation {
        Invocation::Check { file, is_strict } => {
            let Checked { config, warnings } = checked;
            if let Err(why) = users_file(&config) {
                eprintln!("entourage: {}: {why}", file.display());
                return ExitCode::from(MISCONFIGURED);
            }
            warnings.iter().for_each(|it| println!("warning: {it}"));
            let told = match warnings.len() {
                0 => "sound".to_owned(),
                1 => "sound, with one warning".to_owned(),
                count => format!("sound, with {count} warnings"),
            };
            println!("{}: {told}", file.display());
            let is_foolish = is_strict && !warnings.is_empty();
            ExitCode::from(if is_foolish { FOOLISH } else { 0 })
        }
        Invocation::CheckAof { file, fixes, until_s } => {
            match check_aof(&file, AofRepair { fixes, until_s }) {
                Ok((told, is_whole)) => {
                    print!("{told}");
                    if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
                }
                Err(why) => {
                    eprintln!("entourage: {why}");
                    ExitCode::FAILURE
                }
            }
        }
        Invocation::Load(flags) => ExitCode::from(load::main(*flags)),
        Invocation::ConfigReference => {
            print!("{}", reference());
            ExitCode::SUCCESS
        }
        Invocation::CommandReference => {
            print!("{}", command_reference());
            ExitCode::SUCCESS
        }
        Invocation::StatusReference => {
            print!("{}", status_reference());
            ExitCode::SUCCESS
        }
        Invocation::Write(text) => {
            // Whoever reads may have read enough.
            let _ = std::io::stdout().write_all(&text);
            ExitCode::SUCCESS
        }
        Invocation::PrintConfig { .. } => {
            let mut config = checked.config;
            clamp_maxclients(&mut config);
            print!("{}", print(&config));
            ExitCode::SUCCESS
        }
        Invocation::Serve { .. } => serve(checked, invocation, passed).unwrap_or_else(|why| {
            log::error!("event=start-failed why={why}");
            ExitCode::FAILURE
        }),
    }
}

/// What the command line comes to, with the files, hosts and commands that there are.
fn configured(invocation: &Invocation, read: ReadText<'_>) -> Result<Checked, String> {
    let (commands, resolve) = (known(), &process::resolve);
    let catalogue = Some(catalogue(table()));
    invocation.config(&Outside { read, resolve, commands: &commands, catalogue })
}

/// Whether the file of users can be read and means something, where there is one.
fn users_file(config: &Config) -> Result<(), String> {
    match config.has_users_file() {
        true => read_users(config, catalogue(table())).map(drop),
        false => Ok(()),
    }
}

/// Serves until told to end; blocks the main thread, which does nothing but wait for signals.
fn serve(
    checked: Checked,
    invocation: Invocation,
    passed: Result<Vec<PassedSocket>, String>,
) -> Result<ExitCode, String> {
    let Checked { mut config, warnings } = checked;
    let upgrades = matches!(invocation, Invocation::Serve { upgrades: true, .. });
    let file = invocation.file().map_or_else(String::new, |it| it.display().to_string());
    let source: Source = match invocation.file() {
        Some(_) => Some(Box::new(move |read: ReadText<'_>| configured(&invocation, read))),
        None => None,
    };
    let logging = match take_log(&config) {
        Ok(logging) => logging,
        Err(why) => {
            eprintln!("entourage: {why}");
            return Ok(ExitCode::from(MISCONFIGURED));
        }
    };
    let passed = passed?;
    let mut requests = Requests::take().map_err(|it| format!("cannot take signals: {it}"))?;
    let threads = match config.server.threads {
        0 => process::cores(),
        threads => threads,
    };
    tasks::start();
    clamp_maxclients(&mut config);
    let (predecessor, passed) = match upgrades {
        true => {
            let (predecessor, sockets) = tasks::wait_for(find_predecessor(&config))?;
            (Some(predecessor), sockets)
        }
        false => (None, passed),
    };
    let upgrade_path = match &predecessor {
        Some(predecessor) => predecessor.own_path().to_owned(),
        None => config.server.upgrade_socket.clone(),
    };
    let opened = open(&config, passed)?;
    // What nobody takes is not shared, or it would stay open when nobody listens at it any more.
    let (by_upgrade, shared) = match upgrade_path.as_str() {
        "" => (None, None),
        path => {
            let shared = share(&opened, &config);
            let shared = shared.map_err(|why| format!("cannot share a socket: {why}"))?;
            (Some(open_for_upgrade(path)?), Some(shared))
        }
    };
    let Opened { listeners, http } = opened;
    // Built here, or the first command would be charged for it.
    table();
    let store = match &predecessor {
        // It has the directory for as long as it lives.
        Some(_) => None,
        None => Store::open(&config.set.disk)?,
    };
    let mut server = build(config, threads, file, source, &listeners)?;
    server.logging = logging;
    let server = Arc::new(server);
    server.begin_users(catalogue(table()))?;
    server.tls.load(&server.settings())?;
    announce(&server, threads, &listeners);
    log_warnings(&warnings);
    start_feeds(&server);
    if let Some(shared) = shared {
        server.upgrade.reached_at(&process::absolute(&upgrade_path));
        server.upgrade.keep_sockets(shared);
    }
    // While data is loaded the page says so; another process serves it until its place is ours.
    let http = match predecessor {
        Some(_) => http,
        None => start_http(&server, http).map(|()| None)?,
    };
    match (store, &predecessor) {
        (None, None) => {
            follow_as_configured(&server)?;
            begin(&server);
        }
        (None, Some(predecessor)) => {
            predecessor.follow(&server)?;
            begin(&server);
        }
        (Some(store), _) => load(&server, store)?,
    }
    let threads = Threads::start(threads, || {
        let mut applier = TurnApplier::new(server.set.clone());
        Box::new(move || applier.turn_end())
    });
    let threads = Arc::new(threads.map_err(|why| format!("cannot start workers: {why}"))?);
    start_upstream(&server, &threads);
    let manager = service_manager().map(Arc::new);
    match predecessor {
        None => {
            write_pid_file(&server)?;
            let all = listeners.into_iter().chain(by_upgrade).collect();
            tasks::spawn(attend(server.clone(), threads.clone(), all, manager.clone()));
        }
        Some(predecessor) => {
            if let Some(it) = by_upgrade {
                tasks::spawn(listen(server.clone(), threads.clone(), it));
            }
            server.upgrade.await_files(!server.settings().set.disk.dir.is_empty());
            let manager = manager.clone();
            let takeover = Takeover { listeners, http, predecessor, manager };
            tasks::spawn(take_place(server.clone(), threads.clone(), takeover));
        }
    }
    if let Some(manager) = &manager {
        tasks::spawn(tell_manager(server.clone(), threads, manager.clone()));
    }
    let mut was_told = false;
    loop {
        let signal = until_told_to_end(&mut requests, &server, manager.as_deref());
        let ends_already = server.is_ending();
        if was_told && ends_already {
            log::warn!("event=signal name={signal} action=exit");
            break;
        }
        log::info!("event=signal name={signal} action=drain");
        was_told = true;
        if ends_already {
            server.persistence.insist_on_end();
            continue;
        }
        let ending = server.clone();
        let begun = tasks::thread("entourage-end", move || _ = end(&ending, EndOrder::default()));
        if let Err(why) = begun {
            log::error!("event=shutdown-refused why={why}");
        }
    }
    server.process_info.remove_pid_file();
    Ok(ExitCode::FAILURE)
}

/// Nobody is let in before so much time has passed or all is loaded: clients that connect at once
/// and do not try again hear of `-LOADING` only where there is much to load.
const LOADED_SOON: Duration = Duration::from_millis(100);

/// Loads what files hold, and begins then. What cannot be loaded ends the process: nothing of it is
/// touched.
fn load(server: &Arc<Server>, store: Store) -> Result<(), String> {
    let failing = server.clone();
    let fail = move |why: String| {
        log::error!("event=start-failed why={why}");
        failing.process_info.remove_pid_file();
        process::exit(1)
    };
    let (begins, fails) = (server.clone(), fail.clone());
    let (is_loaded, loaded) = channel();
    let then = move || {
        match follow_as_configured(&begins) {
            Ok(()) => begin(&begins),
            Err(why) => fails(why),
        }
        let _ = is_loaded.send(());
    };
    keep_files(server.clone(), store, then, fail).map_err(|why| format!("no thread: {why}"))?;
    let _ = loaded.recv_timeout(LOADED_SOON);
    Ok(())
}

/// There is data to serve: what happens by itself begins.
fn begin(server: &Arc<Server>) {
    tasks::spawn(cron(server.clone()));
    tasks::spawn(evict(server.clone()));
    if server.upstream.is_none() {
        tasks::spawn(follow(server.clone()));
        tasks::spawn(ask_for_freshness(server.clone()));
    }
}

fn follow_as_configured(server: &Server) -> Result<(), String> {
    match server.settings().set.master.clone() {
        None => Ok(()),
        Some(master) => {
            server.follow(Some(master)).map(drop).map_err(|why| format!("set.master: {why}"))
        }
    }
}

/// The status page, the metrics and their like are served from here on, if there is a place.
fn start_http(server: &Arc<Server>, acceptor: Option<Acceptor>) -> Result<(), String> {
    if let Some(acceptor) = acceptor {
        let address = acceptor.address();
        http::start(server.clone(), acceptor).map_err(|why| format!("no thread: {why}"))?;
        log::info!("event=listen name=http address={address}");
    }
    Ok(())
}

/// The process whose place is taken, and its sockets.
async fn find_predecessor(config: &Config) -> Result<(Predecessor, Vec<PassedSocket>), String> {
    let mut predecessor = Predecessor::find(&config.server.upgrade_socket).await?;
    predecessor.check_dir(&config.set.disk.dir)?;
    let sockets = predecessor.sockets().await?;
    Ok((predecessor, still_configured(config, sockets)))
}

/// What is taken over.
struct Takeover {
    listeners: Vec<Listener>,
    http: Option<Acceptor>,
    predecessor: Predecessor,
    manager: Option<Arc<ServiceManager>>,
}

/// Takes the place of another process. Until that one is told to end it goes on as if nothing were,
/// and whatever fails ends us alone.
async fn take_place(server: Arc<Server>, threads: Arc<Threads>, takeover: Takeover) {
    let Takeover { listeners, http, mut predecessor, manager } = takeover;
    let taken = async {
        predecessor.until_in_step(&server).await?;
        predecessor.take_role(&server).await?;
        predecessor.end(&server).await
    };
    if let Err(why) = taken.await {
        log::error!("event=upgrade-failed why={why:?}");
        process::remove_socket(Path::new(&server.upgrade.path()));
        process::exit(1)
    }
    tasks::spawn(take_files(server.clone(), predecessor.pid()));
    tasks::spawn(attend(server.clone(), threads.clone(), listeners, manager));
    if let Err(why) = start_http(&server, http) {
        log::error!("event=http-not-served why={why:?}");
    }
    predecessor.until_ended().await;
    if let Err(why) = write_pid_file(&server) {
        log::error!("event=pid-file-not-written why={why:?}");
    }
    reopen_upgrade_socket(&server, &threads);
}

/// Who takes our place in turn finds us where we have found the process before.
fn reopen_upgrade_socket(server: &Arc<Server>, threads: &Arc<Threads>) {
    let path = process::absolute(&server.settings().server.upgrade_socket);
    match open_for_upgrade(&path) {
        Ok(listener) => {
            process::remove_socket(Path::new(&server.upgrade.path()));
            server.upgrade.reached_at(&path);
            tasks::spawn(listen(server.clone(), threads.clone(), listener));
        }
        Err(why) => log::error!("event=upgrade-socket-not-opened why={why:?}"),
    }
}

/// Starts another process that takes our place: the program may be a newer one by now.
fn start_successor(server: &Server) {
    let why_not = match server.upgrade.path().is_empty() {
        true => Some("server.upgrade-socket is not set"),
        false if process::id() == 1 => Some("the first process of its system has no successor"),
        false if server.upgrade.claimed_by().is_some_and(|it| !process::has_ended(it)) => {
            Some("another process takes over already")
        }
        false => None,
    };
    if let Some(why) = why_not {
        log::warn!("event=signal name=SIGUSR2 action=none why={why}");
        return;
    }
    let started = process::start_again("--upgrade").and_then(|(pid, wait)| {
        log::info!("event=signal name=SIGUSR2 action=upgrade successor={pid}");
        tasks::thread("entourage-upgrade", move || {
            let ended = wait();
            log::error!("event=upgrade-failed successor={pid} ended={ended:?}");
        })
    });
    if let Err(why) = started {
        log::error!("event=upgrade-failed why={why}");
    }
}

/// Answers the signal that ends the process. Until then every SIGHUP reads the config file again.
fn until_told_to_end(
    requests: &mut Requests,
    server: &Server,
    manager: Option<&ServiceManager>,
) -> &'static str {
    let reload = || {
        server.logging.reopen();
        if let Err(why) = server.reload("SIGHUP") {
            log::error!("event=reload-refused why={why}");
        }
    };
    loop {
        match requests.wait() {
            Request::End(signal) => return signal,
            Request::Upgrade => start_successor(server),
            Request::Unknown(signal) => log::warn!("event=signal name={signal} action=none"),
            Request::Reload => match manager {
                Some(manager) => manager.around_reload(reload),
                None => reload(),
            },
        }
    }
}

/// Listens until the server is closed, then exits once it is empty.
async fn attend(
    server: Arc<Server>,
    threads: Arc<Threads>,
    listeners: Vec<Listener>,
    manager: Option<Arc<ServiceManager>>,
) {
    let listen_at = |it| listen(server.clone(), threads.clone(), it);
    join_all(listeners.into_iter().map(listen_at)).await;
    if server.upgrade.successor().is_some() {
        // Before this process ends, or the service would end with it.
        if let Some(manager) = &manager {
            manager.tell_end(&server);
        }
        // Its clients' replies may wait for what is on disk.
        finish_files(&server).await;
        drain(&server).await;
    } else {
        drain(&server).await;
        finish_files(&server).await;
    }
    log::info!("event=exit");
    server.process_info.remove_pid_file();
    process::exit(0);
}

async fn finish_files(server: &Server) {
    let until = clock::mono_now().plus(server.settings().server.shutdown_timeout);
    while server.upgrade.awaits_files() && clock::mono_now() < until {
        tasks::sleep(Duration::from_millis(5)).await;
    }
    if server.disk().is_some() {
        server.persistence.ask(|it| it.finish = true);
        server.wake_disk();
        server.persistence.finished().await;
    }
}

/// Takes the log over. A panic is a line of it like any other.
fn take_log(config: &Config) -> Result<Arc<Logging>, String> {
    let logging = Logging::install(&config.server)?;
    // A verb that panics is caught at its member, and is one event like any other.
    let limit = LogLimit::default();
    std::panic::set_hook(Box::new(move |panic| {
        let Some(count) = limit.note(clock::mono_now()) else { return };
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let why = text.unwrap_or("?");
        let at = panic.location().map_or_else(String::new, ToString::to_string);
        log::error!("event=panicked at={at} why={why:?} count={count}");
    }));
    Ok(logging)
}

/// Writes the file with the number of this process, if there is to be one.
fn write_pid_file(server: &Server) -> Result<(), String> {
    let path = server.settings().server.pidfile.clone();
    if path.is_empty() {
        return Ok(());
    }
    let written = PidFile::write(Path::new(&path));
    let written = written.map_err(|why| format!("cannot write server.pidfile {path}: {why}"))?;
    server.process_info.keep_pid_file(written);
    Ok(())
}

/// Who has started this process and wants to hear of it, if somebody does.
fn service_manager() -> Option<ServiceManager> {
    match NotifySocket::of_environment()? {
        Ok(socket) => Some(ServiceManager { socket, watchdog: watchdog() }),
        Err(why) => {
            log::warn!("event=notify-failed why={why}");
            None
        }
    }
}

fn build(
    config: Config,
    threads: usize,
    file: String,
    source: Source,
    listeners: &[Listener],
) -> Result<Server, String> {
    let token_signer = match config.server.token_secret() {
        Some(secret) => TokenSigner::new(secret.as_bytes()),
        None => {
            TokenSigner::new(&process::secret().map_err(|it| format!("no random secret: {it}"))?)
        }
    };
    let set = ReplicaSet::with_members(
        Position { replid: new_replid(), offset: Offset::ZERO },
        &config.hosted_members(),
        clock::entropy(),
        config.thresholds,
        config.set.backlog_bytes,
        config.set.feed_bytes_max,
    );
    let port_of =
        |tls| listeners.iter().filter(|it| it.way.tls == tls).find_map(|it| it.acceptor.port());
    let tls_port = port_of(true).unwrap_or(0);
    let port = port_of(false).unwrap_or(tls_port);
    let mut process_info = ProcessInfo::now(port, file);
    process_info.tls_port = tls_port;
    Ok(Server::new(Arc::new(set), threads, config, process_info, token_signer, source))
}

fn announce(server: &Server, threads: usize, listeners: &[Listener]) {
    log::info!(
        "event=start version={} redis-version={} pid={} threads={threads} replicas={} level={}",
        version::ENTOURAGE_VERSION,
        version::REDIS_VERSION,
        process::id(),
        server.settings().set.replicas,
        server.settings().routes.default_level(),
    );
    match server.settings().set.disk.dir.as_str() {
        "" => {
            log::info!("event=in-memory why=nothing is written to disk: a restart loses everything")
        }
        dir => log::info!("event=on-disk dir={dir}"),
    }
    for listener in listeners {
        let address = listener.acceptor.address();
        let WayIn { listener: name, tls, .. } = &listener.way;
        let tls = if *tls { " tls=yes" } else { "" };
        log::info!("event=listen name={name} address={address}{tls}");
    }
}
