//! The log as an operator wants it: what is worth a line, how lines are written, and where.

/// Redis' log levels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// A lot.
    Verbose,
    /// What production wants.
    #[default]
    Notice,
    /// Only what needs a human.
    Warning,
}

impl LogLevel {
    /// All of them with Redis' names.
    pub const ALL: [(LogLevel, &str); 4] = [
        (LogLevel::Debug, "debug"),
        (LogLevel::Verbose, "verbose"),
        (LogLevel::Notice, "notice"),
        (LogLevel::Warning, "warning"),
    ];

    /// The lines it lets through.
    pub fn filter(self) -> log::LevelFilter {
        match self {
            LogLevel::Debug => log::LevelFilter::Trace,
            LogLevel::Verbose => log::LevelFilter::Debug,
            LogLevel::Notice => log::LevelFilter::Info,
            LogLevel::Warning => log::LevelFilter::Warn,
        }
    }

    /// Redis' name.
    pub fn as_str(self) -> &'static str {
        LogLevel::ALL[self as usize].1
    }
}

/// How the log is written, and where.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Log {
    /// The form of its lines.
    pub format: LogFormat,
    /// The path of its file; empty for stderr.
    pub file: String,
}

/// The form of the log's lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogFormat {
    /// A time, a level, and `name=value` pairs: for people.
    #[default]
    Text,
    /// An object of JSON on each line: for programs.
    Json,
}

impl LogFormat {
    /// Both of them with their names.
    pub const ALL: [(LogFormat, &str); 2] = [(LogFormat::Text, "text"), (LogFormat::Json, "json")];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        LogFormat::ALL[self as usize].1
    }
}
