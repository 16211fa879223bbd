//! What is told of whole servers, by clients over sockets. One program: what the files share is
//! compiled once.

#[path = "../differential/families.rs"]
#[allow(dead_code)]
mod families;
#[path = "../differential/grammar.rs"]
#[allow(dead_code)]
mod grammar;
#[path = "../support/mod.rs"]
mod support;
#[path = "../differential/vocabulary.rs"]
#[allow(dead_code)]
mod vocabulary;

mod acl;
mod acl_paths;
mod acl_users;
mod alerts;
mod bitmaps;
mod blocking;
mod clients;
mod commands;
mod config;
mod connection;
mod cut_links;
mod daemon;
mod debug;
mod descriptors;
mod endings;
mod eviction;
mod fairness;
mod field_expiry;
mod forward;
mod guide;
mod hangup;
mod house;
mod http;
mod hyperloglog;
mod keyspace_events;
mod lag;
mod large_requests;
mod last;
mod latency;
mod licences;
mod load;
mod login;
mod logs;
mod members;
mod memory;
mod migrate;
mod monitor;
mod noticed;
mod observability;
mod operators;
mod pause;
mod paused_writers;
mod persistence;
mod persistence_faults;
mod persistence_restarts;
mod primitives_of_redis;
mod prometheus;
mod protected;
mod proxy_protocol;
mod pubsub;
mod queues;
mod rdb;
mod refusals;
mod replica_of;
mod read_transactions;
mod replicas;
mod rewrite;
mod routes;
mod same_answer;
mod scopes;
mod scripts;
mod sentinel;
mod shutdown;
mod slowlog;
mod status_page;
mod stream;
mod table;
mod tags;
mod tls;
mod tokens;
mod tracking;
mod tracking_order;
mod transactions;
mod unread;
mod upgrade;
mod upstream;
mod upstream_acks;
mod upstream_bounds;
mod upstream_checks;
mod upstream_choosing;
mod upstream_clients;
mod upstream_config;
mod upstream_failover;
mod upstream_members;
mod upstream_state;
mod upstream_sticky;
mod upstream_switchover;
mod waiters;
mod watched;
mod web_apps;
