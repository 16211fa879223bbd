//! Metrics of the members, from what PROXY NODES tells.

use super::seen::Seen;
use crate::commands::verbs::node_field::Field;
use crate::metrics::exposition::Samples;

/// A sample for each member that has the field.
fn each(seen: &Seen<'_>, name: &str, mut tell: impl FnMut(&str, &Field)) {
    for (member, fields) in &seen.nodes {
        if let Some((_, field)) = fields.iter().find(|it| it.0 == name) {
            tell(member, field);
        }
    }
}

/// A number; below 0 where nobody knows.
fn number(seen: &Seen<'_>, it: &mut Samples<'_>, name: &str) {
    each(seen, name, |member, field| {
        if let Field::Number(number @ 0..) = field {
            it.value(&[member], number);
        }
    });
}

pub fn is_master(seen: &Seen<'_>, it: &mut Samples<'_>) {
    each(seen, "role", |member, field| it.switch(&[member], field.text() == "master"));
}

pub fn in_service(seen: &Seen<'_>, it: &mut Samples<'_>) {
    each(seen, "in-service", |member, field| {
        it.switch(&[member], matches!(field, Field::YesOrNo(true)));
    });
}

pub fn offset(seen: &Seen<'_>, it: &mut Samples<'_>) {
    number(seen, it, "offset");
}

pub fn lag_bytes(seen: &Seen<'_>, it: &mut Samples<'_>) {
    number(seen, it, "lag-bytes");
}

pub fn lag_time(seen: &Seen<'_>, it: &mut Samples<'_>) {
    each(seen, "lag-us", |member, field| {
        if let Field::Micros(Some(us)) = field {
            it.value(&[member], *us as f64 / 1e6);
        }
    });
}

pub fn resyncs(seen: &Seen<'_>, it: &mut Samples<'_>) {
    number(seen, it, "full-resyncs");
}

pub fn in_flight(seen: &Seen<'_>, it: &mut Samples<'_>) {
    number(seen, it, "in-flight");
}

pub fn round_trip(seen: &Seen<'_>, it: &mut Samples<'_>) {
    each(seen, "rtt-us", |member, field| {
        if let Field::Number(us) = field {
            it.value(&[member], *us as f64 / 1e6);
        }
    });
}

pub fn answered(seen: &Seen<'_>, it: &mut Samples<'_>) {
    number(seen, it, "answered");
}

pub fn faults(seen: &Seen<'_>, it: &mut Samples<'_>) {
    number(seen, it, "faults");
}

pub fn ejections(seen: &Seen<'_>, it: &mut Samples<'_>) {
    number(seen, it, "ejections");
}

pub fn accepted(seen: &Seen<'_>, it: &mut Samples<'_>) {
    number(seen, it, "reads-accepted");
}

pub fn refused(seen: &Seen<'_>, it: &mut Samples<'_>) {
    number(seen, it, "reads-refused");
}

pub fn lost(seen: &Seen<'_>, it: &mut Samples<'_>) {
    number(seen, it, "writes-lost");
}
