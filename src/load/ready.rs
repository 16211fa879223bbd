//! The ready scenarios, which lie in config/load/ and in the program.

/// Name and text.
macro_rules! scenario {
    ($name:literal) => {
        ($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/config/load/", $name, ".toml")))
    };
}

/// Name and text of each.
pub const READY: [(&str, &str); 12] = [
    scenario!("session-store"),
    scenario!("cache"),
    scenario!("counters"),
    scenario!("leaderboard"),
    scenario!("write-burst"),
    scenario!("job-queue"),
    scenario!("ycsb-a"),
    scenario!("ycsb-b"),
    scenario!("ycsb-c"),
    scenario!("ycsb-d"),
    scenario!("ycsb-e"),
    scenario!("ycsb-f"),
];

/// The text of the one of this name.
pub fn ready(name: &str) -> Option<&'static str> {
    READY.iter().find(|it| it.0 == name).map(|it| it.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::scenario::Scenario;
    use crate::load::settings::Settings;

    #[test]
    fn ready_scenarios_are_sound() {
        for (name, text) in READY {
            let settings = Settings::read(name, text).unwrap();
            let scenario = Scenario::new(settings).unwrap();
            assert_eq!(scenario.name, name);
            assert!(scenario.settings.about.is_some(), "{name}");
        }
    }
}
