//! What only hosted members can do, in the configuration of real servers.

use super::Config;
use super::locate::Place;
use crate::route::{Acks, Level, Route, Step};

impl Config {
    /// What is said that only hosted members can do, of a set of real servers.
    pub(super) fn upstream_misfit(&self) -> Option<(Place, String)> {
        self.upstream.as_ref()?;
        if self.set.master.is_some() {
            let why = "set.master is for hosted members, and this set's are real servers: name \
                       the master in a [[member]], or leave set.master out";
            return Some((Place::Set("master"), why.to_owned()));
        }
        let routes = self.routes.all().iter().enumerate();
        let misfit = |(at, route): (usize, &Route)| {
            let (key, what) = if route.ladder.steps().contains(&Step::CatchUp) {
                ("on-lag", "on-lag = \"catch-up\"")
            } else if route.acks == Acks::Fsync {
                ("acks", "acks = \"fsync\"")
            } else if let Some(Level::Bounded { bytes: Some(_), .. }) = route.level {
                ("level", "a level that is bounded in bytes")
            } else {
                return None;
            };
            let place = at.checked_sub(1);
            let place = place.map_or(Place::Consistency(key), |it| Place::Route(it, key));
            Some((place, format!("{what} is for hosted members, and this set's are real servers")))
        };
        let of_default = || match self.routes.default_level() {
            Level::Bounded { bytes: Some(_), .. } => {
                let why = "a level that is bounded in bytes is for hosted members, and this set's \
                           are real servers";
                Some((Place::Consistency("level"), why.to_owned()))
            }
            _ => None,
        };
        routes.into_iter().find_map(misfit).or_else(of_default)
    }
}
