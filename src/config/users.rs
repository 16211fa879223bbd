//! The tables `[[user]]` as written, and what is wrong with them, told without passwords.

use super::leaf::{Leaf, Many, RuleText};
use super::outside::Outside;
use super::place::Wrong;
use super::tree::Config;
use super::user_table::UserTable;
use crate::acl::{UsersFault, is_user_name};
use serde::Deserialize;
use std::collections::HashSet;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawUser {
    name: Spanned<Leaf<String>>,
    rules: Spanned<Many<RuleText>>,
}

const NAME_ACCEPTED: &str = "a name without spaces, in quotes";

/// The users of a file whose other settings are `config`'s.
pub fn users(
    raw: Vec<RawUser>,
    config: &Config,
    outside: &Outside<'_>,
) -> Result<Vec<UserTable>, Wrong> {
    let mut users = Vec::new();
    let mut names = HashSet::new();
    for RawUser { name, rules } in raw {
        let (at, rules_at) = (name.span(), rules.span());
        let name = name.into_inner().0;
        if !is_user_name(&name) {
            return Err(Wrong::value(at, NAME_ACCEPTED.to_owned()));
        }
        if !names.insert(name.clone()) {
            return Err(Wrong::says(at, format!("Duplicate user `{name}`: each has one [[user]]")));
        }
        let table = UserTable { name, rules: words(rules.into_inner()) };
        if let Some(catalogue) = outside.catalogue {
            let made = table.user(catalogue, config.hears_all());
            made.map_err(|why| Wrong::says(rules_at, told(&table.name, &why)))?;
        }
        users.push(table);
    }
    Ok(users)
}

/// A text is rules with spaces between them; in a list each entry is one rule.
fn words(rules: Many<RuleText>) -> Vec<String> {
    let is_list = rules.entries.iter().any(|it| it.0.is_some());
    let rules: Vec<String> = rules.bare().into_iter().map(|it| it.0).collect();
    if is_list {
        return rules;
    }
    rules.iter().flat_map(|it| it.split_whitespace()).map(str::to_owned).collect()
}

/// Only rules that cannot hold a password are repeated.
fn told(name: &str, why: &UsersFault) -> String {
    let shown = |rule: &str| match rule.starts_with(['+', '-', '~', '%', '&', '(']) {
        true => format!("`{rule}`"),
        false => "(hidden)".to_owned(),
    };
    match why {
        UsersFault::Unclosed(rule) => {
            format!("user `{name}`: nothing closes the parenthesis of rule {}", shown(rule))
        }
        UsersFault::Rule(rule, why) => format!("user `{name}`: rule {}: {why}", shown(rule)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::{Catalogue, Categories, Listed};

    fn parse(text: &str) -> Result<Config, String> {
        let listed =
            Listed { name: "get".into(), categories: Categories::READ, subcommands: Vec::new() };
        let catalogue = Catalogue::of([listed].into_iter());
        let outside = Outside { catalogue: Some(&catalogue), ..Outside::NOTHING };
        Config::parse_with("e.toml", text, &outside)
    }

    #[test]
    fn rules_are_a_text_of_words_or_a_list_of_rules() {
        let text = "[[user]]\nname = 'a'\nrules = 'on  >p ( ~x +get )'\n\
                    [[user]]\nname = 'default'\nrules = ['on', '>a b', '(~x +get)']\n";
        let users = parse(text).unwrap().users;
        assert_eq!(users[0].rules, ["on", ">p", "(", "~x", "+get", ")"]);
        assert_eq!(users[1].rules, ["on", ">a b", "(~x +get)"]);
        assert!(!users[0].is_default() && users[1].is_default());
        assert!(!format!("{users:?}").contains(">p"));
        let none = Catalogue::of(std::iter::empty());
        let user = users[1].user(&none, false);
        assert!(user.is_err(), "GET is not known there");
    }

    #[test]
    fn what_is_wrong_with_a_user_is_told_without_its_passwords() {
        for (text, why) in [
            (
                "[[user]]\nname = 'a b'\nrules = ''\n",
                "2: user.name = 'a b' is not accepted; write ",
            ),
            ("[[user]]\nname = 'a'\n", "1: missing key `rules`"),
            ("[[user]]\nname = 'a'\nrules = 5\n", "3: user.rules = (hidden) is not accepted"),
            (
                "[[user]]\nname = 'a'\nrules = 'on'\n[[user]]\nname = 'a'\nrules = 'on'\n",
                "5: Duplicate user `a`: each has one [[user]]",
            ),
            (
                "[[user]]\nname = 'a'\nrules = 'on >pw +nosuch'\n",
                "3: user `a`: rule `+nosuch`: Unknown command or category name in ACL",
            ),
            (
                "[[user]]\nname = 'a'\nrules = 'on secret'\n",
                "3: user `a`: rule (hidden): Syntax error",
            ),
            (
                "[[user]]\nname = 'a'\nrules = '(+get secret'\n",
                "3: user `a`: nothing closes the parenthesis of rule `(+get`",
            ),
            (
                "[[user]]\nname = 'a'\nrules = 'on'\npassword = 'x'\n",
                "4: unknown key `password` here: ",
            ),
        ] {
            let told = parse(text).unwrap_err();
            assert!(told.starts_with(&format!("e.toml:{why}")), "{told}");
        }
    }
}
