//! Two channels that talk to each other, through records torn at every byte.

use super::*;
use crate::runtime::tls::{ClientAuth, TlsFiles};
use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair};
use std::fs;
use std::sync::OnceLock;
use tempfile::TempDir;

/// A certificate that is its own authority's, for `localhost`, and its key.
fn files() -> TlsFiles {
    static DIR: OnceLock<TempDir> = OnceLock::new();
    let dir = DIR.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory");
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let root = ca.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(ca, &ca_key);
        let names = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let cert = names.signed_by(&key, &issuer).unwrap();
        for (name, text) in
            [("ca.pem", root.pem()), ("cert.pem", cert.pem()), ("key.pem", key.serialize_pem())]
        {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    });
    let path = |name: &str| dir.path().join(name).display().to_string();
    TlsFiles {
        cert: path("cert.pem"),
        key: path("key.pem"),
        ca_file: path("ca.pem"),
        clients: ClientAuth::Yes,
        speaks_12: true,
        speaks_13: true,
        checks_name: true,
        ..TlsFiles::default()
    }
}

struct Pair {
    client: Channel,
    server: Channel,
}

/// Passes on what `from` has to send, in pieces, and adds what `to` reads to `read`, through rooms
/// of this size.
fn pass(
    from: &mut Channel,
    to: &mut Channel,
    piece: usize,
    room: usize,
    read: &mut Vec<u8>,
) -> Result<(), TlsFault> {
    let bytes = from.to_send().to_vec();
    from.sent(bytes.len());
    let mut rooms = vec![0; room];
    for piece in bytes.chunks(piece) {
        let mut into = Room::slice(&mut rooms);
        let taken = to.take(&mut piece.to_vec(), &mut into);
        let filled = into.filled();
        read.extend_from_slice(&rooms[..filled]);
        taken?;
        loop {
            let mut into = Room::slice(&mut rooms);
            to.read(&mut into)?;
            let filled = into.filled();
            read.extend_from_slice(&rooms[..filled]);
            if filled == 0 {
                break;
            }
        }
    }
    Ok(())
}

impl Pair {
    fn of(files: &TlsFiles) -> Pair {
        let client = TlsClient::read(files).expect("they can be read");
        let server = TlsServer::read(files).expect("they can be read");
        Pair {
            client: Channel::client(&client, "localhost").expect("a name"),
            server: Channel::server(&server).expect("a server"),
        }
    }

    /// Makes the handshake, in pieces of this length.
    fn shake(&mut self, piece: usize) -> Result<(), TlsFault> {
        let Pair { client, server } = self;
        let mut nothing = Vec::new();
        client.shake()?;
        while !(client.is_open() && server.is_open() && client.to_send().is_empty()) {
            pass(client, server, piece, 1, &mut nothing)?;
            pass(server, client, piece, 1, &mut nothing)?;
        }
        pass(server, client, piece, 1, &mut nothing)?;
        assert!(nothing.is_empty());
        Ok(())
    }
}

/// Makes ciphertext of all of it, and leaves it to be sent.
fn say(channel: &mut Channel, mut bytes: &[u8]) -> Vec<u8> {
    let (mut scratch, mut all) = (Vec::new(), Vec::new());
    while !bytes.is_empty() {
        let (count, len) = channel.encrypt(bytes, &mut scratch).expect("it is open");
        all.extend_from_slice(&scratch[..len]);
        bytes = &bytes[count..];
    }
    all
}

fn hear(channel: &mut Channel, ciphertext: &[u8], piece: usize, room: usize) -> Vec<u8> {
    let mut read = Vec::new();
    let mut rooms = vec![0; room];
    for piece in ciphertext.chunks(piece) {
        let mut into = Room::slice(&mut rooms);
        channel.take(&mut piece.to_vec(), &mut into).expect("it is whole");
        let mut filled = into.filled();
        while filled != 0 {
            read.extend_from_slice(&rooms[..filled]);
            let mut into = Room::slice(&mut rooms);
            channel.read(&mut into).expect("it is whole");
            filled = into.filled();
        }
        assert!(channel.incoming.left().len() <= INCOMING_BYTES_MAX);
    }
    read
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn bytes_come_as_they_went_however_records_are_torn(
        asked in proptest::collection::vec(any::<u8>(), 1..50_000),
        answered in proptest::collection::vec(any::<u8>(), 1..200_000),
        piece in prop_oneof![1..40_usize, 40..70_000_usize],
        room in prop_oneof![1..60_usize, 60..70_000_usize],
        is_13 in any::<bool>(),
    ) {
        let mut pair = Pair::of(&TlsFiles { speaks_12: !is_13, speaks_13: is_13, ..files() });
        pair.shake(piece).expect("they trust each other");
        let ciphertext = say(&mut pair.client, &asked);
        prop_assert!(hear(&mut pair.server, &ciphertext, piece, room) == asked);
        let ciphertext = say(&mut pair.server, &answered);
        prop_assert!(hear(&mut pair.client, &ciphertext, piece, room) == answered);
        prop_assert!(!pair.client.has_unread() && !pair.server.has_unread());
    }

    #[test]
    fn bytes_that_are_no_tls_end_it(bytes in proptest::collection::vec(any::<u8>(), 1..2000)) {
        let mut server = Pair::of(&files()).server;
        let taken = server.take(&mut bytes.clone(), &mut Room::slice(&mut []));
        match bytes[0] {
            HANDSHAKE => prop_assert!(!server.is_open()),
            _ => prop_assert_eq!(taken, Err(TlsFault::NotTls)),
        }
    }

    #[test]
    fn a_byte_that_was_changed_on_the_way_ends_it(at in 0..100_usize, by in 1..=255_u8) {
        let mut pair = Pair::of(&files());
        pair.shake(1000).expect("they trust each other");
        let mut ciphertext = say(&mut pair.client, &[7; 70]);
        let at = at % ciphertext.len();
        ciphertext[at] ^= by;
        let mut rooms = [0; 200];
        let mut into = Room::slice(&mut rooms);
        let taken = pair.server.take(&mut ciphertext, &mut into);
        // A longer length is not known to be wrong until so much has come; type and version before
        // a protected record say nothing (RFC 8446, 5.1 and 5.2), and are not what is protected.
        let says_nothing = at <= 2;
        let filled = into.filled();
        let is_whole = rooms[..filled] == [7; 70];
        prop_assert!(taken.is_err() || filled == 0 || says_nothing && is_whole);
        if taken.is_err() {
            let again = pair.server.take(&mut [1], &mut Room::slice(&mut rooms));
            prop_assert_eq!(again, taken);
        }
    }
}

#[test]
fn a_handshake_may_come_byte_by_byte_in_either_version() {
    for is_13 in [false, true] {
        let mut pair = Pair::of(&TlsFiles { speaks_12: !is_13, speaks_13: is_13, ..files() });
        pair.shake(1).expect("they trust each other");
        let ciphertext = say(&mut pair.client, b"PING\r\n");
        assert_eq!(hear(&mut pair.server, &ciphertext, 1, 1), b"PING\r\n");
    }
}

#[test]
fn an_end_is_told_once_everything_before_it_is_read() {
    let mut pair = Pair::of(&files());
    pair.shake(1000).unwrap();
    let mut ciphertext = say(&mut pair.client, b"QUIT");
    pair.client.end();
    ciphertext.extend_from_slice(pair.client.to_send());
    let mut rooms = [0; 3];
    let mut into = Room::slice(&mut rooms);
    pair.server.take(&mut ciphertext, &mut into).unwrap();
    assert_eq!((into.filled(), pair.server.has_peer_ended()), (3, false));
    let mut into = Room::slice(&mut rooms);
    pair.server.read(&mut into).unwrap();
    assert_eq!((into.filled(), pair.server.has_peer_ended()), (1, true));
    let ciphertext = say(&mut pair.server, b"+OK");
    assert_eq!(hear(&mut pair.client, &ciphertext, 9, 9), b"+OK", "the other direction goes on");
}

#[test]
fn what_a_peer_does_wrong_it_is_told() {
    let nameless = TlsFiles { server_name: "elsewhere".to_owned(), ..files() };
    let mut pair = Pair::of(&nameless);
    let fault = pair.shake(1000).unwrap_err();
    let told = fault.to_string();
    assert!(told.contains("not valid for name"), "{told}");
    let mut nothing = Vec::new();
    assert!(!pair.client.to_send().is_empty(), "an alert");
    let heard = pass(&mut pair.client, &mut pair.server, 1000, 9, &mut nothing).unwrap_err();
    assert!(matches!(heard, TlsFault::Broken(rustls::Error::AlertReceived(_))), "{heard}");
    let mut unchecked = Pair::of(&TlsFiles { checks_name: false, ..nameless });
    unchecked.shake(1000).expect("its authority is known");
}

#[test]
fn a_handshake_message_without_an_end_is_bounded() {
    let mut server = Pair::of(&files()).server;
    // A hello of 16 MB, in records of 16 kB.
    let mut hello = vec![1, 0xff, 0xff, 0xff];
    hello.resize(16 << 10, 0);
    let mut sent = 0;
    let fault = loop {
        let mut record = vec![HANDSHAKE, 3, 1, 0x40, 0];
        record.extend_from_slice(&hello);
        hello.fill(0);
        if let Err(fault) = server.take(&mut record, &mut Room::slice(&mut [])) {
            break fault;
        }
        sent += record.len();
        assert!(sent <= 2 * INCOMING_BYTES_MAX);
    };
    assert!(matches!(fault, TlsFault::Endless | TlsFault::Broken(_)), "{fault}");
}
