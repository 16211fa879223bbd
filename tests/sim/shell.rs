//! A connection with a socket made of two bounded buffers: what `server/shell.rs` is in the product,
//! one turn at a time.

use entourage::base::ids::{BlockId, SlotId};
use entourage::base::position::Offset;
use entourage::base::random::Random;
use entourage::base::time::{Clock, MonoUs};
use entourage::commands::{BlockOn, Job};
use entourage::node::{Condition, ReplicaSet, Wait};
use entourage::server::connection::{Action, Connection, Event, Why};
use entourage::state::Message;
use std::sync::Arc;

/// A connection and what it is connected to.
pub struct Shell {
    pub connection: Connection,
    /// Bytes on their way in.
    pub inbox: Vec<u8>,
    pub inbox_max: usize,
    /// Bytes that the peer has room for.
    pub outbox_room: usize,
    pub has_hung_up: bool,
    /// The core has heard of that.
    pub has_told_hang_up: bool,
    pub actions: Vec<Action>,
    wait: Option<Wait>,
    /// What the core waits for, if it does.
    blocked_on: Option<BlockOn>,
    /// How much of what is to be sent has been looked at.
    looked: usize,
    /// The beginning of a reply whose end has not been written.
    pub unparsed: Vec<u8>,
}

impl Shell {
    pub fn new(connection: Connection, random: &mut Random) -> Shell {
        Shell {
            connection,
            inbox: Vec::new(),
            inbox_max: 64 + random.below(4000) as usize,
            outbox_room: 4000,
            has_hung_up: false,
            has_told_hang_up: false,
            actions: Vec::new(),
            wait: None,
            blocked_on: None,
            looked: 0,
            unparsed: Vec::new(),
        }
    }

    pub fn id(&self) -> u64 {
        self.connection.caller.client.id
    }

    /// Whether something has happened that its task would be woken for.
    pub fn is_ready(&self, clock: &dyn Clock) -> bool {
        let connection = &self.connection;
        let can_send = connection.poll_transmit().is_some() && self.outbox_room != 0;
        let is_due = connection.poll_deadline().is_some_and(|it| it <= clock.mono_now());
        !self.inbox.is_empty()
            || (self.has_hung_up && !self.has_told_hang_up)
            || connection.caller.client.mailbox.has_messages()
            || connection.has_more()
            || can_send
            || is_due
    }

    /// Some of what has come in, in a piece of any size; all of it from a peer that has gone.
    pub fn take_input(&mut self, random: &mut Random) -> Vec<u8> {
        let most = self.inbox.len();
        let is_cut = !self.has_hung_up && random.below(3) == 0;
        let count = if is_cut { 1 + random.below(most as u64) as usize } else { most };
        self.inbox.drain(..count).collect()
    }

    /// Puts `bytes` where the core wants them, and makes the event of it.
    pub fn received<'b>(&mut self, bytes: &'b [u8], rest: &mut Vec<u8>) -> Event<'b> {
        let Some(room) = self.connection.room() else { return Event::Bytes(bytes) };
        let count = (room.capacity() - room.len()).min(bytes.len());
        room.extend_from_slice(&bytes[..count]);
        rest.extend_from_slice(&bytes[count..]);
        Event::Received { count }
    }

    /// What has been written since the last look.
    pub fn look(&mut self) -> &[u8] {
        let bytes = self.connection.poll_transmit().unwrap_or_default();
        let new = &bytes[self.looked..];
        self.unparsed.extend_from_slice(new);
        self.looked = bytes.len();
        &self.unparsed
    }

    /// Sends what the peer has room for.
    pub fn transmit(&mut self, now: MonoUs) {
        if self.connection.has_much_to_send() {
            self.connection.check_output(now, &mut self.actions);
        }
        while let Some(bytes) = self.connection.poll_transmit() {
            let count = bytes.len().min(self.outbox_room);
            if count == 0 {
                self.connection.check_output(now, &mut self.actions);
                return;
            }
            self.outbox_room -= count;
            self.looked -= count;
            self.connection.transmitted(count);
        }
    }

    /// Does what the core wants. Answers why it is to end, if it is, and the job it wants done.
    pub fn act(&mut self) -> (Option<Why>, Option<(Job, SlotId)>) {
        if !self.connection.is_blocked() {
            (self.wait, self.blocked_on) = (None, None);
        }
        let (mut ends, mut jobs) = (None, None);
        for action in std::mem::take(&mut self.actions) {
            match action {
                Action::Block(id, on) => self.block(id, on),
                Action::Apart(job, slot) => jobs = Some((job, slot)),
                Action::Close(why) => ends = Some(why),
                Action::Follow(_) | Action::Later(_) | Action::Sync(_) => {
                    unreachable!("nobody asks for it")
                }
            }
        }
        if self.connection.is_closing() && self.connection.poll_transmit().is_none() {
            ends = ends.or(Some(Why::Done));
        }
        (ends, jobs)
    }

    fn block(&mut self, id: BlockId, on: BlockOn) {
        self.blocked_on = Some(on);
        let Some((condition, offset)) = condition_of(on) else { return self.wait = None };
        let client = self.connection.caller.client.clone();
        let set: &Arc<ReplicaSet> = &self.connection.caller.server.set;
        self.wait = set.wait_for(condition, offset, client.clone(), id);
        if self.wait.is_none() {
            client.mailbox.post(Message::Woken(id));
        }
    }

    /// Waits that have begun since its task last did what it wants.
    pub fn new_blocks(&self) -> Vec<BlockOn> {
        let block = |it: &Action| match it {
            Action::Block(_, on) => Some(*on),
            _ => None,
        };
        self.actions.iter().filter_map(block).collect()
    }

    /// What it waits for, while it does.
    pub fn blocked_on(&self) -> Option<BlockOn> {
        self.blocked_on.filter(|_| self.connection.is_blocked())
    }

    /// Whether it waits for an element, or would be told that somebody has ended that wait.
    pub fn is_waiting_for_keys(&self) -> bool {
        self.blocked_on() == Some(BlockOn::Keys)
    }

    /// Whether it has a wait that others end.
    pub fn has_wait(&self) -> bool {
        self.wait.is_some()
    }

    /// Whether what it waits for has come and nobody has told it.
    pub fn is_asleep(&self) -> bool {
        let Some((condition, offset)) = self.blocked_on().and_then(condition_of) else {
            return false;
        };
        let caller = &self.connection.caller;
        let has_come = Some(offset) <= condition.reached(&caller.server.set);
        has_come && !caller.client.mailbox.has_messages()
    }
}

fn condition_of(on: BlockOn) -> Option<(Condition, Offset)> {
    match on {
        BlockOn::Offset(condition, offset) => Some((condition, offset)),
        BlockOn::Released => Some((Condition::Unpaused, Offset::ZERO)),
        BlockOn::Free(member) => Some((Condition::Free { member }, Offset::ZERO)),
        BlockOn::Time | BlockOn::Slot(_) | BlockOn::Keys => None,
    }
}
