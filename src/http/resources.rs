//! What there is to be asked for, by its path.

use super::content::Content;
use super::query::Query;
use super::{api, health, orders, page};
use crate::state::Server;
use futures::future::BoxFuture;
use hyper::Method;
use std::sync::Arc;

/// Something to be asked for.
pub struct Resource {
    /// Its path.
    pub path: &'static str,
    /// What is answered, in one sentence.
    pub what: &'static str,
    /// Whether it is answered without the password.
    pub is_open: bool,
    /// What answers it.
    pub handler: Handler,
}

/// What answers a request.
#[derive(Clone, Copy)]
pub enum Handler {
    /// By looking at the server.
    Now(fn(&Arc<Server>, &Query) -> Content),
    /// By a command.
    Asks(fn(Arc<Server>, Query) -> BoxFuture<'static, Content>),
    /// By a command that changes something.
    Orders(fn(Arc<Server>, Query) -> BoxFuture<'static, Content>),
}

const fn now(path: &'static str, what: &'static str, handler: Handler) -> Resource {
    Resource { path, what, is_open: false, handler }
}

/// All there is.
pub const RESOURCES: &[Resource] = &[
    now("/", "The status page, for a browser.", Handler::Now(page::page)),
    Resource {
        is_open: true,
        ..now("/health", "200: the process lives.", Handler::Now(health::health))
    },
    Resource {
        is_open: true,
        ..now(
            "/ready",
            "200: a master serves; 503 with the reason when not. `?lag=500ms` or `?lag=1mb`: and \
             every replica in service is no further behind.",
            Handler::Now(health::ready),
        )
    },
    now("/metrics", "All metrics below, for Prometheus.", Handler::Now(api::metrics)),
    now("/api/v1/nodes", "`PROXY NODES`.", Handler::Now(api::nodes)),
    now("/api/v1/routes", "The routes in force, in their order.", Handler::Now(api::routes)),
    now("/api/v1/alerts", "`PROXY ALERTS`.", Handler::Now(api::alerts)),
    now("/api/v1/events", "`PROXY EVENTS`: `?count=100`, newest first.", Handler::Now(api::events)),
    now("/api/v1/clients", "`CLIENT LIST`, the first 1000.", Handler::Now(api::clients)),
    now("/api/v1/stats", "`PROXY STATS JSON` ([fields](stats.md)).", Handler::Now(api::stats)),
    now("/api/v1/slowlog", "`SLOWLOG GET`.", Handler::Now(api::slowlog)),
    now(
        "/api/v1/config",
        "`CONFIG GET *`, with secrets hidden, and without what is real servers' own.",
        Handler::Now(api::config),
    ),
    now("/api/v1/status", "All that the page shows, in one answer.", Handler::Now(api::status)),
    now(
        "/api/v1/explain",
        "`PROXY EXPLAIN`: `?command=GET+key`, or `?word=GET&word=a%20key`.",
        Handler::Asks(|server, query| Box::pin(orders::explain(server, query))),
    ),
    now(
        "/api/v1/node",
        "`PROXY NODE`: `?name=n2&order=pause`, `resume`, `drain` or `undrain`; `&force=yes` for \
         the last that serves.",
        Handler::Orders(|server, query| Box::pin(orders::node(server, query))),
    ),
    now(
        "/api/v1/failover",
        "`PROXY FAILOVER`: `?to=n2`.",
        Handler::Orders(|server, query| Box::pin(orders::fail_over(server, query))),
    ),
];

impl Resource {
    /// The one with this path, letter for letter.
    pub fn at(path: &str) -> Option<&'static Resource> {
        RESOURCES.iter().find(|it| it.path == path)
    }

    /// The methods it takes.
    pub fn methods(&self) -> &'static str {
        match self.handler {
            Handler::Now(_) | Handler::Asks(_) => "GET, HEAD",
            Handler::Orders(_) => "POST",
        }
    }

    /// Whether it takes this one.
    pub fn takes(&self, method: &Method) -> bool {
        self.methods().split(", ").any(|it| it == method.as_str())
    }
}
