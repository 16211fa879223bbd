//! What only hosted members can do, in the configuration of real servers.

use super::Config;
use super::locate::Place;
use crate::route::{Acks, Route, Step};

impl Config {
    /// What is said that only hosted members can do, of a set of real servers.
    pub(super) fn upstream_misfit(&self) -> Option<(Place, String)> {
        if self.upstream.is_none() {
            return self.hosted_misfit();
        }
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
            } else {
                return None;
            };
            let place = at.checked_sub(1);
            let place = place.map_or(Place::Consistency(key), |it| Place::Route(it, key));
            Some((place, format!("{what} is for hosted members, and this set's are real servers")))
        };
        routes.into_iter().find_map(misfit)
    }

    /// What is said that only makes sense of real servers, of a hosted set.
    fn hosted_misfit(&self) -> Option<(Place, String)> {
        let at = self.routes.all().iter().position(|it| it.prefers_master)?;
        let key = "prefer-master";
        let place = at.checked_sub(1).map_or(Place::Consistency(key), |it| Place::Route(it, key));
        let why = "prefer-master is for real servers, and this set's members are hosted: its \
                   replicas cost a read nothing more than its master";
        Some((place, why.to_owned()))
    }
}
