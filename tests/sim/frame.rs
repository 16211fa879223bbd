//! Replies as a client reads them.

/// One reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    Simple(String),
    Error(String),
    Int(i64),
    /// `None` is nil.
    Bulk(Option<String>),
    /// `None` is nil.
    Array(Option<Vec<Frame>>),
    /// Belongs to no request, but for what says that somebody has subscribed.
    Push(Vec<Frame>),
}

impl Frame {
    /// The first reply in `bytes`, and how long it is; `None` when it is not all there. What is
    /// pushed in the midst of it is added to `pushes`.
    pub fn parse(bytes: &[u8], pushes: &mut Vec<Frame>) -> Option<(Frame, usize)> {
        let end = bytes.windows(2).position(|it| it == b"\r\n")?;
        let (line, mut used) = (String::from_utf8_lossy(&bytes[1..end]).into_owned(), end + 2);
        let len = || line.parse::<i64>().expect("a length");
        let frame = match bytes[0] {
            b'+' => Frame::Simple(line),
            b'-' => Frame::Error(line),
            b':' => Frame::Int(len()),
            b'_' => Frame::Bulk(None),
            b',' => Frame::Bulk(Some(line)),
            b'$' if len() < 0 => Frame::Bulk(None),
            b'$' => {
                let body = bytes.get(used..used + len() as usize + 2)?;
                used += body.len();
                Frame::Bulk(Some(String::from_utf8_lossy(&body[..body.len() - 2]).into_owned()))
            }
            b'*' if len() < 0 => Frame::Array(None),
            kind @ (b'*' | b'>' | b'%') => {
                let (mut all, words) = (Vec::new(), if kind == b'%' { 2 } else { 1 });
                while all.len() < words * len() as usize {
                    let (frame, more) = Frame::parse(&bytes[used..], pushes)?;
                    used += more;
                    match frame {
                        Frame::Push(_) => pushes.push(frame),
                        _ => all.push(frame),
                    }
                }
                if kind == b'>' { Frame::Push(all) } else { Frame::Array(Some(all)) }
            }
            other => panic!("no reply begins with {}", other.escape_ascii()),
        };
        Some((frame, used))
    }

    /// A string.
    pub fn bulk(text: &str) -> Frame {
        Frame::Bulk(Some(text.to_owned()))
    }

    /// The text of a string.
    pub fn text(&self) -> Option<&str> {
        match self {
            Frame::Bulk(text) => text.as_deref(),
            _ => None,
        }
    }

    /// All strings that are in it.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Frame::Array(Some(all)) => all.iter().flat_map(Frame::texts).collect(),
            other => other.text().into_iter().collect(),
        }
    }

    /// Whether it is nil, as either protocol says it.
    pub fn is_nil(&self) -> bool {
        matches!(self, Frame::Bulk(None) | Frame::Array(None))
    }

    /// Whether it is `+OK`, with or without more to say.
    pub fn is_granted(&self) -> bool {
        matches!(self, Frame::Simple(it) if it == "OK" || it.starts_with("OK, "))
    }

    /// Whether it is `+OK`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Frame::Simple(it) if it == "OK")
    }

    /// Whether it is an error with this code.
    pub fn is_error(&self, code: &str) -> bool {
        matches!(self, Frame::Error(it) if it.split(' ').next() == Some(code))
    }

    /// What the trace says of it. Without what depends on the machine's clock.
    pub fn told(&self) -> String {
        match self {
            Frame::Simple(it) => it.clone(),
            Frame::Error(it) => it.split("eta_ms").next().unwrap_or_default().to_owned(),
            Frame::Int(it) => format!(":{it}"),
            Frame::Bulk(None) | Frame::Array(None) => "nil".to_owned(),
            // A token names a history, and those have no seed.
            Frame::Bulk(Some(it)) if 60 < it.len() && !it.contains("xx") => "…".to_owned(),
            Frame::Bulk(Some(it)) => it.chars().take(8).collect(),
            Frame::Array(Some(all)) => {
                format!("[{}]", all.iter().map(Frame::told).collect::<Vec<_>>().join(" "))
            }
            Frame::Push(_) => "push".to_owned(),
        }
    }
}
