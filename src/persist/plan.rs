//! What there is in a directory, and what of it is loaded.

use super::manifest::{AofNames, Manifest};

/// What a directory holds.
#[derive(Clone, Default, Debug)]
pub struct Found {
    /// The text of the manifest, if there is one.
    pub manifest: Option<String>,
    /// The names beside it.
    pub beside: Vec<String>,
    /// Whether there is an append-only file without parts, as before Redis 7.
    pub has_single_aof: bool,
    /// Whether there is a snapshot.
    pub has_snapshot: bool,
}

/// What is loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Plan {
    /// Nothing: there is nothing.
    Nothing,
    /// The snapshot.
    Snapshot,
    /// The append-only file without parts.
    SingleAof,
    /// The parts of the append-only file.
    Aof(Manifest),
}

/// What of a directory is loaded. The append-only file is what is newer, where it is kept; where
/// there is none yet, it begins with what the snapshot holds. `Err` says why nothing can be.
pub fn plan(found: &Found, names: &AofNames, has_aof: bool) -> Result<Plan, String> {
    let snapshot = || if found.has_snapshot { Plan::Snapshot } else { Plan::Nothing };
    if !has_aof {
        return Ok(snapshot());
    }
    let Some(text) = &found.manifest else {
        return Ok(if found.has_single_aof { Plan::SingleAof } else { snapshot() });
    };
    let file = names.manifest();
    let manifest = Manifest::parse(text).map_err(|it| format!("{file}: {it}"))?;
    let is_missing = |name: &&str| !found.beside.iter().any(|it| it == name);
    let missing: Vec<&str> =
        manifest.parts().map(|it| it.name.as_str()).filter(is_missing).collect();
    if !missing.is_empty() {
        return Err(format!("{file} names what is not there: {}", missing.join(", ")));
    }
    Ok(Plan::Aof(manifest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_append_only_file_comes_first_where_it_is_kept() {
        let names = AofNames::new("a");
        let manifest = Manifest::default().replaced(names.base(1), names.incr(1));
        let mut found = Found { has_snapshot: true, has_single_aof: true, ..Found::default() };
        assert_eq!(plan(&found, &names, false), Ok(Plan::Snapshot));
        assert_eq!(plan(&found, &names, true), Ok(Plan::SingleAof));
        found.manifest = Some(manifest.text());
        let why = plan(&found, &names, true).unwrap_err();
        assert_eq!(why, "a.manifest names what is not there: a.1.base.rdb, a.1.incr.aof");
        found.beside = vec!["a.1.base.rdb".into(), "a.1.incr.aof".into(), "other".into()];
        assert_eq!(plan(&found, &names, true), Ok(Plan::Aof(manifest)));
        assert_eq!(plan(&Found::default(), &names, true), Ok(Plan::Nothing));
        let snapshot = Found { has_snapshot: true, ..Found::default() };
        assert_eq!(plan(&snapshot, &names, true), Ok(Plan::Snapshot));
    }
}
