//! PROXY STATS: service times by route, member and command, staleness served, waits.

use super::House;
use super::info::command_names;
use crate::metrics::render::{self, Names};
use crate::route::StepKind;

/// The text.
pub fn stats(house: &House) -> String {
    let (settings, roster) = (house.settings(), house.set.roster());
    let names = Names {
        commands: &command_names(),
        routes: &settings.routes.all().iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        members: &roster.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        ladder: &StepKind::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>(),
    };
    render::stats(&house.snapshot(), &names)
}
