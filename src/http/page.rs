//! The status page: one file, which asks for nothing but `/api/v1/…`.

use super::content::{Content, Kind};
use super::query::Query;
use crate::state::Server;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use sha2::{Digest, Sha256};
use std::sync::{Arc, OnceLock};

const PAGE: &str = include_str!("page.html");

/// It.
pub fn page(_: &Arc<Server>, _: &Query) -> Content {
    static POLICY: OnceLock<HeaderValue> = OnceLock::new();
    let policy = || HeaderValue::try_from(policy()).expect("digests are plain letters");
    Content::ok(Kind::Page, PAGE).with(CONTENT_SECURITY_POLICY, POLICY.get_or_init(policy).clone())
}

/// What a browser lets the page do: run and look as it is written here, and talk to us.
fn policy() -> String {
    let digest = |tag: &str| {
        let text = between(PAGE, &format!("<{tag}>"), &format!("</{tag}>"));
        format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
    };
    format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        digest("script"),
        digest("style")
    )
}

fn between<'t>(text: &'t str, begin: &str, end: &str) -> &'t str {
    let behind = text.split_once(begin).map_or("", |it| it.1);
    behind.split_once(end).map_or("", |it| it.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_nobody_else() {
        for far in ["http://", "https://", "//cdn", "@import", "url(", "<iframe", " src="] {
            let found: Vec<_> = PAGE.matches(far).collect();
            // The name of a namespace is no address.
            let allowed = if far == "http://" { 1 } else { 0 };
            assert_eq!(found.len(), allowed, "{far}");
        }
        for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!PAGE.contains(way), "{way}: what a client has named must stay a text");
        }
        assert_eq!((PAGE.matches("<script>").count(), PAGE.matches("<style>").count()), (1, 1));
        assert!(!PAGE.contains(" style=") && !PAGE.contains(" onclick="), "the policy forbids it");
        assert!(policy().matches("'sha256-").count() == 2, "{}", policy());
    }
}
