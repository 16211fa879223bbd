//! Tags of replies: an attribute in front of a reply that says where it comes from (PROXY TAG).

use super::batch::BatchContext;
use super::call::{Call, Tag};
use super::caller::Caller;
use crate::commands::verbs::once::token_of;
use crate::node::Member;
use crate::resp::{Mark, Reply};
use crate::route::Reason;
use crate::session::Tags;

impl Caller {
    /// Remembers where the reply at hand comes from, for a client that wants to know.
    #[cold]
    pub fn came_from(
        &self,
        member: &Member,
        because: Reason,
        call: &mut Call<'_>,
        context: &BatchContext<'_, '_>,
    ) {
        let behind_bytes = context.set.head().since(member.applied());
        let behind_us = match behind_bytes {
            0 => 0,
            _ => context.set.behind_us(member, context.now),
        };
        call.tag = Some(Tag { member: member.id, because, behind_bytes, behind_us });
    }

    /// Puts the tag, if the reply since `mark` is to have one, in front of it.
    #[cold]
    pub fn put_tag(&mut self, tag: Option<Tag>, mark: Mark) {
        let Some(tag) = tag else { return };
        let name = &self.server.set.member(tag.member).name;
        match self.session.tags {
            Tags::Stale if tag.because == Reason::StaleAllowed => {
                self.replies.out.close(mark, |it| {
                    it.attribute(4);
                    it.bulk(b"stale");
                    it.boolean(true);
                    tag.tell(name, it);
                });
            }
            Tags::Off | Tags::Stale => {}
            Tags::All => {
                let token = token_of(&self.server, &self.session);
                self.replies.out.close(mark, |it| {
                    it.attribute(5);
                    it.bulk(b"because");
                    it.bulk(tag.because.as_str().as_bytes());
                    tag.tell(name, it);
                    it.bulk(b"token");
                    it.bulk(token.as_bytes());
                });
            }
        }
    }
}

impl Tag {
    fn tell(&self, name: &str, reply: &mut Reply) {
        reply.bulk(b"member");
        reply.bulk(name.as_bytes());
        reply.bulk(b"behind-bytes");
        reply.int(self.behind_bytes as i64);
        reply.bulk(b"behind-us");
        reply.int(i64::try_from(self.behind_us).unwrap_or(-1));
    }
}
