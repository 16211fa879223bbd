//! Asks another replica, too, for reads whose first does not answer: one task at each worker.

use super::dispatch::hedge;
use crate::runtime::clock;
use crate::runtime::tasks::Alarm;
use crate::state::Upstream;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

/// Asks for what is due at this worker, until the process ends.
pub async fn attend(upstream: Arc<Upstream>, worker: usize) {
    let mut alarm = Alarm::default();
    poll_fn(|context| {
        let hedges = upstream.hedges(worker);
        hedges.wake_next(context.waker());
        loop {
            let (due, next) = hedges.take_due(clock::mono_now());
            due.into_iter().for_each(|it| hedge(&upstream, worker, it));
            if alarm.poll(next, context).is_pending() {
                return Poll::<()>::Pending;
            }
        }
    })
    .await;
}
