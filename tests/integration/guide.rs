//! The README and the user's guide: every configuration in them is sound, and every command that
//! they show answers as they say.
//!
//! A block fenced as `redis` holds commands behind `> ` and what redis-cli shows for them, where
//! `…` stands for anything. `redis above` runs with the configuration of the last `toml` block,
//! other blocks with the default one and no keys. `python` and `js` blocks run to their end. The
//! blocks of a shell have rules of their own.

mod links;
mod named;
mod shell;

use crate::support::on_disk::Dir;
use crate::support::{Server, python};
use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What a program gets to run; `timeout` ends it.
const SECONDS_MAX: &str = "60";

/// A fenced block of a document.
struct Block {
    language: String,
    text: String,
    /// Of the line that opens it.
    line: usize,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<PathBuf> {
    let guide = fs::read_dir(root().join("config/docs")).expect("the guide is there");
    let guide = guide.map(|it| it.expect("it can be read").path());
    let mut all: Vec<_> = guide.filter(|it| it.extension().is_some_and(|it| it == "md")).collect();
    all.push(root().join("README.md"));
    all.sort();
    all
}

fn blocks(document: &Path) -> Vec<Block> {
    let text = fs::read_to_string(document).expect("it can be read");
    let (mut found, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    for (at, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                let language = language.trim().to_owned();
                open = Some(Block { language, text: String::new(), line: at + 1 });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{}: a block does not end", document.display());
    found
}

#[test]
fn every_configuration_is_sound_and_sensible() {
    let (dir, mut count) = (Dir::new(), 0);
    for document in documents() {
        for block in blocks(&document).iter().filter(|it| it.language == "toml") {
            let file = dir.file("shown.toml", &block.text);
            let mut command = Command::new(env!("CARGO_BIN_EXE_entourage"));
            let output = command.args(["check", "--strict"]).arg(&file).output().expect("it runs");
            let place = format!("{}:{}", document.display(), block.line);
            assert!(output.status.success(), "{place}: {}", shown(&output));
            count += 1;
        }
    }
    assert!(5 <= count, "{count} configurations");
}

#[test]
fn every_command_answers_as_it_is_shown() {
    let mut count = 0;
    for document in documents() {
        let (mut server, mut config) = (None, String::new());
        for block in blocks(&document) {
            let place = format!("{}:{}", document.display(), block.line);
            match block.language.as_str() {
                "toml" => config = block.text,
                "redis" => {
                    let server = server.get_or_insert_with(|| Server::entourage(&[]));
                    server.dial().ask("FLUSHALL");
                    compare(&place, &block.text, &redis_cli(server, &block.text));
                    count += 1;
                }
                "redis above" => {
                    let text = format!("{}\n{config}", "[[listener]]\nbind = \"127.0.0.1:{port}\"");
                    let server = Server::entourage_with_config(&text);
                    compare(&place, &block.text, &redis_cli(&server, &block.text));
                    count += 1;
                }
                _ => {}
            }
        }
    }
    assert!(5 <= count, "{count} blocks");
}

#[test]
fn every_program_runs_to_its_end() {
    let mut count = 0;
    for document in documents() {
        for block in blocks(&document) {
            let (interpreter, flag) = match block.language.as_str() {
                "python" => (python(), "-c"),
                "js" => ("node".to_owned(), "--input-type=module"),
                _ => continue,
            };
            let server = Server::entourage(&[]);
            let text = block.text.replace("6379", &server.port().to_string());
            let mut command = Command::new("timeout");
            command.args([SECONDS_MAX, &interpreter, flag]).current_dir(root().join("tests/apps"));
            let is_python = flag == "-c";
            let output = if is_python {
                command.arg(&text).output().expect("it runs")
            } else {
                feed(command, &text)
            };
            let place = format!("{}:{}", document.display(), block.line);
            assert!(output.status.success(), "{place}: {}", shown(&output));
            count += 1;
        }
    }
    assert!(2 <= count, "{count} programs");
}

/// What does not fit is told elsewhere in the guide.
const README_LINES_MAX: usize = 180;

#[test]
fn the_readme_is_short() {
    let text = fs::read_to_string(root().join("README.md")).expect("it can be read");
    let lines = text.lines().count();
    assert!(lines <= README_LINES_MAX, "{lines} lines");
}

/// What redis-cli shows for the commands of a block.
fn redis_cli(server: &Server, block: &str) -> String {
    let commands = block.lines().filter_map(|it| it.strip_prefix("> "));
    let input: String = commands.flat_map(|it| [it, "\n"]).collect();
    let binary = env::var("REDIS_CLI").unwrap_or_else(|_| "redis-cli".into());
    let mut command = Command::new("timeout");
    command.args([SECONDS_MAX, &binary, "--no-raw", "-p", &server.port().to_string()]);
    String::from_utf8_lossy(&feed(command, &input).stdout).into_owned()
}

fn feed(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

/// Compares what was shown with what a block says is shown.
fn compare(place: &str, block: &str, shown: &str) {
    let wanted: Vec<&str> = block.lines().filter(|it| !it.starts_with("> ")).collect();
    let shown_lines: Vec<&str> = shown.lines().collect();
    assert!(lines_match(&wanted, &shown_lines), "{place}: wanted\n{block}\nbut got\n{shown}");
}

/// A line of `…` stands for any lines, at least one.
fn lines_match(wanted: &[&str], shown: &[&str]) -> bool {
    match wanted {
        [] => shown.is_empty(),
        ["…", rest @ ..] => (1..=shown.len()).any(|it| lines_match(rest, &shown[it..])),
        [line, rest @ ..] => {
            shown.first().is_some_and(|it| line_matches(line, it)) && lines_match(rest, &shown[1..])
        }
    }
}

/// `…` within a line stands for any text.
fn line_matches(wanted: &str, shown: &str) -> bool {
    match wanted.split_once('…') {
        None => wanted == shown,
        Some((before, rest)) => shown.strip_prefix(before).is_some_and(|left| {
            let ends = left.char_indices().map(|(at, _)| at).chain([left.len()]);
            ends.into_iter().any(|at| line_matches(rest, &left[at..]))
        }),
    }
}

fn shown(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn an_ellipsis_stands_for_any_text_and_any_lines() {
    assert!(line_matches("a…c", "abbc") && line_matches("…", "") && !line_matches("a…c", "ab"));
    assert!(line_matches("…b…", "xaby") && !line_matches("…b…", "xay"));
    assert!(lines_match(&["OK", "…", "b"], &["OK", "x", "y", "b"]));
    assert!(!lines_match(&["OK", "…"], &["OK"]) && !lines_match(&["OK"], &["OK", "more"]));
}
