//! FUNCTION: libraries of functions are data of the set. What is said to those that run is the
//! proxy's.

use crate::base::glob::{Case, matches};
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Args, Fault, Flags, Group, Keys, echo};
use crate::engine::Run::{Read, Write};
use crate::engine::rdb::functions::{dump, texts};
use crate::engine::{Effects, Engine, Row, container, row};
use crate::resp::Reply;
use crate::script::{Library, Policy, load_library};

const FILLS: Flags = Flags::NOSCRIPT.union(Flags::DENYOOM);
const ALL_SUCCEED: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];
const VARIES: &[&str] = &["nondeterministic_output_order"];

/// The family's rows.
pub const ROWS: &[Row] = &[container("FUNCTION", FUNCTION).says(
    Group::Scripting,
    "7.0.0",
    "Depends on subcommand.",
    "Keeps libraries of functions.",
    "",
)];

const FUNCTION: &[Row] = &[
    row("DELETE", Exactly(3), Flags::NOSCRIPT, Keys::NONE, Write(delete))
        .says(
            Group::Scripting,
            "7.0.0",
            "O(1)",
            "Deletes a library and its functions.",
            "library-name",
        )
        .tips(ALL_SUCCEED),
    row("DUMP", Exactly(2), Flags::NOSCRIPT, Keys::NONE, Read(answer_dump)).says(
        Group::Scripting,
        "7.0.0",
        "O(N) where N is the number of functions",
        "Answers all libraries as one payload.",
        "",
    ),
    row("FLUSH", AtLeast(2), Flags::NOSCRIPT, Keys::NONE, Write(flush))
        .says(
            Group::Scripting,
            "7.0.0",
            "O(N) where N is the number of functions deleted",
            "Deletes all libraries.",
            "[ASYNC | SYNC]",
        )
        .tips(ALL_SUCCEED),
    row("LIST", AtLeast(2), Flags::NOSCRIPT, Keys::NONE, Read(list))
        .says(
            Group::Scripting,
            "7.0.0",
            "O(N) where N is the number of functions",
            "Answers what is known of all libraries.",
            "[LIBRARYNAME library-name-pattern] [WITHCODE]",
        )
        .tips(VARIES),
    row("LOAD", AtLeast(3), FILLS, Keys::NONE, Write(load))
        .says(
            Group::Scripting,
            "7.0.0",
            "O(1) (considering compilation time is redundant)",
            "Creates a library.",
            "[REPLACE] function-code",
        )
        .tips(ALL_SUCCEED),
    row("RESTORE", AtLeast(3), FILLS, Keys::NONE, Write(restore))
        .says(
            Group::Scripting,
            "7.0.0",
            "O(N) where N is the number of functions on the payload",
            "Restores libraries from a payload.",
            "serialized-value [FLUSH | APPEND | REPLACE]",
        )
        .tips(ALL_SUCCEED),
];

fn message(text: Vec<u8>) -> Fault {
    Fault::Message(String::from_utf8_lossy(&text).into_owned())
}

fn load(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let mut policy = Policy::Append;
    while 1 < args.left() {
        let word = args.next()?;
        if !word.eq_ignore_ascii_case(b"REPLACE") {
            return Err(Fault::Message(format!("ERR Unknown option given: {}", echo(word))));
        }
        policy = Policy::Replace;
    }
    let text = args.next().map_err(|_| Fault::Static("ERR Function code is missing"))?;
    engine.libraries().admits(text, policy).map_err(Fault::Message)?;
    let library = load_library(text).map_err(message)?;
    let name = library.name.clone();
    engine.libraries_mut().add(vec![library], policy).map_err(Fault::Message)?;

    effects.as_sent();
    reply.bulk(&name);
    Ok(())
}

fn delete(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    if !engine.libraries_mut().delete(args.next()?) {
        return Err(Fault::Static("ERR Library not found"));
    }
    effects.as_sent();
    reply.ok();
    Ok(())
}

fn flush(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    if 1 < args.left() {
        return Err(args.misused("FUNCTION"));
    }
    let is_known = args.left() == 0 || args.word("ASYNC") || args.word("SYNC");
    if !is_known || args.left() != 0 {
        return Err(Fault::Static("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
    }
    engine.libraries_mut().flush();
    effects.as_sent();
    reply.ok();
    Ok(())
}

fn restore(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let payload = args.next()?;
    if 1 < args.left() {
        return Err(args.misused("FUNCTION"));
    }
    let policy = match args.peek() {
        None => Policy::Append,
        Some(word) => Policy::named(word).map_err(Fault::Message)?,
    };
    let libraries: Result<Vec<Library>, Fault> =
        texts(payload)?.iter().map(|it| load_library(it).map_err(message)).collect();
    engine.libraries_mut().add(libraries?, policy).map_err(Fault::Message)?;

    effects.as_sent();
    reply.ok();
    Ok(())
}

fn answer_dump(engine: &Engine, _: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    reply.bulk(&dump(engine.libraries()));
    Ok(())
}

fn list(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (mut pattern, mut with_code) = (None, false);
    while args.left() != 0 {
        if !with_code && args.word("WITHCODE") {
            with_code = true;
        } else if pattern.is_none() && args.word("LIBRARYNAME") {
            let missing = |_| Fault::Static("ERR library name argument was not given");
            pattern = Some(args.next().map_err(missing)?);
        } else {
            // Redis cuts ends of lines from the end of other errors, but not of this one.
            let argument = echo(args.next()?).replace(['\r', '\n'], " ");
            return Err(Fault::Message(format!("ERR Unknown argument {argument}")));
        }
    }
    let is_asked = |it: &Library| pattern.is_none_or(|of| matches(of, &it.name, Case::Folded));
    let (mark, mut count) = (reply.mark(), 0);
    for library in engine.libraries().iter().filter(|it| is_asked(it)) {
        answer_library(library, with_code, reply);
        count += 1;
    }
    reply.close_array(mark, count);
    Ok(())
}

fn answer_library(library: &Library, with_code: bool, reply: &mut Reply) {
    reply.map(3 + usize::from(with_code));
    reply.bulk(b"library_name");
    reply.bulk(&library.name);
    reply.bulk(b"engine");
    reply.bulk(b"LUA");
    reply.bulk(b"functions");
    reply.array(library.functions.len());
    for (name, function) in &library.functions {
        reply.map(3);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"description");
        reply.maybe(function.description.as_deref());
        reply.bulk(b"flags");
        reply.set(function.flags.names().count());
        function.flags.names().for_each(|it| reply.simple(it));
    }
    if with_code {
        reply.bulk(b"library_code");
        reply.bulk(&library.text);
    }
}
