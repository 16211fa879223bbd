//! Where users come from and where they are kept: a file of their own, as Redis has it, or tables
//! of the config file.

use crate::support::on_disk::Dir;
use crate::support::{Server, Wire, ok, starts};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_entourage");

const LISTENER: &str = "[[listener]]\nbind = \"127.0.0.1:{port}\"\n";

/// Ours, with this file of users.
fn ours_with(users: &Path) -> Server {
    let text = format!("{LISTENER}[server]\naclfile = \"{}\"\n", users.display());
    Server::entourage_with_config(&text)
}

/// A Redis and one of ours, each with a file of users that holds this text.
fn both(dir: &Dir, text: &str) -> [(Server, PathBuf); 2] {
    let [of_redis, of_ours] = ["redis.acl", "ours.acl"].map(|name| dir.file(name, text));
    let redis = Server::redis(&["--aclfile", of_redis.to_str().unwrap()]);
    let ours = ours_with(&of_ours);
    [(redis, of_redis), (ours, of_ours)]
}

fn start_fails(config: &str) -> String {
    let dir = Dir::new();
    dir.file("entourage.toml", config.replace("{port}", "0"));
    let Output { status, stdout, stderr } =
        made_in(Command::new(BINARY).args(["serve", "--config", "entourage.toml"]), &dir);
    assert!(!status.success());
    String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned()
}

fn made_in(command: &mut Command, dir: &Dir) -> Output {
    command.current_dir(dir.path()).output().unwrap()
}

/// Exit code, and what was said.
fn check(dir: &Dir, config: &str) -> (i32, String) {
    dir.file("entourage.toml", config);
    let Output { status, stdout, stderr } =
        made_in(Command::new(BINARY).args(["check", "entourage.toml"]), dir);
    (status.code().unwrap(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

const USERS: &str = "user default on nopass ~* &* +@all\n\
                     \r\n  user alice on >one %R~a* resetchannels &ch -@all +get \r\n\
                     user bob off ( ~x  +set ) (%W~y -@all +del)";

/// Answers, without the file's name, which is not the same.
fn answers(server: &Server, file: &Path, lines: &[&str]) -> Vec<String> {
    let mut wire = server.dial();
    let hide = |text: String| text.replace(file.to_str().unwrap(), "FILE");
    lines.iter().map(|it| format!("{it} → {}", hide(wire.ask(it).to_string()))).collect()
}

#[test]
fn a_file_of_users_is_loaded_at_the_start_and_saved_and_loaded_again_as_redis_does() {
    let dir = Dir::new();
    let servers = both(&dir, USERS);
    let lines = [
        "ACL LIST",
        "AUTH alice one",
        "ACL WHOAMI",
        "GET a1",
        "GET b1",
        "AUTH default x",
        "ACL SAVE",
        "ACL SETUSER alice +set >two",
        "ACL SETUSER carol on nopass +@all",
        "ACL LOAD",
        "ACL LIST",
        "ACL SETUSER carol on nopass allkeys allchannels +@all",
        "ACL DELUSER bob",
        "ACL SAVE",
        "ACL SETUSER default off",
        "ACL LOAD",
        "ACL LIST",
        "CONFIG GET aclfile",
        "CONFIG SET aclfile x",
    ];
    let [redis, ours] = servers.each_ref().map(|(server, file)| answers(server, file, &lines));
    for (ours, redis) in ours.iter().zip(&redis) {
        assert_eq!(ours, redis);
    }
    let [redis, ours] = servers.each_ref().map(|(_, file)| fs::read_to_string(file).unwrap());
    assert_eq!(ours, redis);
    assert!(!ours.contains(">one") && ours.contains("user carol on nopass"), "{ours}");
}

#[test]
fn a_file_that_is_wrong_changes_nothing_and_is_told_as_redis_tells_it() {
    let dir = Dir::new();
    let servers = both(&dir, USERS);
    for wrong in [
        "user alice on\nuser alice off",
        "nouser alice",
        "user",
        "user al\tice on",
        "user alice on +nosuch -@nosuch",
        "user alice ~* ~x foo bar +nosuch\nuser bob #12",
        "user alice (+get\n",
        "user alice (+get foo)\n",
        "user alice +select|1|2\n\n\nuser bob >x <y",
        "  \n\n# comment",
    ] {
        let told = servers.each_ref().map(|(server, file)| {
            fs::write(file, wrong).unwrap();
            answers(server, file, &["ACL LOAD", "ACL LIST"])
        });
        let [redis, ours] = told;
        assert_eq!(ours, redis, "{wrong}");
        assert!(ours[0].contains("no change to the previously active"), "{ours:?}");
    }
    let told = servers.each_ref().map(|(server, file)| {
        fs::remove_file(file).unwrap();
        answers(server, file, &["ACL LOAD", "ACL USERS", "ACL SAVE", "ACL LOAD"])
    });
    assert_eq!(told[1], told[0]);
    assert!(told[1][0].contains("No such file or directory"), "{told:?}");
    let made = fs::metadata(&servers[1].1).unwrap();
    assert_eq!(made.permissions().mode() & 0o777, 0o600, "it holds hashes of passwords");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
}

#[test]
fn who_is_not_in_the_file_any_more_is_closed_when_it_is_loaded() {
    let dir = Dir::new();
    let file = dir.file("users.acl", "user u on nopass +@all\nuser v on nopass &a +@all\n");
    let ours = ours_with(&file);
    let log_in = |name: &str| {
        let mut wire = ours.dial();
        ok(&mut wire, &format!("AUTH {name} x"));
        wire
    };
    let (mut u, mut own, mut v, mut hears) = (log_in("u"), log_in("u"), log_in("v"), log_in("v"));
    hears.ask("SUBSCRIBE a");
    fs::write(&file, "user v on nopass &b +@all\n").unwrap();
    ok(&mut own, "ACL LOAD");
    assert!(own.is_closed() && u.is_closed());
    assert!(hears.is_closed(), "it may not hear that any more");
    assert_eq!(v.ask("ACL WHOAMI").string(), "v");
    // In a transaction it is done behind it.
    fs::write(&file, "user w on nopass +@all\n").unwrap();
    let mut op = ours.dial();
    ok(&mut op, "MULTI");
    op.ask("ACL LOAD");
    assert_eq!(op.ask("EXEC").list().len(), 1);
    assert!(v.is_closed());
}

#[test]
fn what_cannot_be_saved_is_told_and_logged() {
    let dir = Dir::new();
    let file = dir.join("sub").join("users.acl");
    fs::create_dir(dir.join("sub")).unwrap();
    fs::write(&file, "").unwrap();
    let ours = ours_with(&file);
    fs::remove_dir_all(dir.join("sub")).unwrap();
    let mut wire = ours.dial();
    let told = "ERR There was an error trying to save the ACLs. Please check the server logs for \
                more information";
    assert_eq!(wire.ask("ACL SAVE").string(), told);
    assert!(ours.said().contains("event=acl-save-failed"), "{}", ours.said());
}

#[test]
fn a_server_does_not_start_with_users_that_are_wrong() {
    let both = "[server]\naclfile = \"users.acl\"\n[[user]]\nname = \"a\"\nrules = \"on\"\n";
    let told = start_fails(both);
    assert!(told.contains("entourage.toml:2: server.aclfile beside [[user]]"), "{told}");
    let told = start_fails(&format!("{LISTENER}[server]\naclfile = \"none.acl\"\n"));
    let why = "Error loading ACLs, opening file 'none.acl': No such file or directory";
    assert!(told.contains(why), "{told}");
    let told = start_fails(&format!("{LISTENER}[[user]]\nname = \"a\"\nrules = \"on >pw +x\"\n"));
    let why = "entourage.toml:5: user `a`: rule `+x`: Unknown command or category name in ACL";
    assert!(told.contains(why) && !told.contains("pw"), "{told}");
}

#[test]
fn check_looks_at_users() {
    let dir = Dir::new();
    let user = "[[user]]\nname = \"a\"\nrules = [\"on\", \">pw\", \"(~x +get)\"]\n";
    assert_eq!(check(&dir, user).0, 0);
    let (code, told) = check(&dir, &user.replace("+get", "+gett"));
    assert_eq!(code, 2);
    assert!(told.contains("entourage.toml:3: user `a`: rule `(~x +gett)`: Unknown"), "{told}");
    let with_file = "[server]\naclfile = \"users.acl\"\n";
    let (code, told) = check(&dir, with_file);
    assert!(code == 2 && told.contains("opening file 'users.acl': No such file"), "{told}");
    dir.file("users.acl", "user a +nosuch\n");
    let (code, told) = check(&dir, with_file);
    assert!(code == 2 && told.contains("users.acl:1: Error in applying operation"), "{told}");
    dir.file("users.acl", "user a +get\n");
    assert_eq!(check(&dir, with_file).0, 0);
    // Beside one of these requirepass is for nobody.
    let (_, told) = check(&dir, &format!("{with_file}requirepass = \"topsecret\"\n"));
    assert!(told.contains("server.requirepass = (hidden) is not used: server.aclfile"), "{told}");
    let default = "[server]\nrequirepass = 'p'\n[[user]]\nname = 'default'\nrules = 'on nopass'\n";
    let open = format!("[[listener]]\nbind = '0.0.0.0:1'\n{default}");
    let (_, told) = check(&dir, &open);
    assert!(told.contains("requirepass = (hidden) is not used: [[user]] `default`"), "{told}");
    assert!(told.contains("there is no password"), "{told}");
}

const TABLES: &str = "\
# Who may do what.
[[user]]
name = \"app\"                # the shop
rules = \"on >apps ~app:* +@all -@dangerous\"

[[user]]
name = \"default\"
rules = [\"on\", \">s p\", \"~*\", \"&*\", \"+@all\"]

# Goes soon.
[[user]]
name = \"old\"
rules = \"off\"
";

fn with_tables() -> (Server, Wire) {
    // Whoever starts it asks without a password.
    let open = TABLES.replace("\">s p\"", "\"nopass\"");
    let text = format!("{LISTENER}{open}");
    let server = Server::entourage_with_config_and(&text, &["--loglevel", "notice"]);
    let wire = server.dial();
    (server, wire)
}

fn file(server: &Server) -> String {
    fs::read_to_string(server.dir().join("entourage.toml")).unwrap()
}

fn users_of(wire: &mut Wire) -> Vec<String> {
    wire.ask("ACL LIST").list().iter().map(|it| it.string()).collect()
}

#[test]
fn users_of_the_config_file_may_log_in_and_are_never_told_with_their_passwords() {
    let (server, mut wire) = with_tables();
    assert_eq!(wire.ask("ACL USERS").list().len(), 3);
    let mut app = server.dial();
    ok(&mut app, "AUTH app apps");
    assert!(app.ask("GET app:1").is_nil());
    starts(&app.ask("GET x"), "NOPERM");
    starts(&app.ask("CONFIG GET *"), "NOPERM");
    let told = wire.ask("CONFIG GET *").to_string();
    assert!(!told.contains("apps") && !server.said().contains("apps"));
}

#[test]
fn a_reload_makes_anew_only_whom_the_file_describes_otherwise() {
    let (server, mut wire) = with_tables();
    ok(&mut wire, "ACL SETUSER app +config|get");
    ok(&mut wire, "ACL SETUSER made on nopass");
    let before = users_of(&mut wire);
    ok(&mut wire, "PROXY RELOAD");
    assert_eq!(users_of(&mut wire), before, "the file says what it said");
    let mut old = server.dial();
    ok(&mut wire, "ACL SETUSER old on nopass");
    ok(&mut old, "AUTH old x");
    let text = file(&server);
    let text = text.replace("~app:*", "~shop:*");
    let text = text.split("# Goes soon.").next().unwrap();
    fs::write(server.dir().join("entourage.toml"), text).unwrap();
    ok(&mut wire, "PROXY RELOAD");
    let after = users_of(&mut wire);
    assert_eq!(after.len(), 3, "{after:?}");
    assert!(after[0].contains("~shop:*") && !after[0].contains("config"), "{after:?}");
    assert!(after[2].starts_with("user made on nopass"), "{after:?}");
    assert!(old.is_closed());
    assert!(server.said().contains("changed=user"), "{}", server.said());
    // What it says wrongly changes nothing.
    fs::write(server.dir().join("entourage.toml"), text.replace("+@all", "+@alll")).unwrap();
    starts(&wire.ask("PROXY RELOAD"), "RELOADFAILED");
    assert_eq!(users_of(&mut wire), after);
    // Whom it does not describe any more is as without it.
    let begin = text.find("# Who may").unwrap();
    fs::write(server.dir().join("entourage.toml"), &text[..begin]).unwrap();
    ok(&mut wire, "PROXY RELOAD");
    let after = users_of(&mut wire);
    assert_eq!(after[0], "user default on nopass ~* &* +@all");
    assert_eq!(after.len(), 2, "{after:?}");
}

#[test]
fn a_rewrite_puts_users_into_the_file_with_hashes_and_keeps_all_else() {
    let (server, mut wire) = with_tables();
    ok(&mut wire, "CONFIG REWRITE");
    let text = file(&server);
    assert!(text.contains("on >apps ~app:*"), "nothing has changed: {text}");
    ok(&mut wire, "ACL SETUSER app +config|get >more");
    ok(&mut wire, "ACL SETUSER made on >own ~x (%R~y +get)");
    wire.ask("ACL DELUSER old");
    ok(&mut wire, "CONFIG REWRITE");
    let text = file(&server);
    assert!(!text.contains("apps") && !text.contains("own") && !text.contains("old"), "{text}");
    assert!(
        text.contains("# Who may do what.\n[[user]]\nname = \"app\"                # the shop")
    );
    assert!(text.contains("# Goes soon."), "comments stay: {text}");
    assert!(text.contains("rules = [\"on\", \"nopass\""), "{text}");
    let before = users_of(&mut wire);
    ok(&mut wire, "PROXY RELOAD");
    assert_eq!(users_of(&mut wire), before);
    assert!(server.said().lines().last().unwrap().ends_with("changed=nothing"));
    let again = Server::entourage_with_config(&text.replace(&server.port().to_string(), "{port}"));
    assert_eq!(users_of(&mut again.dial()), before);
    ok(&mut again.dial(), "AUTH made own");
    // Changed here and there, nobody is right.
    ok(&mut wire, "ACL SETUSER made off");
    fs::write(server.dir().join("entourage.toml"), text.replace("~app:*", "~shop:*")).unwrap();
    let told = wire.ask("CONFIG REWRITE").string();
    assert!(told.contains("user was changed by ACL SETUSER and in the file"), "{told}");
}

#[test]
fn a_file_without_users_gets_tables_for_those_that_there_are() {
    let server = Server::entourage_with_config(&format!("{LISTENER}# the end\n"));
    let mut wire = server.dial();
    ok(&mut wire, "CONFIG SET requirepass p");
    ok(&mut wire, "CONFIG REWRITE");
    let text = file(&server);
    assert!(!text.contains("[[user]]") && text.contains("requirepass = \"p\""), "{text}");
    ok(&mut wire, "ACL SETUSER default resetpass nopass -debug");
    ok(&mut wire, "ACL SETUSER a on");
    ok(&mut wire, "CONFIG REWRITE");
    let before = users_of(&mut wire);
    ok(&mut wire, "PROXY RELOAD");
    assert_eq!(users_of(&mut wire), before);
    let text = file(&server).replace(&server.port().to_string(), "{port}");
    let again = Server::entourage_with_config(&text);
    assert_eq!(users_of(&mut again.dial()), before);
}

/// Both ways there is a password that the file of settings does not know.
#[test]
fn a_reload_opens_no_default_user_whom_a_file_or_a_table_describes() {
    let dir = Dir::new();
    let users = dir.file("users.acl", "user default on nopass ~* &* +@all\n");
    let table = "[[user]]\nname = \"default\"\nrules = \"on >pw ~* &* +@all\"\n";
    for (begin, end) in [
        (format!("{LISTENER}[server]\naclfile = \"{}\"\n", users.display()), ""),
        (format!("{LISTENER}[server]\n"), table),
    ] {
        let server = Server::entourage_with_config(&begin);
        let mut wire = server.dial();
        server.write_config(&format!("{begin}requirepass = \"idle\"\n{end}"));
        ok(&mut wire, "PROXY RELOAD");
        if end.is_empty() {
            dir.file("users.acl", "user default on >pw ~* &* +@all\n");
            ok(&mut wire, "ACL LOAD");
        }
        ok(&mut wire, "AUTH pw");
        let reload = |wire: &mut Wire, idle: &str| {
            server.write_config(&format!("{begin}{idle}{end}"));
            ok(wire, "PROXY RELOAD");
            starts(&server.dial().ask("PING"), "NOAUTH");
        };
        let described = users_of(&mut wire);
        reload(&mut wire, "");
        assert_eq!(users_of(&mut wire), described);
        ok(&mut wire, "CONFIG SET requirepass new");
        reload(&mut wire, "");
        let password = if end.is_empty() { "new" } else { "pw" };
        ok(&mut server.dial(), &format!("AUTH {password}"));
    }
}

#[test]
fn a_group_or_consumer_named_like_the_word_streams_hides_no_key() {
    let ours = Server::entourage(&[]);
    let mut op = ours.dial();
    ok(&mut op, "ACL SETUSER u on nopass ~s* +@all");
    op.ask("XADD private 1-1 f secret");
    ok(&mut op, "XGROUP CREATE private g 0");
    ok(&mut op, "XGROUP CREATE private streams 0");
    let mut wire = ours.dial();
    ok(&mut wire, "AUTH u x");
    for line in [
        "XREADGROUP NOACK GROUP g streams streams private >",
        "XREADGROUP COUNT 1 GROUP streams streams STREAMS private >",
        "XREADGROUP GROUP streams STREAMS BLOCK 1 streams private >",
    ] {
        starts(&wire.ask(line), "NOPERM");
        assert_eq!(op.ask(&format!("COMMAND GETKEYS {line}")).to_string(), "[\"private\"]");
    }
}
