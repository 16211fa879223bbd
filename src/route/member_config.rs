//! What an operator says of a member: its name, its tags, its zone, and whom it serves.

use crate::base::limits::{MEMBER_TAGS_MAX, MEMBER_WORD_BYTES_MAX, REPLICAS_MAX};
use crate::base::remote_address::RemoteAddress;
use std::fmt;

/// A member as an operator describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberConfig {
    /// Its name, which no other member has in any case of letters.
    pub name: String,
    /// What routes may call it and others like it.
    pub tags: Vec<String>,
    /// Where it is: of real servers those of our own zone are read first.
    pub zone: Option<String>,
    /// It serves reads only of routes whose `members` names it or one of its tags.
    pub dedicated: bool,
    /// How much of the reads a real server is to have, beside others.
    pub weight: u32,
    /// Where it is, if it is a real server; a hosted one is here.
    pub address: Option<RemoteAddress>,
}

impl MemberConfig {
    /// What names, tags and zones look like, for refusals.
    pub const WORD_ACCEPTED: &str =
        "1 to 64 letters, digits, \"-\", \"_\" and \".\", like \"reports\"";
    /// The greatest weight.
    pub const WEIGHT_MAX: u32 = 1000;
    /// The word that stands where a name stands when a member is added.
    const ADD: &str = "add";

    /// The member at this place that nobody has described: `n1`, `n2`, … by its place.
    pub fn unnamed(index: usize) -> MemberConfig {
        let name = MemberConfig::default_name(index);
        MemberConfig {
            name,
            tags: Vec::new(),
            zone: None,
            dedicated: false,
            weight: 1,
            address: None,
        }
    }

    /// A master and this many replicas that nobody has described.
    pub fn all_unnamed(replicas: usize) -> Vec<MemberConfig> {
        (0..=replicas).map(MemberConfig::unnamed).collect()
    }

    /// The name of the member at this place unless it is given another.
    pub fn default_name(index: usize) -> String {
        format!("n{}", index + 1)
    }

    /// Whether this can be a name, a tag or a zone: never `tag:…`, and safe in every list and
    /// label.
    pub fn is_word(text: &str) -> bool {
        let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"-_.".contains(&it);
        (1..=MEMBER_WORD_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain)
    }

    /// Why a member at this place cannot be like this beside others of these names, if so.
    pub fn clashes<'a>(
        &self,
        index: usize,
        others: impl Iterator<Item = &'a str>,
    ) -> Option<String> {
        let name = &self.name;
        if name.eq_ignore_ascii_case(MemberConfig::ADD) {
            return Some(format!("the member name `{name}` is a word of PROXY NODE"));
        }
        let mut others = others;
        if others.any(|it| it.eq_ignore_ascii_case(name)) {
            return Some(format!("the member name `{name}` is taken"));
        }
        if let Some(place) = place_of_default(name).filter(|it| *it != index) {
            return Some(format!("the member name `{name}` is kept for the {}", Nth(place)));
        }
        (MEMBER_TAGS_MAX < self.tags.len())
            .then(|| format!("member `{name}` has more than {MEMBER_TAGS_MAX} tags"))
    }
}

/// The place whose member has this name unless it is given another.
fn place_of_default(name: &str) -> Option<usize> {
    let number: usize = name.strip_prefix(['n', 'N'])?.parse().ok()?;
    let index = number.checked_sub(1).filter(|it| *it <= REPLICAS_MAX)?;
    MemberConfig::default_name(index).eq_ignore_ascii_case(name).then_some(index)
}

/// A member by its place, in words.
struct Nth(usize);

impl fmt::Display for Nth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("first member"),
            1 => f.write_str("second member"),
            2 => f.write_str("third member"),
            at => write!(f, "{}th member", at + 1),
        }
    }
}

/// `reports (tag:analytics, zone a, dedicated)`; a name alone when there is nothing to add.
impl fmt::Display for MemberConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut notes: Vec<String> = self.tags.iter().map(|it| format!("tag:{it}")).collect();
        notes.extend(self.zone.as_ref().map(|it| format!("zone {it}")));
        notes.extend(self.address.as_ref().map(|it| format!("at {it}")));
        notes.extend(self.dedicated.then(|| "dedicated".to_owned()));
        if notes.is_empty() {
            return f.write_str(&self.name);
        }
        write!(f, "{} ({})", self.name, notes.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> MemberConfig {
        MemberConfig { name: name.to_owned(), ..MemberConfig::unnamed(0) }
    }

    #[test]
    fn words_are_plain_and_short() {
        let long = "x".repeat(MEMBER_WORD_BYTES_MAX);
        for good in ["reports", "n3", "eu-west_1.a", "7", long.as_str()] {
            assert!(MemberConfig::is_word(good), "{good}");
        }
        for bad in ["", "tag:a", "a b", "é", "a,b", &format!("{long}x")] {
            assert!(!MemberConfig::is_word(bad), "{bad}");
        }
    }

    #[test]
    fn a_name_is_given_once_and_default_names_belong_to_their_places() {
        let clash = |name: &str, index| named(name).clashes(index, ["n1", "Reports"].into_iter());
        assert_eq!(clash("reports", 2).unwrap(), "the member name `reports` is taken");
        assert_eq!(clash("n2", 2).unwrap(), "the member name `n2` is kept for the second member");
        assert_eq!(clash("N65", 2).unwrap(), "the member name `N65` is kept for the 65th member");
        assert_eq!(clash("Add", 2).unwrap(), "the member name `Add` is a word of PROXY NODE");
        for free in ["n3", "n03", "n0", "n102", "n", "north", "report"] {
            assert_eq!(clash(free, 2), None, "{free}");
        }
    }

    #[test]
    fn a_member_is_shown_with_all_that_is_said_of_it() {
        let member = MemberConfig {
            tags: vec!["analytics".into(), "big".into()],
            zone: Some("a".into()),
            dedicated: true,
            ..named("reports")
        };
        assert_eq!(member.to_string(), "reports (tag:analytics, tag:big, zone a, dedicated)");
        let names: Vec<String> =
            MemberConfig::all_unnamed(2).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["n1", "n2", "n3"]);
    }

    #[test]
    fn a_member_has_as_many_tags_as_may_be_and_no_more() {
        let clash = |count: usize| {
            let tags = (0..count).map(|it| format!("t{it}")).collect();
            MemberConfig { tags, ..named("reports") }.clashes(1, ["n1"].into_iter())
        };
        assert_eq!(clash(MEMBER_TAGS_MAX), None);
        assert!(clash(MEMBER_TAGS_MAX + 1).is_some_and(|it| it.contains("more than")));
    }
}
