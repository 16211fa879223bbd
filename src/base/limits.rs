//! Every bound that a client or a peer can run into, by name.

/// Longest bulk string a request may carry (Redis' `proto-max-bulk-len`).
pub const BULK_BYTES_MAX: usize = 512 << 20;
/// Most arguments of one request (Redis' fixed limit). What bounds them in practice is
/// [`QUERY_BYTES_MAX`]: an argument takes at least six bytes on the wire.
pub const REQUEST_ARGS_MAX: usize = i32::MAX as usize;
/// Longest inline request, and longest line of a multi-bulk header, that may arrive without its end
/// (Redis' `PROTO_INLINE_MAX_SIZE`).
pub const INLINE_BYTES_MAX: usize = 64 << 10;
/// Most bytes of one client that may wait for their request to be complete (Redis'
/// `client-query-buffer-limit`).
pub const QUERY_BYTES_MAX: usize = 1 << 30;
/// Connections that may wait to be accepted (Redis' `tcp-backlog`); the system may allow fewer.
pub const LISTEN_BACKLOG: i32 = 511;
/// Clients that may shake hands for TLS at a time, each for at most [`TLS_HANDSHAKE_MS_MAX`]. One
/// more is turned away.
pub const TLS_HANDSHAKES_MAX: usize = 1024;
/// See [`TLS_HANDSHAKES_MAX`].
pub const TLS_HANDSHAKE_MS_MAX: u64 = 10_000;
/// Proxies that may have yet to say for whom they connect, each for at most
/// [`PROXY_HEADER_MS_MAX`]. One more is turned away.
pub const PROXY_HEADERS_MAX: usize = 1024;
/// See [`PROXY_HEADERS_MAX`]. The protocol asks for three seconds at least: a segment may be lost.
pub const PROXY_HEADER_MS_MAX: u64 = 5_000;
/// The longest header of the PROXY protocol.
pub const PROXY_HEADER_BYTES_MAX: usize = 4096;
/// Bytes read from a socket at a time, and what a connection's read buffer shrinks back to.
pub const READ_CHUNK_BYTES: usize = 16 << 10;
/// Shortest string that is stored in the memory it was read into; what is shorter is copied, into
/// an allocation that fits. Buffers that are as long are freed on a thread of their own.
pub const ADOPTED_BYTES_MIN: usize = 1 << 20;
/// Reply bytes that are sent before others have their turn. A peer that reads as fast as they are
/// sent would have its worker for itself until a long reply has left.
pub const SEND_BYTES_MAX: usize = 512 << 10;
/// Reply bytes that are gathered before the connection writes them out within one batch.
pub const REPLY_FLUSH_BYTES: usize = 64 << 10;
/// What an empty reply buffer keeps of its room; a long reply's is given back once it has left.
pub const REPLY_BYTES_KEPT: usize = 256 << 10;
/// A reply buffer doubles up to this length, then grows by as much until a quarter of it is more.
pub const REPLY_GROWTH_BYTES: usize = 32 << 20;
/// Effects that a worker keeps room for between transactions of several calls, and the bytes of
/// their words.
pub const EFFECTS_KEPT: usize = 1024;
/// See [`EFFECTS_KEPT`].
pub const EFFECTS_BYTES_KEPT: usize = 256 << 10;
/// Longest reply whose length is a number in the request: entries chosen by chance may repeat, so
/// there may be more of them in it than there are. A client's output limit counts before it.
pub const REPEATED_BYTES_MAX: usize = 1 << 30;
/// Most keys that one client may watch, and the bytes that they may have: EXEC looks at all of them
/// under the master's lock.
pub const WATCHED_KEYS_MAX: usize = 64 << 10;
/// See [`WATCHED_KEYS_MAX`].
pub const WATCHED_BYTES_MAX: usize = 64 << 20;
/// Messages that a connection takes out of its mailbox before others have their turn.
pub const MAILBOX_TAKEN_MAX: usize = 1024;
/// About how many bytes of changes of cached keys a client is told of between two requests of one
/// batch: what is left comes behind the batch.
pub const TOLD_BETWEEN_BYTES: usize = 64 << 10;
/// Subscribers that a worker hands one message to, and patterns that it compares a channel with:
/// beyond, a thread for long work does it.
pub const PUBLISH_RECEIVERS_MAX: usize = 2000;
/// Clients that are told of changes of what they cache under one lock of the master, and by a task
/// before others have their turn: that task tells the rest.
pub const READERS_TOLD_MAX: usize = 1000;
/// Changed keys that are looked up at a time, for those who are told of all with a prefix.
pub const BROADCAST_KEYS_MAX: usize = 1000;
/// Prefixes that one client may be told of, and the bytes that they may have together: a key that
/// changes is looked up by each length among them.
pub const PREFIXES_MAX: usize = 10_000;
/// See [`PREFIXES_MAX`].
pub const PREFIX_BYTES_MAX: usize = 1 << 20;
/// Prefixes that come or go at a time: whoever writes waits for that.
pub const PREFIXES_CHANGED_MAX: usize = 256;
/// Bytes of keys that clients may cache together, however many keys those are.
pub const CACHED_KEY_BYTES_SUM_MAX: usize = 256 << 20;
/// A client that reads a longer key is told at once that it has changed, instead of being noted.
pub const CACHED_KEY_BYTES_MAX: usize = 4 << 10;
/// Keys that are given up at a time when clients cache more than they may.
pub const CACHED_KEYS_EVICTED_MAX: usize = 1000;
/// Subscriptions that end with their connection at once; more end on the thread that frees large
/// values.
pub const SUBSCRIPTIONS_ENDED_MAX: usize = 1000;
/// Bytes that may wait in a connection's mailbox: pushes, with what each takes beside its text. One
/// command or script may raise hundreds of thousands of events, as many as Redis' default limit of
/// a subscriber's output lets wait.
pub const MAILBOX_BYTES_MAX: usize = 64 << 20;
/// What a push counts for beside its bytes.
pub const MAILBOX_PUSH_BYTES: usize = 64;
/// What a message counts for that is no push.
pub const MAILBOX_MESSAGE_BYTES: usize = 1024;
/// Bytes that a client which has not logged in may have sent without their being executed.
pub const UNKNOWN_QUERY_BYTES_MAX: usize = 256 << 10;
/// Databases of a member (Redis' default; not configurable so that SELECT means the same
/// everywhere).
pub const DATABASES: usize = 16;
/// Stream bytes in one shared block of the log.
pub const LOG_BLOCK_BYTES: usize = 64 << 10;
/// Most pieces that a full block of the log is kept in; one that was read in more is copied once.
pub const BACKLOG_PIECES_MAX: usize = 64;
/// Stream bytes that may wait to be sent to a follower that takes bytes, but for one write (Redis'
/// `client-output-buffer-limit replica`); past it, it is disconnected and must resync. A hosted
/// replica's bound is `replica-feed-limit`.
pub const FOLLOWER_BYTES_MAX: usize = 256 << 20;
/// A replica that asks for a full resync is given a snapshot that is at hand when the stream has
/// gone no further since.
pub const WIRE_JOIN_BYTES_MAX: u64 = 64 << 20;
/// Walks over one member at a time; who asks for another snapshot waits.
pub const WALKS_MAX: usize = 4;
/// Bytes of a snapshot that are kept for those who read it together: the fastest is no further
/// ahead of the slowest, and another may join while the first of them are there.
pub const SNAPSHOT_WINDOW_BYTES: usize = 4 << 20;
/// How long a read waits for the stream of a remote master before it is forwarded, where its ladder
/// does not say, in ms.
pub const FOLLOWER_WAIT_MS: u64 = 20;
/// Stream bytes that a replica on the wire is sent at a time.
pub const WIRE_CHUNK_BYTES: usize = 64 << 10;
/// Stream bytes that a hosted replica takes at a time, but for the write at hand.
pub const TAKE_BYTES_MAX: usize = 16 << 20;
/// Smallest `repl-backlog-size`.
pub const BACKLOG_BYTES_MIN: usize = 16 << 10;
/// Most records a hosted replica applies under one acquisition of its lock.
pub const APPLY_RECORDS_MAX: usize = 512;
/// Longest that a hosted replica applies under one acquisition of its lock, but for the write at
/// hand.
pub const APPLY_US_MAX: u64 = 1000;
/// Requests of one connection that are served before others have their turn.
pub const BATCH_REQUESTS_MAX: u64 = 1024;
/// A request of an operator counts as so many of those: what it does takes others' time, too.
pub const OPERATOR_REQUESTS: u64 = 64;
/// A request that touches more elements than this by estimate is long: it runs on a thread for long
/// work.
pub const LONG_ELEMENTS: usize = 10_000;
/// A read whose reply would make what its client has not taken longer than this is long: copying
/// that much takes its time.
pub const LONG_REPLY_BYTES: usize = 1 << 20;
/// Connections that may wait for a thread for long work.
pub const LONG_WAITING: usize = 1000;
/// Threads for long work.
pub const LONG_WORKERS: usize = 2;
/// Longest that a worker applies at one replica at a time, between its clients.
pub const TURN_APPLY_US_MAX: u64 = 500;
/// Stream bytes that a replica may lack before the worker that has written applies them in the
/// middle of its turn.
pub const APPLY_AFTER_BYTES: u64 = 4 << 10;
/// Batches that a worker serves while a replica lacks something, before it applies that in the
/// middle of its turn: those of many clients are short, and a turn of all of them is not.
pub const APPLY_AFTER_BATCHES: u32 = 4;
/// Stream bytes that a replica may lack before those who write wait for it to apply.
pub const LAG_BYTES_SOFT: u64 = 4 << 20;
/// Longest that a worker waits for one replica at the end of a turn.
pub const LAG_WAIT_US_MAX: u64 = 2000;
/// Longest that a read catches a replica up before its ladder goes on: its worker has others to
/// serve.
pub const CATCH_UP_US_MAX: u64 = 2000;
/// Longest that a candidate is given to come near the master before a failover is called off.
pub const CANDIDATE_US_MAX: u64 = 60_000_000;
/// Most keys and fields of hashes that the active expiry cycle deletes under one acquisition of the
/// master's lock.
pub const EXPIRE_KEYS_MAX: usize = 256;
/// Uses of keys at replicas that a worker gathers before it tells the master.
pub const USES_MAX: usize = 64;
/// Keys that reads have found expired and the master is told of after a batch. It meets the others
/// by itself.
pub const EXPIRED_SEEN_MAX: usize = 64;
/// A longer key is not told.
pub const EXPIRED_KEY_BYTES_MAX: usize = 4 << 10;
/// Past histories that a stream remembers: a token outlives this many failovers.
pub const HISTORIES_MAX: usize = 16;
/// Hosted replicas of one set.
pub const REPLICAS_MAX: usize = 100;
/// Longest name, tag or zone of a member.
pub const MEMBER_WORD_BYTES_MAX: usize = 64;
/// Tags of one member.
pub const MEMBER_TAGS_MAX: usize = 16;
/// Browsers and programs at the status page at a time that may ask again and again.
pub const HTTP_KEPT_MAX: usize = 64;
/// All of them: those beyond the others ask once, so that who keeps a connection keeps nobody from
/// `/health`. The next is turned away.
pub const HTTP_CONNECTIONS_MAX: usize = 2 * HTTP_KEPT_MAX;
/// Longest head of an HTTP request, and header lines in it.
pub const HTTP_HEAD_BYTES_MAX: usize = 8 << 10;
/// Header lines of an HTTP request.
pub const HTTP_HEADERS_MAX: usize = 64;
/// Longest body of an HTTP request, none of which says anything.
pub const HTTP_BODY_BYTES_MAX: u64 = 1 << 10;
/// How long the head of an HTTP request may take, in s, from the connection or its first byte on.
pub const HTTP_HEAD_S_MAX: u64 = 5;
/// How long an HTTP connection may be idle between two requests, in s.
pub const HTTP_IDLE_S_MAX: u64 = 60;
/// How long a browser may take to read an answer, in s.
pub const HTTP_ANSWER_S_MAX: u64 = 10;
/// Clients and slow commands that one answer tells of.
pub const HTTP_LISTED_MAX: usize = 1000;
/// Bytes of words that one answer tells of slow commands: older ones are left out.
pub const HTTP_SLOW_BYTES_MAX: usize = 256 << 10;

const _: () = {
    // A header line or an inline request must fit what one read may leave behind.
    assert!(INLINE_BYTES_MAX <= QUERY_BYTES_MAX);
    assert!(BULK_BYTES_MAX < QUERY_BYTES_MAX);
    // A batch's replies are written out before their room counts as a long reply's.
    assert!(REPLY_FLUSH_BYTES <= REPLY_BYTES_KEPT);
    assert!(REPLY_BYTES_KEPT <= REPEATED_BYTES_MAX);
    assert!(REPLY_BYTES_KEPT <= REPLY_GROWTH_BYTES);
    // Spans of a request are 32-bit.
    assert!(QUERY_BYTES_MAX < u32::MAX as usize);
};

/// How long a script may run, in us, before others can tell: then it is held for long, and the
/// other connections of its thread have turns within its own.
pub const SCRIPT_US_MAX: u64 = 1000;
/// How long a script that has written nothing may run, in us, when its client has hung up.
pub const SCRIPT_GONE_US: u64 = 1_000_000;
/// How often those others have a turn.
pub const SCRIPT_TURN_EVERY_US: u64 = 200;
