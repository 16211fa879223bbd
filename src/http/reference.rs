//! The reference of the status page's listener, in Markdown, made from what answers.

use super::resources::RESOURCES;
use crate::commands::metrics;
use std::fmt::Write;

const HEAD: &str = "\
# The status page's endpoints

<!-- Made by `entourage status-reference`; a test fails when it differs from the code. -->

`entourage --http localhost:9379`, or `[http] bind` in the [file](configuration.md), serves what is
below on a thread of its own; without one of them there is no such listener. It is for this machine
alone unless `allow-remote = true`. A `password` is asked for as HTTP's basic authentication, under
any name; over a network put something in front that speaks TLS. Without `allow-remote` only
requests for 127.0.0.1, ::1 and localhost are answered, so that no page of others can be led here:
what stands in front under another name needs `allow-remote = true`, too. What changes something
needs `admin = true` and the header `x-entourage: 1`, which pages of others cannot send:

```
curl -X POST -H 'x-entourage: 1' 'localhost:9379/api/v1/node?name=n2&order=pause'
```

At most 64 connections may ask again and again, and 64 more once; the next is answered 503. A head
of a request has at most 8 KB and 5 seconds, an answer must be read within 10 seconds, and an idle
connection is closed after 60.

| path | methods | password | what it answers |
|---|---|---|---|
";

const METRICS: &str = "
## Metrics

Counters begin at 0 with the process and with `CONFIG RESETSTAT`. Times are in seconds. Histograms
have fixed buckets. No label holds a key or a client's name. [alerts.yml](../alerts.yml) has rules
for Prometheus, and [grafana.json](../grafana.json) a board for Grafana; `redis_exporter` works at
the Redis port, too.

```yaml
scrape_configs:
  - job_name: entourage
    static_configs: [{ targets: ['localhost:9379'] }]
```

| metric | kind | labels | what it tells |
|---|---|---|---|
";

/// The whole reference.
pub fn status_reference() -> String {
    let mut text = HEAD.to_owned();
    for it in RESOURCES {
        let asks = if it.is_open { "no" } else { "yes" };
        let _ = writeln!(text, "| `{}` | {} | {asks} | {} |", it.path, it.methods(), it.what);
    }
    text.push_str(METRICS);
    for it in metrics() {
        let labels: Vec<String> = it.labels.iter().map(|it| format!("`{it}`")).collect();
        let (labels, kind) = (labels.join(", "), it.kind.as_str());
        let _ = writeln!(text, "| `{}` | {kind} | {labels} | {} |", it.name, it.help);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = include_str!("../../config/docs/status.md");

    #[test]
    fn the_reference_is_what_the_code_says() {
        let reference = status_reference();
        assert!(FILE == reference, "entourage status-reference > config/docs/status.md");
        let is_wide = |it: &&str| it.starts_with('|') && !it.starts_with("|---");
        let cells = |it: &str| it.matches('|').count();
        assert!(reference.lines().filter(is_wide).all(|it| 5 <= cells(it)));
    }
}
