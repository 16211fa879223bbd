//! What Redis knows and is not built here: names, and what is said of them behind Redis' own text.

/// Names of commands, `CONTAINER|SUBCOMMAND` for a subcommand, by what is said of them.
const UNBUILT: &[(&str, &[&str])] = &[
    ("there is no debugger of scripts", &["SCRIPT|DEBUG"]),
    ("there are no modules", &["MODULE"]),
    ("there is no cluster mode", &["RESTORE-ASKING"]),
];

/// What is said of a command of Redis that is not built here; `None` of any other name.
#[cold]
pub fn unbuilt(name: &str) -> Option<&'static str> {
    let is_it = |it: &&(&str, &[&str])| it.1.iter().any(|it| it.eq_ignore_ascii_case(name));
    UNBUILT.iter().find(is_it).map(|it| it.0)
}

/// All names.
#[cfg(test)]
pub fn all() -> impl Iterator<Item = &'static str> {
    UNBUILT.iter().flat_map(|it| it.1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_any_case_and_stands_once() {
        assert_eq!(unbuilt("module"), Some("there are no modules"));
        assert_eq!(unbuilt("script|debug"), Some("there is no debugger of scripts"));
        assert_eq!((unbuilt("GET"), unbuilt("MODULES")), (None, None));
        let mut names: Vec<&str> = all().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
