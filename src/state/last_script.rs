//! Scripts by their text or their name, and the one that a worker ran last: the next is often the
//! same, and to name a text takes longer than to compare it.

use super::scripting::Scripting;
use crate::script::{ErrorText, Script, Sha, sha1hex};

/// A script that was known when so many had been forgotten.
pub struct LastScript {
    sha: Sha,
    script: Script,
    removals: u64,
}

impl LastScript {
    /// Whether nothing has been forgotten since, and it is the one that is asked for.
    fn is(&self, removals: u64, known: &[u8], asked: &[u8]) -> bool {
        self.removals == removals && known == asked
    }

    fn found(&self) -> (Sha, Script) {
        (self.sha, self.script.clone())
    }
}

impl Scripting {
    /// The script of this text. It is known from here on, if it compiles.
    pub fn by_text(
        &self,
        text: &[u8],
        last: &mut Option<LastScript>,
    ) -> Result<(Sha, Script), ErrorText> {
        // Before it is looked for: what is forgotten meanwhile is looked for the next time.
        let removals = self.removals();
        if let Some(last) = last.as_ref().filter(|it| it.is(removals, &it.script.text, text)) {
            return Ok(last.found());
        }
        let sha = sha1hex(text);
        let known = self.scripts.read().find(&sha).map(|(_, it)| it.clone());
        let (script, removals) = match known {
            Some(script) => (script, removals),
            None => {
                self.compile(&sha, text)?;
                self.note(text).map_err(String::into_bytes)?
            }
        };
        Ok(last.insert(LastScript { sha, script, removals }).found())
    }

    /// The script of this SHA-1, in either case.
    pub fn by_sha(&self, name: &[u8], last: &mut Option<LastScript>) -> Option<(Sha, Script)> {
        let removals = self.removals();
        if let Some(last) = last.as_ref().filter(|it| it.is(removals, &it.sha, name)) {
            return Some(last.found());
        }
        let scripts = self.scripts.read();
        let (sha, script) = scripts.find(name)?;
        Some(last.insert(LastScript { sha, script: script.clone(), removals }).found())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_is_found_no_more_though_it_ran_last() {
        let (scripting, mut last) = (Scripting::default(), None);
        let (sha, script) = scripting.by_text(b"return 1", &mut last).unwrap();
        assert_eq!(*script.text, *b"return 1");
        assert_eq!(scripting.by_sha(&sha, &mut last).unwrap().0, sha);
        scripting.flush();
        assert!(scripting.by_sha(&sha, &mut last).is_none());
        scripting.by_text(b"return 1", &mut last).unwrap();
        assert!(scripting.scripts.read().find(&sha).is_some(), "it is known again");
        let (other, _) = scripting.by_text(b"return 2", &mut last).unwrap();
        assert_eq!(scripting.by_sha(&sha.to_ascii_uppercase(), &mut last).unwrap().0, sha);
        assert_eq!(scripting.by_sha(&other, &mut last).unwrap().0, other);
    }

    #[test]
    fn what_does_not_compile_is_not_known() {
        let (scripting, mut last) = (Scripting::default(), None);
        for _ in 0..2 {
            assert!(scripting.by_text(b"return +", &mut last).is_err());
        }
        assert!(scripting.scripts.read().is_empty());
    }
}
