//! What happens when time passes: one place for the simulator's own time and for test clocks.

use crate::{
    book::Due,
    resources::{balance_transaction, invoice, payout, refund, subscription, test_clock},
    work::Work,
};

/// Does what has fallen due. It may have been cancelled or deleted meanwhile: then there is nothing to do.
pub(crate) fn happen(work: &mut Work<'_>, due: Due) {
    let _ = match due {
        Due::Available(id) => {
            balance_transaction::become_available(work, &id);
            Ok(())
        }
        Due::Arrive(id) => {
            payout::arrive(work, &id);
            Ok(())
        }
        Due::Collect(id) => subscription::collect(work, &id),
        Due::Renew(id) => subscription::renew(work, &id),
        Due::Finalize(id) => invoice::advance(work, &id),
        Due::Expire(id) => subscription::expire(work, &id),
        Due::TrialEnding(id) => subscription::trial_ending(work, &id),
        Due::Refund(id) => refund::decided(work, &id),
        Due::DeleteClock(id) => test_clock::forget(work, &id).map(|_| ()),
    };
}
