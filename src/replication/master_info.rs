//! What a remote master says of its history: a part of its INFO.

use super::psync::LinkFault;
use crate::base::position::{Offset, Position, ReplId, past_of};

/// What asks for it.
pub const ASK_MASTER_INFO: [&[u8]; 2] = [b"INFO", b"replication"];

/// Where its stream stands, and the histories that it went on with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MasterInfo {
    /// Whether it follows nobody.
    pub is_master: bool,
    /// The end of its stream.
    pub at: Position,
    /// The histories before, newest first, each up to where this one shares it. Redis tells of one.
    pub past: Vec<Position>,
    /// What each of its replicas has acknowledged that it has online.
    pub acked: Vec<Offset>,
}

impl MasterInfo {
    /// What the history of this name went on with; nothing is known of it where nothing was told.
    pub fn past_of(told: Option<&Self>, replid: ReplId) -> Result<Vec<Position>, LinkFault> {
        let Some(told) = told else { return Ok(Vec::new()) };
        let past = past_of(told.at.replid, &told.past, replid);
        past.map(<[Position]>::to_vec).ok_or(LinkFault::HistoryChanged)
    }

    /// Reads the reply of INFO, if it is one. `second_repl_offset` is one past the last byte that
    /// is shared.
    pub fn read(reply: &[u8]) -> Option<MasterInfo> {
        let told = String::from_utf8_lossy(reply);
        let field = |name: &str| {
            told.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let replid = |name| ReplId::parse(field(name)?.as_bytes());
        let offset = |name| Some(Offset::new(field(name)?.parse().ok()?));
        let at =
            Position { replid: replid("master_replid")?, offset: offset("master_repl_offset")? };
        let before = || {
            let shared: i64 = field("second_repl_offset")?.parse().ok()?;
            let offset = Offset::new(u64::try_from(shared - 1).ok()?);
            Some(Position { replid: replid("master_replid2")?, offset })
        };
        let all = || {
            let told = field("master_replids_before")?.split(',');
            told.map(|it| Position::parse(it.as_bytes())).collect::<Option<Vec<_>>>()
        };
        let past = all().unwrap_or_else(|| before().into_iter().collect());
        let acked = told.lines().filter_map(|it| {
            let (name, fields) = it.strip_prefix("slave")?.split_once(':')?;
            let is_replica = !name.is_empty() && name.bytes().all(|it| it.is_ascii_digit());
            let field = |name: &str| {
                let mut fields = fields.split(',').filter_map(|it| it.split_once('='));
                fields.find(|it| it.0 == name).map(|it| it.1.trim())
            };
            let is_online = is_replica && field("state") == Some("online");
            Some(Offset::new(field("offset")?.parse().ok()?)).filter(|_| is_online)
        });
        let is_master = field("role") == Some("master");
        Some(MasterInfo { is_master, at, past, acked: acked.collect() })
    }

    /// How many replicas have acknowledged what was written before this; `None` where that is no
    /// part of the master's stream.
    pub fn acked_by(&self, written: Position) -> Option<usize> {
        let is_here = written.replid == self.at.replid
            || self
                .past
                .iter()
                .any(|it| it.replid == written.replid && written.offset <= it.offset);
        is_here.then(|| self.acked.iter().filter(|it| written.offset <= **it).count())
    }

    /// How many bytes of a history that stands at `here` this one does not share; `None` when it
    /// does not know that history.
    pub fn lacks(&self, here: Position) -> Option<u64> {
        let mut shared = std::iter::once(&self.at).chain(&self.past);
        let shared = shared.find(|it| it.replid == here.replid)?;
        Some(here.offset.bytes().saturating_sub(shared.offset.bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_behind_the_place_where_the_histories_part_is_not_shared() {
        let [ours, theirs] = [[0xab; 20], [0xcd; 20]].map(ReplId::new);
        let here = Position { replid: ours, offset: Offset::new(150) };
        let told = |first: ReplId, second: ReplId, shared: i64| {
            let text = format!(
                "role:master\r\nmaster_replid:{first}\r\nmaster_replid2:{second}\r\n\
                 master_repl_offset:170\r\nsecond_repl_offset:{shared}\r\n"
            );
            MasterInfo::read(text.as_bytes()).unwrap()
        };
        assert_eq!(told(theirs, ours, 101).lacks(here), Some(50));
        assert_eq!(told(ours, theirs, 101).lacks(here), Some(0));
        assert_eq!(told(theirs, theirs, 101).lacks(here), None);
        assert_eq!(told(theirs, ReplId::new([0; 20]), -1).past, []);
        assert_eq!(MasterInfo::read(b"role:master\r\n"), None);
    }

    #[test]
    fn replicas_that_are_online_and_have_it_are_counted() {
        let [one, two, three] = [[1; 20], [2; 20], [3; 20]].map(ReplId::new);
        let text = format!(
            "slave0:ip=::1,port=1,state=online,offset=150,lag=0\r\n\
             slave1:ip=::1,port=2,state=wait_bgsave,offset=170,lag=0\r\n\
             slave2:ip=::1,port=3,state=online,offset=160,lag=1\r\nslave_priority:1\r\n\
             master_replid:{one}\r\nmaster_replid2:{two}\r\nmaster_repl_offset:170\r\n\
             second_repl_offset:101\r\n"
        );
        let told = MasterInfo::read(text.as_bytes()).unwrap();
        let acked = |replid, bytes| told.acked_by(Position { replid, offset: Offset::new(bytes) });
        assert_eq!([150, 151, 161].map(|it| acked(one, it)), [Some(2), Some(1), Some(0)]);
        assert_eq!([100, 101].map(|it| acked(two, it)), [Some(2), None]);
        assert_eq!(acked(three, 1), None);
    }

    #[test]
    fn an_entourage_tells_of_more_than_one_history() {
        let [one, two, three] = [[1; 20], [2; 20], [3; 20]].map(ReplId::new);
        let lines = |before: &str| {
            let text = format!(
                "master_replid:{one}\r\nmaster_replid2:{two}\r\nmaster_repl_offset:170\r\n\
                 second_repl_offset:101\r\nmaster_replids_before:{before}\r\n"
            );
            MasterInfo::read(text.as_bytes()).unwrap().past
        };
        let at = |replid, bytes| Position { replid, offset: Offset::new(bytes) };
        let (second, third) = (at(two, 100), at(three, 50));
        assert_eq!(lines(&format!("{second},{third}")), [second, third]);
        assert_eq!(lines(""), [second], "as of Redis");
    }

    #[test]
    fn what_a_history_went_on_with_is_known_of_the_one_that_was_told() {
        let at = |it: u8, offset| {
            let replid = ReplId::new([it; 20]);
            Position { replid, offset: Offset::new(offset) }
        };
        let told =
            MasterInfo { is_master: true, at: at(2, 20), past: vec![at(1, 10)], acked: vec![] };
        let past = |told, it| MasterInfo::past_of(told, ReplId::new([it; 20]));
        assert_eq!(past(None, 2), Ok(vec![]), "nothing was told");
        assert_eq!(past(Some(&told), 2), Ok(vec![at(1, 10)]));
        assert_eq!(past(Some(&told), 9), Err(LinkFault::HistoryChanged));
    }
}
