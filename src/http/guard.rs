//! Who may have an answer: whose page asks, with which password, and whether it may change things.

use crate::base::secret::is_same_secret;
use crate::config::Http;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hyper::header::{self, HeaderMap};
use std::net::IpAddr;

/// Whether a request was meant for us. Where only this machine is served, a page of somebody else
/// whose name leads here (DNS rebinding) says another name than ours.
pub fn is_meant_for_us(settings: &Http, headers: &HeaderMap) -> bool {
    settings.allow_remote || host(headers).is_none_or(is_this_machine)
}

/// Without the port; `None` where it is not said, as HTTP/1.0 may.
fn host(headers: &HeaderMap) -> Option<&str> {
    let host = text(headers, header::HOST)?;
    let bare = host.strip_prefix('[').and_then(|it| it.split_once(']'));
    let name = bare.map_or_else(|| host.split(':').next().unwrap_or_default(), |it| it.0);
    Some(name)
}

fn is_this_machine(host: &str) -> bool {
    let is_loopback = |it: IpAddr| it.to_canonical().is_loopback();
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_loopback)
}

/// As lenient as clients are careless: with its padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What a request says of who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Login {
    /// Enough.
    Right,
    /// Nothing, and something is asked for.
    Missing,
    /// Something else than what is asked for.
    Wrong,
}

/// Whether the password is there, if there is one. The name does not matter.
pub fn login(settings: &Http, headers: &HeaderMap) -> Login {
    if settings.password.is_empty() {
        return Login::Right;
    }
    let Some(said) = text(headers, header::AUTHORIZATION) else { return Login::Missing };
    let basic = said.split_once(' ').filter(|it| it.0.eq_ignore_ascii_case("basic"));
    let said = basic.and_then(|it| BASE64.decode(it.1.trim()).ok()).unwrap_or_default();
    let password = said.iter().position(|it| *it == b':').map(|at| &said[at + 1..]);
    match password.is_some_and(|it| is_same_secret(settings.password.as_bytes(), it)) {
        true => Login::Right,
        false => Login::Wrong,
    }
}

/// The header that says so, which no page of somebody else may send.
pub const BY_OUR_PAGE: &str = "x-entourage";

/// Whether a request that changes things was made by our page or by a program, and not by a page of
/// somebody else in the browser of who may.
pub fn is_by_our_page(headers: &HeaderMap) -> bool {
    let is_ours = |origin: &str| {
        let host = text(headers, header::HOST).unwrap_or_default();
        origin.split_once("://").is_some_and(|it| it.1.eq_ignore_ascii_case(host))
    };
    headers.contains_key(BY_OUR_PAGE) && text(headers, header::ORIGIN).is_none_or(is_ours)
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).map(|it| it.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |it: &(&'static str, &'static str)| {
            (HeaderName::from_static(it.0), HeaderValue::from_static(it.1))
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn a_page_that_comes_by_another_name_gets_nothing() {
        let meant = |host, allow_remote| {
            let settings = Http { allow_remote, ..Http::default() };
            is_meant_for_us(&settings, &headers(&[("host", host)]))
        };
        for ours in ["127.0.0.1:9379", "localhost", "LOCALHOST:1", "[::1]:9379", "127.1.2.3"] {
            assert!(meant(ours, false), "{ours}");
        }
        for other in ["evil.example:9379", "localhost.evil.example", "", "10.0.0.1", "[::2]"] {
            assert!(!meant(other, false) && meant(other, true), "{other}");
        }
        assert!(is_meant_for_us(&Http::default(), &HeaderMap::new()));
    }

    #[test]
    fn a_password_is_asked_for_where_there_is_one() {
        let with = |password: &str, said: Option<&'static str>| {
            let settings = Http { password: password.to_owned(), ..Http::default() };
            let said: Vec<_> = said.map(|it| ("authorization", it)).into_iter().collect();
            login(&settings, &headers(&said))
        };
        assert_eq!(with("", None), Login::Right);
        assert_eq!(with("a:b", None), Login::Missing);
        assert_eq!(with("a:b", Some("Basic dXNlcjphOmI=")), Login::Right);
        assert_eq!(with("a:b", Some("basic OmE6Yg==")), Login::Right, "without a name");
        for wrong in ["Basic dXNlcjphOmM=", "Basic YTpi", "Bearer dXNlcjphOmI=", "Basic", "Basic ?"]
        {
            assert_eq!(with("a:b", Some(wrong)), Login::Wrong, "{wrong}");
        }
    }

    #[test]
    fn a_page_of_somebody_else_changes_nothing() {
        let may = |lines: &[(&'static str, &'static str)]| is_by_our_page(&headers(lines));
        let ours = [("x-entourage", "1"), ("host", "h:1"), ("origin", "http://h:1")];
        assert!(may(&ours) && may(&ours[..2]));
        assert!(!may(&ours[1..]) && !may(&[]));
        assert!(!may(&[ours[0], ours[1], ("origin", "http://h:2")]));
        assert!(!may(&[ours[0], ours[1], ("origin", "null")]));
    }
}
