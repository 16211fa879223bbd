//! Tags of replies: an attribute in front of a reply that says where it comes from (PROXY TAG).

use super::caller::Caller;
use crate::base::ids::MemberId;
use crate::commands::verbs::last;
use crate::resp::Mark;
use crate::route::Reason;
use crate::session::{LastReply, Tags};

impl Caller {
    /// Puts the tag, if the reply since `mark` is to have one, in front of it. What the proxy
    /// answers by itself has none.
    #[cold]
    pub fn put_tag(&mut self, mark: Mark) {
        let LastReply { member, because, is_told, .. } = self.session.last;
        if member == MemberId::NONE || is_told {
            return;
        }
        let (server, session) = (&self.server, &self.session);
        match session.tags {
            Tags::Stale if because == Some(Reason::StaleAllowed) => {
                self.replies.out.close(mark, |it| {
                    it.attribute(4);
                    it.bulk(b"stale");
                    it.boolean(true);
                    last::tell_member(server, &session.last, it);
                });
            }
            Tags::Off | Tags::Stale => {}
            Tags::All => {
                self.replies.out.close(mark, |it| {
                    it.attribute(last::FIELDS);
                    last::tell(server, session, self.listener_level, it);
                });
            }
        }
    }
}
