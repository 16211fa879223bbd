//! What a checker complains about.

/// Which promise was not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checker {
    /// Every request is answered once, in order, with what it asked for.
    Answers,
    /// A read sees what its level promises, and never goes back.
    Stale,
    /// What is told of as lost is lost.
    FalseLoss,
    /// What is lost is told of.
    LossUntold,
    /// WAIT counts replicas that have everything.
    WaitCount,
    /// A confirmed write is confirmed, and one that is not was not.
    Acks,
    /// A client that has left does nothing more.
    LeftWrite,
    /// A client that has left leaves nothing behind.
    LeftBehind,
    /// Nothing is written while CLIENT PAUSE is in force.
    Paused,
    /// A write that was asked for once is done once.
    Once,
    /// CLIENT UNBLOCK and CLIENT KILL say what they did.
    Orders,
    /// What takes a time takes it.
    Early,
    /// EXEC does what it does if, and only if, no watched key has changed.
    Watch,
    /// Whoever waits for something that has come is told.
    Asleep,
    /// A client whose floor replicas have reached is served by them.
    KeptFromReplicas,
    /// What a replica on the wire holds is what its master's writes have made, in their order.
    Order,
    /// A link that nobody cuts goes on.
    LinkFault,
    /// A replica that could go on where it was is not sent a file.
    Resyncs,
    /// Members have the same data in the end, and the stream tells all of it.
    Converged,
    /// A client that does not take what is pushed to it is closed for that, and no other is.
    Flooded,
    /// Whoever has subscribed is told everything once, and in its order.
    Heard,
    /// Elements are handed out once, to who has waited longest, and none is lost.
    Popped,
    /// Nothing is written without as many good replicas as the gate asks for.
    Gate,
    /// Nobody is shown what has expired.
    Expired,
    /// Nothing panics but what is meant to.
    Panicked,
}

/// A promise that was not kept, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    pub checker: Checker,
    pub what: String,
}
