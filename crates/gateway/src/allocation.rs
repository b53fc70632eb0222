//! Stripe's allocation of reads (GW-2): how many an account may make in 30 days, and how many it is on its way to.
//!
//! Pure. Source: FACTS section 7: 500 reads for each transaction on average, 10,000 at the least; writes are not limited,
//! and neither are products for reports, taxes and data.

use serde::{Deserialize, Serialize};
use stripe::Request;

/// Reads that Stripe allows every account in 30 days, however few payments it has.
pub const READ_ALLOWANCE_FLOOR: i64 = 10_000;
/// Reads that Stripe allows per payment, as an average over 30 days.
pub const READS_PER_TRANSACTION: i64 = 500;
/// From this share of the allocation on people are warned.
pub const WARN_PERCENT: i64 = 80;
/// Days that Stripe looks back, and that are counted here.
pub const ALLOCATION_DAYS: i64 = 30;
/// Paths that cost nothing of the allocation. What only sounds like them, such as `/v1/tax_rates`, is counted.
const EXEMPT: [&str; 4] = ["/v1/reporting/", "/v1/sigma/", "/v1/tax/", "/v2/data/"];

/// What a read of Stripe was for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadFor {
    /// Listing everything.
    Sync,
    /// Finding what happened since: the event list, and what events do not tell.
    Sweep,
    /// One object again, by its id.
    Reread,
    /// Finding out what a key may do, or how a webhook endpoint stands.
    Probe,
    /// Anything else.
    #[default]
    Other,
}

/// Reads by what they were for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReadsFor {
    /// Listing everything.
    pub sync: i64,
    /// Finding what happened since.
    pub sweep: i64,
    /// Objects again, by their ids.
    pub reread: i64,
    /// Finding out about keys and endpoints.
    pub probe: i64,
    /// Anything else.
    pub other: i64,
}

impl ReadsFor {
    /// Counts reads.
    pub fn add(&mut self, what_for: ReadFor, reads: i64) {
        *match what_for {
            ReadFor::Sync => &mut self.sync,
            ReadFor::Sweep => &mut self.sweep,
            ReadFor::Reread => &mut self.reread,
            ReadFor::Probe => &mut self.probe,
            ReadFor::Other => &mut self.other,
        } += reads;
    }

    /// All of them.
    pub fn total(&self) -> i64 {
        self.sync + self.sweep + self.reread + self.probe + self.other
    }

    /// Those that go on by themselves: a full sync is over once it is done.
    pub fn regular(&self) -> i64 {
        self.total() - self.sync
    }
}

impl std::ops::AddAssign for ReadsFor {
    fn add_assign(&mut self, other: ReadsFor) {
        self.sync += other.sync;
        self.sweep += other.sweep;
        self.reread += other.reread;
        self.probe += other.probe;
        self.other += other.other;
    }
}

/// Whether Stripe counts a call against the allocation.
pub fn counts_as_read(request: &Request) -> bool {
    request.is_read() && !EXEMPT.iter().any(|prefix| request.path.starts_with(prefix))
}

/// How much of its allocation an account has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Allocation {
    /// Reads that Stripe allows in 30 days.
    pub allowed: i64,
    /// Reads made in the last 30 days.
    pub used: i64,
    /// The share that is used, in whole percent, rounded down.
    pub used_percent: i64,
    /// Payments of the last 30 days, where they were counted; without them the least that Stripe allows is taken.
    pub transactions: Option<i64>,
    /// Whether it is enough to warn.
    pub state: AllocationState,
}

/// Whether reads have to be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AllocationState {
    /// Well below what is allowed.
    Calm,
    /// Four fifths or more are used.
    Near,
    /// More than allowed.
    Over,
}

/// How much of its allocation an account has used.
pub fn allocation(used: i64, transactions: Option<i64>) -> Allocation {
    let by_transactions = transactions.unwrap_or(0).saturating_mul(READS_PER_TRANSACTION);
    let allowed = by_transactions.max(READ_ALLOWANCE_FLOOR);
    let used_percent = i64::try_from(i128::from(used) * 100 / i128::from(allowed)).unwrap_or(i64::MAX);
    let state = match used {
        used if used > allowed => AllocationState::Over,
        _ if used_percent >= WARN_PERCENT => AllocationState::Near,
        _ => AllocationState::Calm,
    };
    Allocation { allowed, used, used_percent, transactions, state }
}

/// Reads in 30 days if it goes on as in the last whole week: what the regular work costs, full syncs apart. None before
/// there was a whole day.
///
/// `days` are days since 1970 with their reads, `today` the one that is not over.
pub fn projected(days: &[(i64, ReadsFor)], today: i64) -> Option<i64> {
    let first = days.iter().map(|day| day.0).min()?;
    let whole = (today - first).min(7);
    if whole <= 0 {
        return None;
    }
    let week = days.iter().filter(|day| day.0 < today && day.0 >= today - whole);
    Some(week.map(|day| day.1.regular()).sum::<i64>() * ALLOCATION_DAYS / whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stripe::Params;

    #[test]
    fn what_is_allowed_grows_with_payments_and_never_falls_below_the_floor() {
        use AllocationState::{Calm, Near, Over};
        let check = |used, transactions, expected: (i64, i64, AllocationState)| {
            let found = allocation(used, transactions);
            assert_eq!((found.allowed, found.used_percent, found.state), expected, "{used} {transactions:?}");
        };
        check(0, None, (10_000, 0, Calm));
        check(7_999, None, (10_000, 79, Calm));
        check(8_000, None, (10_000, 80, Near));
        check(10_000, Some(3), (10_000, 100, Near));
        check(10_001, Some(20), (10_000, 100, Over));
        check(8_000, Some(21), (10_500, 76, Calm));
        check(400_000, Some(1_000), (500_000, 80, Near));
        check(i64::MAX, Some(i64::MAX), (i64::MAX, 100, Near));
    }

    #[test]
    fn what_goes_on_is_projected_and_what_is_over_is_not() {
        let reads = |sync, sweep| ReadsFor { sync, sweep, ..ReadsFor::default() };
        let check = |days: &[(i64, ReadsFor)], expected| assert_eq!(projected(days, 100), expected, "{days:?}");
        check(&[], None);
        check(&[(100, reads(0, 50))], None);
        check(&[(99, reads(4_000, 96)), (100, reads(0, 50))], Some(96 * 30));
        check(&[(98, reads(0, 96)), (99, reads(0, 100))], Some(98 * 30));
        check(&[(70, reads(0, 900)), (93, reads(0, 70)), (99, reads(0, 70))], Some(600));
    }

    #[test]
    fn writes_and_exempt_products_do_not_count() {
        let check = |request: Request, expected| assert_eq!(counts_as_read(&request), expected, "{}", request.path);
        check(Request::get("/v1/charges", Params::none()), true);
        check(Request::get("/v1/tax_rates", Params::none()), true);
        check(Request::get("/v1/tax/calculations/x", Params::none()), false);
        check(Request::get("/v1/reporting/report_runs", Params::none()), false);
        check(Request::post("/v1/charges", Params::none()), false);
        check(Request::delete("/v1/customers/cus_1"), false);
    }
}
