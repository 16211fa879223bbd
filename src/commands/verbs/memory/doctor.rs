//! What a look at memory finds: MEMORY DOCTOR.

use crate::base::size::format_size;

const MB: u64 = 1 << 20;
/// Below this nothing is worth a word.
const WORTH_BYTES: u64 = 5 * MB;
/// So many buffered bytes a client are many.
const BUFFERED_MAX: u64 = 200 << 10;
/// So many scripts are many.
const SCRIPTS_MAX: usize = 1000;

/// What it looks at, in bytes where nothing else is said.
#[derive(Clone, Copy, Default, Debug)]
pub struct Facts {
    /// Allocated.
    pub used: u64,
    /// The most that was.
    pub peak: u64,
    /// Given by the machine.
    pub resident: u64,
    /// What the machine has.
    pub machine: u64,
    /// The limit; 0 without one.
    pub limit: u64,
    /// Milliseconds for which more than the limit has been used.
    pub exceeded_ms: u64,
    /// Kept for snapshots.
    pub kept: u64,
    /// Buffers of clients.
    pub buffered: u64,
    /// How many clients.
    pub clients: u64,
    /// How many scripts.
    pub scripts: usize,
}

/// A line for each thing to look at.
pub fn findings(facts: &Facts) -> Vec<String> {
    let Facts { used, peak, resident, machine, limit, .. } = *facts;
    let mut found = Vec::new();
    if limit != 0 && facts.exceeded_ms != 0 {
        found.push(format!(
            "maxmemory: {} are used of {}, and have been for {} ms. No key may go under \
             maxmemory-policy, or more is written than maxmemory-eviction-tenacity lets go.",
            format_size(used),
            format_size(limit),
            facts.exceeded_ms
        ));
    }
    if used < WORTH_BYTES {
        return found;
    }
    if limit == 0 && machine / 10 * 8 < resident {
        found.push(format!(
            "limit: {} of the machine's {} are in use, and maxmemory is not set.",
            format_size(resident),
            format_size(machine)
        ));
    }
    if used / 2 * 3 < peak {
        found.push(format!(
            "peak: there were {} in use once, and {} are now. What was freed may not all have gone \
             back to the system.",
            format_size(peak),
            format_size(used)
        ));
    }
    if used / 10 * 14 < resident && used + 10 * MB < resident {
        found.push(format!(
            "fragmentation: the system has given {} for {} in use. MEMORY PURGE gives back what it \
             can.",
            format_size(resident),
            format_size(used)
        ));
    }
    if BUFFERED_MAX < facts.buffered / facts.clients.max(1) {
        found.push(format!(
            "clients: {} wait in the buffers of {} clients. CLIENT LIST says whose they are, and \
             maxmemory-clients bounds them.",
            format_size(facts.buffered),
            facts.clients
        ));
    }
    if used / 10 < facts.kept {
        found.push(format!(
            "snapshots: {} are kept until snapshots are done.",
            format_size(facts.kept)
        ));
    }
    if SCRIPTS_MAX < facts.scripts {
        found.push(format!(
            "scripts: {} are cached. Scripts that differ in what could be an argument fill memory.",
            facts.scripts
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_well_is_not_mentioned_and_each_ill_has_its_word() {
        let well = Facts {
            used: 100 * MB,
            peak: 120 * MB,
            resident: 110 * MB,
            machine: 1000 * MB,
            clients: 3,
            ..Facts::default()
        };
        assert_eq!(findings(&well), Vec::<String>::new());
        let ills = [
            ("maxmemory", Facts { limit: 90 * MB, exceeded_ms: 7, ..well }),
            ("limit", Facts { machine: 120 * MB, ..well }),
            ("peak", Facts { peak: 200 * MB, ..well }),
            ("fragmentation", Facts { resident: 200 * MB, ..well }),
            ("clients", Facts { buffered: 4 * MB, ..well }),
            ("snapshots", Facts { kept: 20 * MB, ..well }),
            ("scripts", Facts { scripts: 2000, ..well }),
        ];
        for (word, ill) in ills {
            let found = findings(&ill);
            assert!(found.len() == 1 && found[0].starts_with(&format!("{word}: ")), "{found:?}");
        }
        let small = Facts { used: MB, peak: 9 * MB, resident: 90 * MB, ..well };
        assert!(findings(&small).is_empty());
    }
}
