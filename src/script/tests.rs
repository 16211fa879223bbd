//! Whole scripts, and what they answer.

use super::*;
use crate::resp::Protocol;

/// Counts, and answers what it was asked.
#[derive(Default)]
struct Counter {
    calls: i64,
    ticks_left: Option<u32>,
    steps: u64,
    logged: Vec<String>,
}

impl Host for Counter {
    fn call(&mut self, argv: &[&[u8]], protocol: Protocol, reply: &mut Vec<u8>) -> u32 {
        self.calls += 1;
        if argv[0] == b"begin" {
            self.ticks_left = Some(5);
        }
        let answer: &[u8] = match (argv[0], protocol) {
            (b"begin", _) => b"+OK\r\n",
            (b"incr", _) => &format!(":{}\r\n", self.calls).into_bytes(),
            (b"panic", _) => panic!("as a host never should"),
            (b"fail", _) => b"-WRONGTYPE no\r\n",
            (b"none", Protocol::Resp2) => b"*2\r\n$-1\r\n:1\r\n",
            (b"none", Protocol::Resp3) => b"*2\r\n_\r\n:1\r\n",
            (b"map", _) => b"%1\r\n+a\r\n,1.5\r\n",
            _ => {
                let text = String::from_utf8_lossy(argv[1]);
                &format!("${}\r\n{text}\r\n", argv[1].len()).into_bytes()
            }
        };
        reply.extend_from_slice(answer);
        SHORT_CALL
    }
    fn may_call(&mut self, argv: &[&[u8]]) -> Option<bool> {
        (argv[0] != b"nosuch").then_some(argv[0] != b"denied")
    }
    fn log(&mut self, level: u8, text: &[u8]) {
        self.logged.push(format!("{level} {}", String::from_utf8_lossy(text)));
    }
    fn set_replication(&mut self, _: u8) {}
    fn tick(&mut self, steps: u64) -> Tick {
        self.steps += steps;
        match &mut self.ticks_left {
            Some(0) => Tick::Stop,
            Some(left) => {
                *left -= 1;
                Tick::Continue
            }
            None => Tick::Continue,
        }
    }
}

fn answer_of(interpreter: &mut Interpreter, host: &mut Counter, text: &str) -> String {
    let invocation = Invocation { keys: &[b"k"], args: &[b"a"], protocol: Protocol::Resp2 };
    let mut out = Vec::new();
    let text = text.as_bytes();
    interpreter.run(&sha1hex(text), text, &invocation, host, &mut out);
    let out = String::from_utf8_lossy(&out).replace("\r\n", "|");
    // Errors name the script, which no test wants to spell.
    match out.find(" script: ") {
        Some(at) => format!("{} …{}", &out[..at], &out[(at + 49).min(out.len())..]),
        None => out,
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let mut interpreter = Interpreter::new(Purpose::Scripts, About::default());
    assert_eq!(answer_of(&mut interpreter, &mut Counter::default(), text), expected, "{text}");
}

#[test]
fn values_become_replies() {
    check("return {1, 2.9, 'x', true, false, {}, KEYS[1], ARGV[1], nil, 5}", {
        "*8|:1|:2|$1|x|:1|$-1|*0|$1|k|$1|a|"
    });
    check("return {ok='fine'}", "+fine|");
    check("return {err='BAD thing'}", "-BAD thing|");
    check("return {map={a={double=0.5}}}", "*2|$1|a|$3|0.5|");
}

#[test]
fn replies_become_values() {
    check("return redis.call('incr') + redis.call('incr')", ":3|");
    check("return type(redis.call('none')[1])", "$7|boolean|");
    check("redis.setresp(3) return type(redis.call('none')[1])", "$3|nil|");
    check("redis.setresp(3) return tostring(redis.call('map').map.a)", "$3|nil|");
    check("return redis.call('echo', 0.1)", "$3|0.1|");
    check("return redis.call('fail')", "-WRONGTYPE no …, on @user_script:1.|");
    check("return redis.pcall('fail')", "-WRONGTYPE no|");
    check("local _, e = pcall(redis.call, 'fail') return e", "$12|WRONGTYPE no|");
}

#[test]
fn nothing_that_is_shared_can_be_written() {
    let readonly = "-ERR user_script:1: Attempt to modify a readonly table …, on @user_script:1.|";
    for text in ["x = 1", "_G.x = 1", "string.rep = 1", "redis.call = 1", "KEYS = 1"] {
        check(text, readonly);
    }
    for text in ["getmetatable('').__index = 1", "getmetatable(_G).__index = 1"] {
        check(text, readonly);
    }
    let readonly = "-ERR Attempt to modify a readonly table …, on @user_script:1.|";
    for text in ["rawset(_G, 1, 1)", "table.insert(string, 1)", "setmetatable(math, {})"] {
        check(text, readonly);
    }
    check("for k in pairs(bit) do if k == 'bor' then return 1 end end", ":1|");
    check("return loadstring(string.dump(function() end)) == nil", ":1|");
}

#[test]
fn a_stopped_script_cannot_go_on() {
    for text in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "xpcall(function() while true do end end, function() while true do end end)",
        "string.find(('a'):rep(1000), ('.-'):rep(50) .. 'b')",
        "local co = coroutine.wrap(function() while true do end end) while true do co() end",
    ] {
        let mut interpreter = Interpreter::new(Purpose::Scripts, About::default());
        let mut host = Counter { ticks_left: Some(5), ..Counter::default() };
        let answer = answer_of(&mut interpreter, &mut host, text);
        assert!(answer.starts_with("-ERR Script killed by user"), "{text}: {answer}");
        // The next one is not stopped.
        let answer = answer_of(&mut interpreter, &mut Counter::default(), "return 1");
        assert_eq!(answer, ":1|");
    }
}

/// Each works without end, hardly in instructions.
const NATIVE_WORK: &[&str] = &[
    "local t = {} for i = 1, 3e5 do t[i] = 'x' end while true do table.concat(t) end",
    "local t = {} for i = 1, 3e5 do t[i] = i end while true do table.insert(t, 1, 1) end",
    "local t = {} for i = 1, 3e5 do t[i] = i end while true do table.remove(t, 1) t[3e5] = 1 end",
    "table.insert({}, -2147483648, 1)",
    "local t = {} for i = 1, 3e5 do t[i] = i end while true do table.maxn(t) end",
    "local t = {} for i = 1, 3e5 do t[i] = math.random() end while true do table.sort(t) end",
    "local t = {} for i = 1, 3e5 do t[i] = i end while true do table.sort(t, rawequal) end",
    "local t = {} for i = 1, 3e5 do t[i] = i end while true do table.foreach(t, redis.debug) end",
    "local t = {} for i = 1, 3e5 do t[i] = i end while true do table.foreachi(t, redis.debug) end",
    "local t = {} for i = 1, 3e5 do t[i] = i end for i = 1, 3e5 do t[i] = nil end \
     while true do next(t) end",
    "local t = {} for i = 1, 3e5 do t[i] = {} end while true do collectgarbage() end",
    "local t = {} for i = 1, 3e5 do t[i] = {} end while true do collectgarbage('step', 1e6) end",
    "local t = {} for i = 1, 3e5 do t[i] = {} end while true do pcall(string.rep, 'x', 1e9) end",
    "local s = ('x'):rep(5e6) while true do s:upper() s:lower() s:reverse() end",
    "local s = ('x'):rep(5e6) while true do s:sub(2) end",
    "local s = ('x'):rep(5e6) while true do ('%s%s'):format(s, s) end",
    "local s = ('x'):rep(5e6) while true do local x = s .. 'y' end",
    "local s = ('x'):rep(5e6) .. 'y' local t = s:sub(1, -2) .. 'z' while s < t do end",
    "local s = ('1'):rep(1e6) while true do tonumber(s) end",
    "local s = ('1'):rep(1e6) while true do local x = s + 1 end",
    "local s = ('x'):rep(5e6) while true do redis.sha1hex(s) end",
    "local s = ('x'):rep(1e6) while true do redis.log(redis.LOG_DEBUG, s) end",
    "local s = ('x'):rep(5e6) while true do redis.pcall('echo', s) end",
    "local s = ('x'):rep(5e6) while true do cjson.encode(s) end",
    "local s = (' '):rep(5e6) while true do pcall(cjson.decode, s) end",
    "local s = ('x'):rep(5e6) while true do cmsgpack.pack(s) end",
    "local s = ('x'):rep(5e6) while true do struct.pack('s', s) end",
    "loadstring(('x = 1 '):rep(1e6))",
    "local s = ('x = 1 '):rep(1e4) while true do loadstring(s) end",
    "local t = {} for i = 1, 7000 do t[i] = i end while true do unpack(t) end",
    "coroutine.wrap(function() local s = ('x'):rep(5e6) \
     while true do local x = s .. 'y' end end)()",
    "local co = coroutine.create(function() local s = ('x'):rep(5e6) .. 'y' \
     local t = s:sub(1, -2) .. 'z' while s < t do end end) coroutine.resume(co)",
];

#[test]
fn native_work_is_looked_at_again_and_again() {
    for text in NATIVE_WORK {
        let mut interpreter = Interpreter::new(Purpose::Scripts, About::default());
        let mut host = Counter::default();
        // What it works on is made before. Who is not looked at goes on for ever, or for minutes.
        let text = match text.split_once(" while ") {
            Some((made, work)) => format!("{made} redis.call('begin') while {work}"),
            None => format!("redis.call('begin') {text}"),
        };
        let answer = answer_of(&mut interpreter, &mut host, &text);
        assert!(answer.starts_with("-ERR Script killed by user"), "{text}: {answer}");
    }
}

#[test]
fn native_work_comes_to_steps() {
    for (text, steps) in [
        ("local t = {} for i = 1, 1e5 do t[i] = i % 999 end table.sort(t)", 20_000_000),
        ("local t = {} for i = 1, 1e5 do t[i] = 'x' end table.concat(t)", 1_500_000),
        ("redis.sha1hex(('x'):rep(1e6))", 2_000_000),
        ("local s = ('x'):rep(1e6) .. 'y'", 120_000),
    ] {
        let mut interpreter = Interpreter::new(Purpose::Scripts, About::default());
        let mut host = Counter::default();
        answer_of(&mut interpreter, &mut host, &format!("{text} for i = 1, 1e5 do end"));
        assert!(steps < host.steps, "{text}: {}", host.steps);
    }
}

#[test]
fn tables_are_worked_on_as_by_lua() {
    check("local t = {5, 3, 9, 1} table.sort(t) return t", "*4|:1|:3|:5|:9|");
    check("local t = {'b', 'a'} table.sort(t, function(a, b) return a > b end) return t", {
        "*2|$1|b|$1|a|"
    });
    let wrong = "invalid order function for sorting";
    let told = |text: &str| format!("-ERR user_script:1: {text} …, on @user_script:1.|");
    check(
        "local t = {} for i = 1, 9 do t[i] = i end table.sort(t, function() return true end)",
        &told(wrong),
    );
    check("table.sort({1, 'x'})", {
        "-ERR attempt to compare string with number …, on @user_script:1.|"
    });
    check(
        "table.sort({1, 2}, 3)",
        &told("bad argument #2 to 'sort' (function expected, got number)"),
    );
    check("return pcall(table.sort, {3, 2, 1}, function(a, b) error('no') end) and 1 or 0", ":0|");
    check("return table.concat({1, 'a', 2.5}, ', ')", "$9|1, a, 2.5|");
    check("return table.concat({'a', 'b', 'c'}, '-', 2, 3)", "$3|b-c|");
    check("return table.concat({'a'}, '-', 2)", "$0||");
    check(
        "return table.concat({'a', {}, 'c'})",
        &told("invalid value (table) at index 2 in table for 'concat'"),
    );
    check(
        "return table.concat(1)",
        &told("bad argument #1 to 'concat' (table expected, got number)"),
    );
    check("local t = {1, 2, 3} table.insert(t, 2, 9) table.remove(t, 1) return t", "*3|:9|:2|:3|");
    check("local t = {1} return {table.remove(t), #t, table.remove(t) == nil}", "*3|:1|:0|:1|");
    check("return table.maxn({1, 2, [7] = 1, x = 2})", ":7|");
    check("return table.foreachi({4, 5}, function(i, v) if v == 5 then return i end end)", ":2|");
    check("return table.foreach({a = 5}, function(k) return k end)", "$1|a|");
    check("return ('aZ'):upper() .. ('aZ'):lower() .. ('abc'):reverse()", "$7|AZazcba|");
    check(
        "local co = coroutine.wrap(function(a) return a + coroutine.yield(a) end) \
           return {co(1), co(2)}",
        "*2|:1|:3|",
    );
    check("return coroutine.create(print or type)", {
        "-ERR user_script:1: Script attempted to access nonexistent global variable 'print' …, on \
         @user_script:1.|"
    });
    check(
        "return coroutine.create(type)",
        &told("bad argument #1 to 'create' (Lua function expected)"),
    );
    check("return {collectgarbage('setpause', 100), collectgarbage('setpause', 200)}", {
        "*2|:200|:100|"
    });
    check("return {collectgarbage(), collectgarbage('step', 1e6)}", "*2|:0|:1|");
}

#[test]
fn memory_is_bounded_and_comes_back() {
    let limit = 16 << 20;
    let mut interpreter = Interpreter::bounded(Purpose::Scripts, About::default(), limit);
    for text in [
        "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
        "local s = 'x' while true do s = s .. s end",
        "return ('x'):rep(1e9)",
        "return (('x'):rep(1e6):gsub('.', ('y'):rep(1000)))",
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "local t = {} for i = 1, 2e5 do t[i] = i end return cjson.encode({t, t, t, t, t, t, t, t, \
         t, t, t, t, t, t, t, t})",
    ] {
        let answer = answer_of(&mut interpreter, &mut Counter::default(), text);
        assert!(answer.starts_with("-ERR not enough memory"), "{text}: {answer}");
        assert!(interpreter.memory() < 3 * limit);
    }
    let text = "for i = 1, 100 do local s = ('x'):rep(1e6) .. i end return 1";
    assert_eq!(answer_of(&mut interpreter, &mut Counter::default(), text), ":1|");
}

#[test]
fn recursion_is_bounded() {
    // Half of what a thread has by default.
    const STACK_BYTES: usize = 1 << 20;
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(recurse).unwrap();
    thread.join().unwrap();
}

fn recurse() {
    for text in [
        "cjson.encode_max_depth(1e6) local t = {} for i = 1, 1e4 do t = {t} end \
         return cjson.encode(t)",
        "cjson.decode_max_depth(1e6) return cjson.decode(('['):rep(1e6))",
        "cjson.decode_max_depth(1e6) return cjson.decode(('{\"a\":'):rep(1e6))",
        "return ('a'):rep(1e5):find(('(a'):rep(30) .. ('a?'):rep(1e5))",
        "return ('a'):rep(1e5):find(('a-'):rep(1e5) .. 'b')",
        "local p = ('a?'):rep(900) local function g(s) return (('a'):rep(1000):gsub(p, g)) end \
         return g('x')",
        "local function f() return 1 + f() end f()",
        "local function g(s) return s:gsub('.', g) end g('x')",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end \
         return t.x",
        "local co co = function() return coroutine.wrap(co)() end co()",
        "return cjson.decode(('['):rep(1e6))",
        "return cmsgpack.unpack(('\\145'):rep(1e6))",
        "return ('a'):rep(3e5):find(('a?'):rep(1e5))",
        "local s = '{' return assert(loadstring('return ' .. s:rep(1e5)))",
    ] {
        let mut interpreter = Interpreter::new(Purpose::Scripts, About::default());
        let answer = answer_of(&mut interpreter, &mut Counter::default(), text);
        assert!(answer.starts_with("-ERR"), "{text}: {answer}");
    }
}

#[test]
fn hostile_bytes_break_nothing() {
    let mut interpreter = Interpreter::new(Purpose::Scripts, About::default());
    let text = b"local s = ARGV[1] pcall(cjson.decode, s) pcall(cmsgpack.unpack, s) \
        pcall(cmsgpack.unpack_limit, s, 3, 1) pcall(struct.unpack, s, s) \
        pcall(struct.pack, s, s, 1) \
        pcall(string.find, s, s) pcall(string.gsub, s, s, s) pcall(loadstring, s) return 1";
    let seeds: [&[u8]; 6] = [
        b"{\"a\":[1,2.5e3,\"\\u0041\\ud83d\\ude00\",true,null,-0x1F]}",
        b"\x92\x81\xa1a\xcb\0\0\0\0\0\0\0\0\xdc\0\x03\xd9\x01z\xc0\xff",
        b">!8i4Hc0sd<I16x",
        b"^(.-)%s*[%w_]+%b()%f[%a]()%1$",
        b"\xdf\xff\xff\xff\xff\x93",
        b"for i = 1, 2 do local t = {[[x]], ...} end --[==[ ]==]",
    ];
    let mut random = random::Random::seeded(1);
    let mut below = |most: usize| (random.fraction() * most as f64) as usize;
    for round in 0..20_000 {
        let mut bytes = seeds[round % seeds.len()].to_vec();
        for _ in 0..=below(4) {
            let at = below(bytes.len());
            match below(3) {
                0 => bytes[at] = below(256) as u8,
                1 => bytes.insert(at, b"%[](){}\"\\*-?\0\xdb\xdd"[below(15)]),
                _ => bytes.truncate(at + 1),
            }
        }
        let invocation = Invocation { keys: &[], args: &[&bytes], protocol: Protocol::Resp3 };
        let mut out = Vec::new();
        // What has no end is stopped.
        let mut host = Counter { ticks_left: Some(20), ..Counter::default() };
        interpreter.run(&sha1hex(text), text, &invocation, &mut host, &mut out);
        assert!(out == b":1\r\n" || out.starts_with(b"-ERR Script killed"), "{bytes:?}");
    }
}

#[test]
fn a_script_is_told_what_its_user_may() {
    check("return redis.acl_check_cmd('get', 'a')", ":1|");
    check("return redis.acl_check_cmd('denied')", "$-1|");
    let text = "-ERR Invalid command passed to redis.acl_check_cmd() …, on @user_script:1.|";
    check("return redis.acl_check_cmd('nosuch')", text);
}

#[test]
fn a_library_runs_in_any_interpreter() {
    let text = b"#!lua name=lib\nlocal n = 0\nredis.register_function{function_name='f', \
        callback=function(keys, args) n = n + 1 return {n, keys, args, redis.call('incr')} end, \
        flags={'no-writes'}, description='d'}";
    let mut first = Interpreter::new(Purpose::Functions, About::default());
    let registered = first.load(text, &mut Counter::default()).unwrap();
    let mut libraries = Libraries::default();
    libraries.add(vec![Library::new(text, registered).unwrap()], Policy::Append).unwrap();
    assert!(libraries.admits(text, Policy::Append).is_err());

    assert!(libraries.function(b"f").unwrap().2.flags.has(Flags::NO_WRITES));
    let mut second = Interpreter::new(Purpose::Functions, About::default());
    let invocation = Invocation { keys: &[b"k"], args: &[b"a"], protocol: Protocol::Resp2 };
    for (is_first, loads_again, count) in
        [(true, false, 1), (false, false, 1), (false, false, 2), (false, true, 1), (true, false, 1)]
    {
        let interpreter = if is_first { &mut first } else { &mut second };
        if loads_again {
            let again = interpreter.load(text, &mut Counter::default()).unwrap();
            libraries.flush();
            let again = vec![Library::new(text, again).unwrap()];
            libraries.add(again, Policy::Append).unwrap();
        }
        let (library, ..) = libraries.function(b"f").unwrap();
        let mut out = Vec::new();
        interpreter.call(&libraries, library, b"f", &invocation, &mut Counter::default(), &mut out);
        let expected = format!("*4\r\n:{count}\r\n*1\r\n$1\r\nk\r\n*1\r\n$1\r\na\r\n:1\r\n");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn a_library_sees_little_while_it_is_loaded() {
    let mut interpreter = Interpreter::new(Purpose::Functions, About::default());
    for (body, error) in [
        ("redis.call('x')", "Script attempted to access nonexistent global variable 'call'"),
        ("return math", "Script attempted to access nonexistent global variable 'math'"),
        ("x = 1", "Attempt to modify a readonly table"),
    ] {
        let text = format!("#!lua name=lib\n{body}");
        let found = interpreter.load(text.as_bytes(), &mut Counter::default()).unwrap_err();
        let expected = format!("ERR Error registering functions: ERR user_function:2: {error}");
        assert_eq!(found, expected.as_bytes());
    }
    let mut host = Counter { ticks_left: Some(5), ..Counter::default() };
    let found = interpreter.load(b"#!lua name=lib\nwhile true do end", &mut host).unwrap_err();
    assert_eq!(found, b"ERR Error registering functions: ERR FUNCTION LOAD timeout");
}

#[test]
fn a_panic_of_the_caller_costs_the_state_and_no_more() {
    let mut interpreter = Interpreter::new(Purpose::Scripts, About::default());
    let run = std::panic::AssertUnwindSafe(|| {
        let text = "pcall(string.gsub, 'x', 'x', function() redis.call('panic') end)";
        answer_of(&mut interpreter, &mut Counter::default(), text)
    });
    assert!(std::panic::catch_unwind(run).is_err());
    let answer = answer_of(&mut interpreter, &mut Counter::default(), "return redis.call('incr')");
    assert_eq!(answer, ":1|");
}

#[test]
fn logs_go_to_the_caller() {
    let mut interpreter = Interpreter::new(Purpose::Scripts, About::default());
    let mut host = Counter::default();
    answer_of(&mut interpreter, &mut host, "redis.log(redis.LOG_WARNING, 'a', 2)");
    assert_eq!(host.logged, ["3 a 2"]);
}

/// As redis-server 7.0.15 answers: what a double cannot hold is rounded, and the largest come to be
/// others when they are packed again.
#[test]
fn numbers_of_eight_bytes_are_rounded_as_in_redis() {
    let mut interpreter = Interpreter::new(Purpose::Scripts, About::default());
    for (format, bytes, first, again) in [
        ("T", r"('\255'):rep(8)", "18446744073709551616", "0"),
        (">T", r"('\255'):rep(8)", "18446744073709551616", "0"),
        ("l", r"('\255'):rep(7) .. '\127'", "9223372036854775808", "-9223372036854775808"),
        ("I7", r"('\255'):rep(7)", "72057594037927936", "0"),
        ("i7", r"('\255'):rep(6) .. '\127'", "36028797018963968", "-36028797018963968"),
        ("I9", r"('\255'):rep(9)", "18446744073709551616", "0"),
        ("i16", r"('\254'):rep(16)", "-72340172838076672", "-72340172838076672"),
    ] {
        let text = format!(
            "local first = struct.unpack('{format}', {bytes}) \
             local again = struct.unpack('{format}', (struct.pack('{format}', first))) \
             return {{string.format('%.0f', first), string.format('%.0f', again)}}"
        );
        let answer = answer_of(&mut interpreter, &mut Counter::default(), &text);
        let bulk = |it: &str| format!("${}|{it}|", it.len());
        assert_eq!(answer, format!("*2|{}{}", bulk(first), bulk(again)), "{format}");
    }
}
