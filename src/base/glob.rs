//! Redis' glob patterns: what KEYS, SCAN MATCH and route rules accept.
