//! Numbers as text, the way Redis reads and writes them.
