//! Certificates and keys, as they are written and set.

use super::param::{Param, Section, live};
use super::slot::{Slot, lens};
use super::tls::PROTOCOLS;

use Section::Server;

/// What of `[server]` is about TLS.
pub const ROWS: &[Param] = &[
    live(
        Server,
        "tls-cert-file",
        "The file (PEM) of the certificate that listeners with TLS show.",
        Slot::Text(lens!(tls.cert_file)),
    ),
    live(Server, "tls-key-file", "The file of its key.", Slot::Text(lens!(tls.key_file))),
    live(
        Server,
        "tls-client-cert-file",
        "The certificate shown to a remote master; empty is the same.",
        Slot::Text(lens!(tls.client_cert_file)),
    ),
    live(
        Server,
        "tls-client-key-file",
        "The file of that one's key.",
        Slot::Text(lens!(tls.client_key_file)),
    ),
    live(
        Server,
        "tls-ca-cert-file",
        "The file of the authorities whose certificates are trusted.",
        Slot::Text(lens!(tls.ca_cert_file)),
    ),
    live(
        Server,
        "tls-ca-cert-dir",
        "A directory of such files.",
        Slot::Text(lens!(tls.ca_cert_dir)),
    ),
    live(
        Server,
        "tls-auth-clients",
        "Whether clients with TLS must show a certificate that is trusted.",
        Slot::OneOf { at: lens!(tls.auth_clients), words: &["no", "yes", "optional"] },
    ),
    live(
        Server,
        "tls-auth-clients-user",
        "Logs a client in as the user that its certificate names: by its common name, or by a URI.",
        Slot::OneOf { at: lens!(tls.client_user), words: &["off", "CN", "URI"] },
    ),
    live(
        Server,
        "tls-protocols",
        "The versions of TLS that are spoken; empty is all of them.",
        Slot::Words { at: lens!(tls.protocols), words: PROTOCOLS },
    ),
    live(
        Server,
        "tls-replication",
        "Reaches a remote master with TLS.",
        Slot::Switch(lens!(tls.replication)),
    ),
    live(
        Server,
        "tls-check-name",
        "Trusts a remote master only if its certificate is for the name that it is reached by.",
        Slot::Switch(lens!(tls.checks_name)),
    ),
];
