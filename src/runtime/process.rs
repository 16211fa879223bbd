//! This process as the system sees it: its number, memory, time and files.

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit, test_kill_process};
use std::env;
use std::fs;
use std::io::{self, Read};
use std::net::{IpAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// The kernel counts in pages of this size on every machine we know of; a larger page only makes
/// INFO wrong.
const PAGE_BYTES: u64 = 4096;
/// Ticks per second of `/proc/self/stat`, which Linux keeps at this for its readers' sake.
const TICKS_PER_S: f64 = 100.0;

/// Its number.
pub fn id() -> u32 {
    std::process::id()
}

/// Bytes of memory it occupies; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|it| it.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE_BYTES
}

/// Bytes that nobody can guess, from the system.
pub fn secret() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Bytes of memory the machine has.
pub fn machine_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|it| it.strip_prefix("MemTotal:"));
    let kb = total.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kb.unwrap_or(0) * 1024
}

/// Bytes of memory that its control group may have, where that is bounded: a container's, or a
/// service's.
pub fn allowed_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    // A container sees its own as the root of all.
    let own = text.lines().find_map(|it| it.strip_prefix("0::/")).unwrap_or_default();
    let bound = |group: &str| {
        let path = Path::new("/sys/fs/cgroup").join(group).join("memory.max");
        bound_in(&fs::read_to_string(path).ok()?)
    };
    [own, ""].into_iter().filter_map(bound).min()
}

/// The number of bytes in a file of a control group; `max` is none.
fn bound_in(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Processor seconds it has used.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct CpuSeconds {
    /// In our own code.
    pub user: f64,
    /// In the kernel, for us.
    pub system: f64,
    /// The same for children that have ended.
    pub children_user: f64,
    /// The same for children that have ended.
    pub children_system: f64,
}

/// Processor seconds so far.
pub fn cpu() -> CpuSeconds {
    cpu_in("/proc/self/stat")
}

/// Those of the thread that the process began with.
pub fn main_thread_cpu() -> CpuSeconds {
    cpu_in(&format!("/proc/self/task/{}/stat", id()))
}

fn cpu_in(file: &str) -> CpuSeconds {
    let text = fs::read_to_string(file).unwrap_or_default();
    let rest = behind_program_name(&text);
    let field = |at: usize| rest.split(' ').nth(at).and_then(|it| it.parse::<f64>().ok());
    let seconds = |at: usize| field(at).unwrap_or(0.0) / TICKS_PER_S;
    CpuSeconds {
        user: seconds(11),
        system: seconds(12),
        children_user: seconds(13),
        children_system: seconds(14),
    }
}

/// `Linux 6.1.0 x86_64`, as INFO has it.
pub fn system_name() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {} {}", release.trim(), std::env::consts::ARCH)
}

/// Where its program lies.
pub fn executable() -> String {
    std::env::current_exe().map_or_else(|_| String::new(), |it| it.display().to_string())
}

/// How many worker threads suit this machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |it| it.get())
}

/// Lets it open this many files, if the system allows. Answers how many it may open.
pub fn allow_files(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current.unwrap_or(u64::MAX);
    if wanted <= current {
        return current;
    }
    let most = maximum.map_or(wanted, |it| it.min(wanted));
    let asked = Rlimit { current: Some(most), maximum };
    if setrlimit(Resource::Nofile, asked).is_ok() { most } else { current }
}

/// Reads a whole file.
pub fn read_text(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
}

/// The same, whatever is in it.
pub fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
}

/// Fails where a file cannot be written. One that is not there is there afterwards, and empty.
pub fn try_to_write(path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().append(true).create(true).open(path).map(drop)
}

/// Writes a whole file, in place of one that is there.
pub fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes)
}

/// Opens a file to be read bit by bit.
pub fn open_file(path: &Path) -> io::Result<impl io::BufRead + use<>> {
    fs::File::open(path).map(io::BufReader::new)
}

/// Opens a file to be written bit by bit, in place of one that is there.
pub fn create_file(path: &Path) -> io::Result<impl io::Write + use<>> {
    fs::File::create(path).map(io::BufWriter::new)
}

/// The processor's name, as the system has it; empty where it does not say.
pub fn processor_name() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|it| it.starts_with("model name"));
    line.and_then(|it| it.split_once(": ")).map_or_else(String::new, |it| it.1.to_owned())
}

/// The address of a host, as the system knows it; an IPv4 address where there is one.
pub fn resolve(name: &str) -> Option<IpAddr> {
    let found: Vec<IpAddr> = (name, 0).to_socket_addrs().ok()?.map(|it| it.ip()).collect();
    found.iter().find(|it| it.is_ipv4()).or(found.first()).copied()
}

/// Whether this is an address of this machine: one that a socket can have here.
pub fn is_of_this_host(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// Takes a socket's path away; one that is not there is as good.
pub fn remove_socket(path: &Path) {
    if is_socket(path) {
        let _ = fs::remove_file(path);
    }
}

/// Whether somebody listens at the unix socket at `path`.
pub fn listens(path: &Path) -> bool {
    UnixStream::connect(path).is_ok()
}

/// A path from the root on, whatever the working directory.
pub fn absolute(path: &str) -> String {
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |it| it.display().to_string())
}

/// Whether the process of this number has ended, though its parent may not have asked yet. What
/// cannot be found out is no end.
pub fn has_ended(pid: u32) -> bool {
    let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return true };
    if test_kill_process(id) == Err(Errno::SRCH) {
        return true;
    }
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    behind_program_name(&text).starts_with(['Z', 'X'])
}

/// The fields of a `/proc/…/stat` from its third on, which is the state. The second, the program's
/// name, stands in brackets and may hold anything; what follows does not.
fn behind_program_name(stat: &str) -> &str {
    stat.rsplit(") ").next().unwrap_or_default()
}

/// Takes sockets away that processes have left which have ended: their names are that of `path`, a
/// dot, the number of the process, and maybe more behind another dot.
pub fn remove_sockets_of_ended(path: &Path) {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return };
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let found = entry.file_name();
        let behind = found.to_str().zip(name.to_str()).and_then(|(it, name)| it.strip_prefix(name));
        let number = behind.and_then(|it| it.strip_prefix('.')?.split('.').next()?.parse().ok());
        if number.is_some_and(has_ended) {
            remove_socket(&entry.path());
        }
    }
}

/// Starts the program that this process was started as, with the same words and another, which it
/// may have already; its file may be a newer one by now. It inherits what we were told of whoever
/// has started us, but for what is said to be for our own number. Answers its number, and what
/// waits for its end.
pub fn start_again(word: &str) -> io::Result<(u32, impl FnOnce() -> String + use<>)> {
    let mut words = env::args_os();
    let program = words.next().ok_or(io::ErrorKind::NotFound)?;
    let words = words.filter(|it| it != word);
    let mut command = Command::new(program);
    command.args(words).arg(word).env_remove("WATCHDOG_PID").stdin(Stdio::null());
    let mut child = command.spawn()?;
    let pid = child.id();
    let wait = move || child.wait().map_or_else(|it| it.to_string(), |it| it.to_string());
    Ok((pid, wait))
}

/// Whether there is a unix socket at `path`.
pub fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket())
}

/// Ends the process.
pub fn exit(code: i32) -> ! {
    std::process::exit(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lives_has_not_ended_and_a_child_that_nobody_has_asked_for_has() {
        assert!(!has_ended(id()) && has_ended(i32::MAX as u32) && has_ended(u32::MAX));
        let mut child = Command::new("true").spawn().unwrap();
        while !has_ended(child.id()) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(has_ended(child.id()));
    }

    #[test]
    fn the_system_knows_this_process() {
        assert!(0 < resident_bytes() && resident_bytes() < machine_bytes());
        assert!(0.0 <= cpu().user);
        assert!(system_name().starts_with("Linux "));
    }

    #[test]
    fn a_control_group_is_bounded_where_it_says_so() {
        assert_eq!(bound_in("536870912\n"), Some(512 << 20));
        assert_eq!([bound_in("max\n"), bound_in("")], [None, None]);
        assert!(allowed_bytes().is_none_or(|it| it != 0));
    }

    #[test]
    fn more_files_are_allowed_when_the_system_allows_them() {
        let before = allow_files(0);
        assert!(before <= allow_files(before + 1));
    }
}
