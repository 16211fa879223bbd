//! What is done here by commands: EXPLAIN, and what an operator may do to members.

use super::content::{Content, Kind};
use super::query::Query;
use crate::metrics::json::Json;
use crate::server::ask;
use crate::state::Server;
use hyper::StatusCode;
use std::sync::Arc;

/// Words of a command that is explained.
const WORDS_MAX: usize = 1000;

/// PROXY EXPLAIN: `command=GET a`, or each word of its own, `word=GET&word=a`.
pub async fn explain(server: Arc<Server>, query: Query) -> Content {
    let mut words: Vec<Vec<u8>> = query.all("word").map(<[u8]>::to_vec).collect();
    if words.is_empty() {
        let command = query.all("command").next().unwrap_or_default();
        let blank = |it: &u8| it.is_ascii_whitespace();
        words = command.split(blank).filter(|it| !it.is_empty()).map(<[u8]>::to_vec).collect();
    }
    if words.is_empty() || WORDS_MAX < words.len() {
        let why = "write the command: explain?command=GET+key";
        return refused(why);
    }
    words.splice(..0, [b"PROXY".to_vec(), b"EXPLAIN".to_vec()]);
    match ask(&server, &words).await {
        Ok(reply) => {
            let mut json = Json::default();
            json.object(|it| it.name("lines").array(texts(&reply), |it, line| it.string(&line)));
            Content::ok(Kind::Json, json.into_text())
        }
        Err(why) => refused(&why),
    }
}

/// PROXY NODE: `name=n2&order=pause`; `force=yes` for the last that serves.
pub async fn node(server: Arc<Server>, query: Query) -> Content {
    const ORDERS: [&str; 4] = ["pause", "resume", "drain", "undrain"];
    let (name, order) = (query.get("name"), query.get("order"));
    let (Some(name), Some(order)) = (name, order.filter(|it| ORDERS.contains(&it.as_ref()))) else {
        let why = "write a member and an order: node?name=n2&order=pause, resume, drain, undrain";
        return refused(why);
    };
    let mut words = vec!["PROXY", "NODE", &name, &order];
    words.extend(query.get("force").filter(|it| it == "yes").map(|_| "FORCE"));
    ordered(&server, &words).await
}

/// PROXY FAILOVER: `to=n2`.
pub async fn fail_over(server: Arc<Server>, query: Query) -> Content {
    let Some(to) = query.get("to") else {
        return refused("write the new master: failover?to=n2");
    };
    ordered(&server, &["PROXY", "FAILOVER", "TO", &to]).await
}

async fn ordered(server: &Arc<Server>, words: &[&str]) -> Content {
    log::info!("event=http-order words={}", words.join(" ").escape_debug());
    match ask(server, words).await {
        Ok(reply) => Content::ok(Kind::Text, texts(&reply).concat()),
        Err(why) => refused(&why),
    }
}

/// A client's mistake.
fn refused(why: &str) -> Content {
    Content::refused(StatusCode::BAD_REQUEST, why)
}

/// The texts of a reply of ours in RESP2: a line, or an array of bulk strings.
fn texts(reply: &[u8]) -> Vec<String> {
    let (mut rest, mut found) = (reply, Vec::new());
    while let Some(end) = rest.windows(2).position(|it| it == b"\r\n") {
        let (line, behind) = (&rest[..end], &rest[end + 2..]);
        let text = String::from_utf8_lossy(line.get(1..).unwrap_or_default());
        rest = match (line.first(), text.parse::<usize>()) {
            (Some(b'$'), Ok(length)) if length + 2 <= behind.len() => {
                found.push(String::from_utf8_lossy(&behind[..length]).into_owned());
                &behind[length + 2..]
            }
            (Some(b'+'), _) => {
                found.push(text.into_owned());
                behind
            }
            _ => behind,
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_as_texts() {
        assert_eq!(texts(b"+OK\r\n"), ["OK"]);
        assert_eq!(texts(b"*2\r\n$3\r\na\r\n\r\n$0\r\n\r\n"), ["a\r\n", ""]);
        assert!(texts(b"").is_empty());
    }
}
