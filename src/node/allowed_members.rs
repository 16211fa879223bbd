//! Which members may serve the reads of each route, worked out once for all connections.

use super::member::Member;
use super::member_state::MemberFlags;
use super::replica_set::MemberList;
use crate::base::ids::RouteId;
use crate::route::{Allowed, MemberConfig, Routes};

/// By route number, the members that may serve its reads; `None` for a route that all may serve.
pub struct AllowedMembers(Box<[Option<Allowed>]>);

/// A member as routes see it. One that was removed is called nothing and serves nobody.
fn of_routes(member: &Member) -> MemberConfig {
    if member.is(MemberFlags::REMOVED) {
        let (name, tags) = (String::new(), Vec::new());
        return MemberConfig { name, tags, zone: None, dedicated: true, weight: 1, address: None };
    }
    member.described()
}

impl AllowedMembers {
    /// What these routes come to with these members; `None` when every member may serve every
    /// route.
    pub fn of(routes: &Routes, member_list: &MemberList) -> Option<AllowedMembers> {
        let all: Vec<_> = member_list.iter().map(|it| (it.id, of_routes(it))).collect();
        let members =
            || all.iter().map(|(id, it)| (*id, it.name.as_str(), it.tags.as_slice(), it.dedicated));
        let allowed: Box<[_]> = routes.all().iter().map(|it| it.allowed(members())).collect();
        allowed.iter().any(Option::is_some).then_some(AllowedMembers(allowed))
    }

    /// The members that may serve reads of this route, unless all may.
    pub fn on(&self, route: RouteId) -> Option<Allowed> {
        self.0[route.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::MemberId;
    use crate::base::position::{Offset, Position, ReplId};
    use crate::base::time::MonoUs;
    use crate::engine::Thresholds;
    use crate::node::ReplicaSet;
    use crate::route::{Level, Route, Selector};

    fn member(name: &str, tags: &[&str], dedicated: bool) -> MemberConfig {
        let tags = tags.iter().map(|it| it.to_string()).collect();
        MemberConfig { name: name.into(), tags, zone: None, dedicated, weight: 1, address: None }
    }

    /// What the default route and one route for each of these lists come to.
    fn allowed(members: &[MemberConfig], routes: &[&[&str]]) -> Option<Vec<Option<Vec<usize>>>> {
        let set = ReplicaSet::with_members(
            Position { replid: ReplId::new([7; 20]), offset: Offset::ZERO },
            members,
            1,
            Thresholds::default(),
            1 << 20,
            1 << 20,
        );
        let route = |entries: &&[&str]| Route {
            members: entries.iter().map(|it| Selector::parse(it)).collect(),
            ..Route::default()
        };
        let routes =
            Routes::new(Level::Sticky, Route::default(), routes.iter().map(route).collect());
        let found = AllowedMembers::of(&routes, &set.member_list())?;
        let places = |it: u16| {
            found.on(RouteId(it)).map(|it| it.places.iter().map(MemberId::index).collect())
        };
        Some((0..routes.all().len() as u16).map(places).collect())
    }

    #[test]
    fn nothing_is_kept_where_every_member_may_serve_every_route() {
        let members = [member("a", &["x"], false), member("b", &["x"], false)];
        assert_eq!(allowed(&members, &[]), None);
        assert_eq!(allowed(&members, &[&[]]), None);
    }

    #[test]
    fn a_dedicated_member_serves_those_that_name_it_and_nobody_else() {
        let members = [
            member("a", &[], false),
            member("b", &["big"], false),
            member("c", &["big"], true),
            member("d", &[], true),
        ];
        let found = allowed(&members, &[&["tag:big"], &["d"], &["A", "tag:BIG"], &["b"]]).unwrap();
        let expected: [&[usize]; 5] = [&[0, 1], &[1, 2], &[3], &[0, 1, 2], &[1]];
        assert_eq!(found, expected.map(|it| Some(it.to_vec())));
    }

    #[test]
    fn a_member_that_is_added_is_described_and_its_name_is_its_own() {
        let set = ReplicaSet::with_members(
            Position { replid: ReplId::new([7; 20]), offset: Offset::ZERO },
            &[member("a", &[], false), member("b", &[], false)],
            1,
            Thresholds::default(),
            1 << 20,
            1 << 20,
        );
        let add = |name: &str| set.add_member(|_| member(name, &["x"], true), MonoUs(1));
        assert_eq!(add("B").err().unwrap(), "the member name `B` is taken");
        assert_eq!(add("n9").err().unwrap(), "the member name `n9` is kept for the 9th member");
        assert_eq!(set.member_list().len(), 2);
        let added = add("c").unwrap_or_else(|it| panic!("{it}"));
        assert_eq!((added.name.as_str(), added.is_dedicated(), added.id), ("c", true, MemberId(2)));
        assert_eq!(set.add_replica(MonoUs(1)).unwrap().name, "n4");
        let routes = Routes::default();
        let found = AllowedMembers::of(&routes, &set.member_list()).unwrap();
        assert_eq!(
            found.on(RouteId::DEFAULT).unwrap().places.iter().collect::<Vec<_>>(),
            [0, 1, 3].map(MemberId)
        );
    }

    #[test]
    fn a_route_that_names_nobody_is_served_by_all_where_no_member_is_dedicated() {
        let members = [member("a", &[], false), member("b", &["x"], false)];
        assert_eq!(allowed(&members, &[&["tag:x"]]).unwrap(), [None, Some(vec![1])]);
    }
}
