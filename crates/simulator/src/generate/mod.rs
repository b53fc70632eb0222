//! A believable business, made from a seed: a catalogue, customers that grow in number, subscriptions with their renewals,
//! single payments, failures, refunds, disputes, payouts. Its money adds up to the cent because every move of it goes
//! through the same function as a live call's.

mod catalogue;
mod payments;
mod people;
mod subscriptions;

use crate::{
    book::Book,
    books::Totals,
    calendar::{DAY, midnight, weekday},
    ids::Ids,
    resources::{
        Kind,
        event::{self, NewEvent},
        payout, webhook_endpoint,
    },
};
use catalogue::Catalogue;
use people::Person;
use serde::{Deserialize, Serialize};

/// How often money is paid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payouts {
    /// Every day.
    #[default]
    Daily,
    /// Every Monday.
    Weekly,
}

/// What business to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Business {
    /// The same seed makes the same business, at the same simulated second.
    pub seed: u64,
    /// How many customers.
    pub customers: u32,
    /// How many charges, failed ones included.
    pub charges: u32,
    /// Over how many months up to now.
    pub months: u32,
    /// How many of a hundred customers subscribe.
    pub subscribers_percent: u32,
    /// How often money is paid out.
    pub payouts: Payouts,
    /// Whether it goes into live data.
    pub livemode: bool,
}

impl Default for Business {
    /// Two years, 5,000 customers, 60,000 charges.
    fn default() -> Business {
        Business {
            seed: 1,
            customers: 5_000,
            charges: 60_000,
            months: 24,
            subscribers_percent: 45,
            payouts: Payouts::Daily,
            livemode: false,
        }
    }
}

/// What was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Objects of each type that are now in the account.
    pub objects: std::collections::BTreeMap<String, usize>,
    /// The first second of the business.
    pub from: i64,
    /// Its last: the present simulated second.
    pub until: i64,
    /// The books.
    pub totals: Totals,
}

/// How long events are kept: older ones are not made.
const EVENTS_SECONDS: i64 = 30 * DAY;
/// At most this share of all charges is from subscriptions.
const SUBSCRIPTION_CHARGES_PERCENT: u32 = 65;

/// What the parts of the generator share.
struct Maker<'a> {
    book: &'a mut Book,
    ids: Ids,
    start: i64,
    now: i64,
    charges_left: u32,
}

impl Maker<'_> {
    /// One chance in `of`.
    fn chance(&self, in_thousand: u64) -> bool {
        self.ids.below(1_000) < in_thousand
    }

    fn pick<'t, T>(&self, from: &'t [T]) -> &'t T {
        &from[usize::try_from(self.ids.below(from.len() as u64)).unwrap_or(0)]
    }

    /// A second between two, later ones likelier: the business grows.
    fn growing(&self, from: i64, until: i64) -> i64 {
        let span = u64::try_from(until - from).unwrap_or(0).max(1);
        let one = self.ids.below(span);
        let late = if self.chance(600) { one.max(self.ids.below(span)) } else { one };
        from + i64::try_from(late).unwrap_or(0)
    }

    /// The same day at an hour when people buy; weekend days lose half of theirs to the Thursday or Friday before.
    fn seasonal(&self, second: i64, earliest: i64) -> i64 {
        const HOURS: [i64; 24] =
            [0, 2, 6, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 13, 13, 14, 14, 15, 15, 16, 17, 19, 20, 21];
        let mut day = midnight(second);
        if weekday(day) > 4 && self.chance(500) {
            day -= 2 * DAY;
        }
        let hour = *self.pick(&HOURS);
        let shifted = day + hour * 3_600 + i64::try_from(self.ids.below(3_600)).unwrap_or(0);
        shifted.clamp(earliest, self.now)
    }

    /// Records an event if it is young enough to be read.
    fn event(&mut self, kind: &str, at: i64, object: &str) {
        if at < self.now - EVENTS_SECONDS {
            return;
        }
        let id = self.ids.at(at).new_id("evt_");
        let text = event::text(&NewEvent {
            id: &id,
            livemode: self.book.livemode,
            created: at,
            kind,
            object,
            previous: None,
            pending_webhooks: 0,
            cause: None,
        });
        self.book.put(Kind::Event, text, at);
        self.book.table_mut(Kind::Event).mark(&id, "delivery_success", Some("true"));
    }

    /// Whether events of this second are still kept, for texts that only an event needs.
    fn remembered(&self, at: i64) -> bool {
        at >= self.now - EVENTS_SECONDS
    }
}

/// Fills a book with a business that has lasted until `now`.
pub(crate) fn fill(book: &mut Book, business: &Business, now: i64) -> Summary {
    let months = i64::from(business.months.clamp(1, 240));
    let start = now - months * 2_629_800;
    book.weekly_payouts = business.payouts == Payouts::Weekly;
    let mut maker = Maker { book, ids: Ids::new(business.seed), start, now, charges_left: business.charges };
    let catalogue = Catalogue::make(&mut maker);

    let others = business.charges / 100 * (100 - SUBSCRIPTION_CHARGES_PERCENT);
    let people: Vec<Person> = (0..business.customers).map(|number| Person::make(&maker, number)).collect();
    for person in &people {
        let subscribes = maker.ids.below(100) < u64::from(business.subscribers_percent);
        let history = if subscribes && maker.charges_left > others {
            subscriptions::subscribe(&mut maker, person, &catalogue)
        } else {
            people::History::default()
        };
        people::write(&mut maker, person, &history);
    }
    while maker.charges_left > 0 && !people.is_empty() {
        let person = &people[usize::try_from(maker.ids.below(people.len() as u64)).unwrap_or(0)];
        payments::single(&mut maker, person);
    }
    pay_out(&mut maker, business.payouts);
    webhook_endpoint::refresh(maker.book);
    Summary {
        objects: maker.book.counts().map(|(object, count)| (object.to_owned(), count)).collect(),
        from: start,
        until: now,
        totals: maker.book.totals.clone(),
    }
}

fn pay_out(maker: &mut Maker<'_>, payouts: Payouts) {
    let mut day = midnight(maker.start);
    while day <= maker.now {
        if payouts == Payouts::Daily || weekday(day) == 0 {
            for payout in payout::sweep(maker.book, &maker.ids, day, maker.now) {
                maker.event("payout.created", day, &payout);
                let arrives = crate::json::integer_member(&payout, "arrival_date").unwrap_or(day);
                if arrives <= maker.now {
                    maker.event("payout.paid", arrives, &payout);
                    maker.event("payout.reconciliation_completed", arrives, &payout);
                }
            }
        }
        day += DAY;
    }
    maker.book.paid_out_until = midnight(maker.now);
}
