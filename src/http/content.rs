//! What is answered, before it is a response.

use crate::runtime::http::Whole;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

/// Of what kind a text is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// For people and scripts.
    Text,
    /// For browsers.
    Page,
    /// For programs.
    Json,
    /// For Prometheus.
    Metrics,
}

/// What is answered.
#[derive(Debug)]
pub struct Content {
    status: StatusCode,
    kind: Kind,
    text: String,
    more: Vec<(HeaderName, HeaderValue)>,
    is_late: bool,
}

impl Content {
    /// What was asked for.
    pub fn ok(kind: Kind, text: impl Into<String>) -> Content {
        Content { kind, ..Content::refused(StatusCode::OK, text) }
    }

    /// A line that says why it is not answered.
    pub fn refused(status: StatusCode, why: impl Into<String>) -> Content {
        Content { status, kind: Kind::Text, text: why.into(), more: Vec::new(), is_late: false }
    }

    /// With another header line.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Content {
        self.more.push((name, value));
        self
    }

    /// To be sent only after a while: who is answered is to ask less often.
    pub fn late(mut self) -> Content {
        self.is_late = true;
        self
    }

    /// Whether it is.
    pub fn is_late(&self) -> bool {
        self.is_late
    }

    /// As it is sent.
    pub fn into_response(self) -> Response<Whole> {
        let kind = match self.kind {
            Kind::Text => "text/plain; charset=utf-8",
            Kind::Page => "text/html; charset=utf-8",
            Kind::Json => "application/json",
            Kind::Metrics => "text/plain; version=0.0.4; charset=utf-8",
        };
        let mut text = self.text;
        if self.kind == Kind::Text && !text.ends_with('\n') {
            text.push('\n');
        }
        let mut response = Response::new(Whole::of(text));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.extend(self.more);
        response
    }
}
