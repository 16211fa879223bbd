//! What there is to be asked for, by its path.

use super::query::Query;
use super::told::Told;
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
    /// Whether it is told without the password.
    pub is_open: bool,
    /// What tells it.
    pub tell: Tell,
}

/// What tells something.
#[derive(Clone, Copy)]
pub enum Tell {
    /// By looking at the server.
    Now(fn(&Arc<Server>, &Query) -> Told),
    /// By a command.
    Asks(fn(Arc<Server>, Query) -> BoxFuture<'static, Told>),
    /// By a command that changes something.
    Orders(fn(Arc<Server>, Query) -> BoxFuture<'static, Told>),
}

const fn now(path: &'static str, what: &'static str, tell: Tell) -> Resource {
    Resource { path, what, is_open: false, tell }
}

/// All there is.
pub const RESOURCES: &[Resource] = &[
    now("/", "The status page, for a browser.", Tell::Now(page::page)),
    Resource {
        is_open: true,
        ..now("/health", "200: the process lives.", Tell::Now(health::health))
    },
    Resource {
        is_open: true,
        ..now(
            "/ready",
            "200: a master serves; 503 with the reason when not. `?lag=500ms` or `?lag=1mb`: and \
             every replica in service is no further behind.",
            Tell::Now(health::ready),
        )
    },
    now("/metrics", "All metrics below, for Prometheus.", Tell::Now(api::metrics)),
    now("/api/v1/nodes", "`PROXY NODES`.", Tell::Now(api::nodes)),
    now("/api/v1/routes", "The routes in force, in their order.", Tell::Now(api::routes)),
    now("/api/v1/alerts", "`PROXY ALERTS`.", Tell::Now(api::alerts)),
    now("/api/v1/events", "`PROXY EVENTS`: `?count=100`, newest first.", Tell::Now(api::events)),
    now("/api/v1/clients", "`CLIENT LIST`, the first 1000.", Tell::Now(api::clients)),
    now("/api/v1/stats", "`PROXY STATS JSON` ([fields](stats.md)).", Tell::Now(api::stats)),
    now("/api/v1/slowlog", "`SLOWLOG GET`.", Tell::Now(api::slowlog)),
    now("/api/v1/config", "`CONFIG GET *`, with secrets hidden.", Tell::Now(api::config)),
    now("/api/v1/status", "All that the page shows, in one answer.", Tell::Now(api::status)),
    now(
        "/api/v1/explain",
        "`PROXY EXPLAIN`: `?command=GET+key`, or `?word=GET&word=a%20key`.",
        Tell::Asks(|server, query| Box::pin(orders::explain(server, query))),
    ),
    now(
        "/api/v1/node",
        "`PROXY NODE`: `?name=n2&order=pause`, `resume`, `drain` or `undrain`; `&force=yes` for \
         the last that serves.",
        Tell::Orders(|server, query| Box::pin(orders::node(server, query))),
    ),
    now(
        "/api/v1/failover",
        "`PROXY FAILOVER`: `?to=n2`.",
        Tell::Orders(|server, query| Box::pin(orders::fail_over(server, query))),
    ),
];

impl Resource {
    /// The one with this path, letter for letter.
    pub fn at(path: &str) -> Option<&'static Resource> {
        RESOURCES.iter().find(|it| it.path == path)
    }

    /// The methods it takes.
    pub fn methods(&self) -> &'static str {
        match self.tell {
            Tell::Now(_) | Tell::Asks(_) => "GET, HEAD",
            Tell::Orders(_) => "POST",
        }
    }

    /// Whether it takes this one.
    pub fn takes(&self, method: &Method) -> bool {
        self.methods().split(", ").any(|it| it == method.as_str())
    }
}
