//! What a run does, as data: made from the seed before anything happens, each step meaningful without the others.
//!
//! A step names objects by a number (`pick`), which is taken modulo what there is when it is played. So any step can be
//! left out and the rest still plays: that is what shrinking needs.

use kit::{Randomness, SeededRandomness};

/// Accounts of a run: a large one and a small one in test mode, and the large one's live mode, whose events only the
/// event list tells (Stripe sends live events to `https://` alone).
pub const ACCOUNTS: usize = 3;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its place in the whole run, which stays when others are left out.
    pub number: u32,
    /// How far time moves before it.
    pub after_ms: u64,
    /// What happens.
    pub action: Action,
}

/// What happens in one account, or to the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A new customer, with a card that pays.
    Customer {
        /// Where.
        account: usize,
    },
    /// A payment, with a card of [`CARDS`]; `manual` only reserves the money.
    Pay {
        /// Where.
        account: usize,
        /// By which customer; nobody for even numbers.
        pick: u64,
        /// How much.
        amount_minor: u64,
        /// One of [`CURRENCIES`].
        currency: usize,
        /// One of [`CARDS`].
        card: usize,
        /// To be captured later.
        manual: bool,
    },
    /// What was reserved is taken, wholly or in part.
    Capture {
        /// Where.
        account: usize,
        /// Which payment intent.
        pick: u64,
        /// How much of it.
        percent: u64,
    },
    /// A part of a payment is given back.
    Refund {
        /// Where.
        account: usize,
        /// Which charge.
        pick: u64,
        /// How much of it.
        percent: u64,
    },
    /// A bank contests a charge.
    Dispute {
        /// Where.
        account: usize,
        /// Which charge.
        pick: u64,
    },
    /// A bank decides.
    Decide {
        /// Where.
        account: usize,
        /// Which dispute.
        pick: u64,
        /// For the business.
        won: bool,
    },
    /// A customer subscribes.
    Subscribe {
        /// Where.
        account: usize,
        /// Which customer.
        pick: u64,
        /// At which price.
        price: u64,
    },
    /// A subscription changes its quantity, or ends.
    Resubscribe {
        /// Where.
        account: usize,
        /// Which subscription.
        pick: u64,
        /// How many from now on; it ends at zero.
        quantity: u64,
    },
    /// A bill by hand, paid at once, voided or left open.
    Invoice {
        /// Where.
        account: usize,
        /// Which customer.
        pick: u64,
        /// How much.
        amount_minor: u64,
        /// What becomes of it: 0 paid, 1 open, 2 voided, 3 draft, 4 draft deleted.
        fate: u64,
    },
    /// An object's description or metadata changes.
    Edit {
        /// Where.
        account: usize,
        /// What kind: 0 customer, 1 charge, 2 product, 3 price, 4 subscription.
        kind: u64,
        /// Which.
        pick: u64,
        /// What is written.
        word: u64,
    },
    /// An object goes: 0 a customer, otherwise a product nothing was sold of.
    Delete {
        /// Where.
        account: usize,
        /// What kind.
        kind: u64,
        /// Which.
        pick: u64,
    },
    /// A payout by hand.
    Payout {
        /// Where.
        account: usize,
        /// One of the first four of [`CURRENCIES`].
        currency: usize,
        /// How much.
        amount_minor: u64,
    },
    /// Time passes. A smooth jump lets running jobs end before; a rough one takes their leases from them.
    Jump {
        /// How much.
        seconds: u64,
        /// Jobs lose their lease in it.
        rough: bool,
    },
    /// The next calls of one kind fail.
    CallFault {
        /// One of [`CALLS`].
        call: usize,
        /// One of [`CALL_FAULTS`].
        fault: usize,
        /// How often.
        times: u64,
    },
    /// The next deliveries go wrong.
    WebhookFault {
        /// One of [`WEBHOOK_FAULTS`].
        fault: usize,
        /// How often.
        times: u64,
    },
    /// The account's webhook endpoint is disabled, or enabled again.
    Endpoint {
        /// Where.
        account: usize,
        /// From now on.
        enabled: bool,
    },
    /// The key that Bursar works with is revoked.
    Revoke {
        /// Where.
        account: usize,
    },
    /// Bursar is given another key.
    ReplaceKey {
        /// Where.
        account: usize,
    },
    /// A sync is asked for.
    Sync {
        /// Where.
        account: usize,
        /// Of everything.
        full: bool,
    },
    /// The connection is tested.
    Test {
        /// Where.
        account: usize,
    },
    /// The account is disconnected.
    Disconnect {
        /// Where.
        account: usize,
        /// Its data goes with it.
        erase: bool,
    },
    /// The account is connected, if it is not.
    Connect {
        /// Where.
        account: usize,
    },
    /// Events of the last minutes are processed again.
    Replay {
        /// How many minutes back.
        minutes: u64,
    },
    /// Something is written at Stripe through an intent.
    Write {
        /// Where.
        account: usize,
    },
    /// A new vault key, and everything re-sealed under it.
    Rotate,
    /// A node ends as by `kill -9`, and starts again.
    Kill {
        /// Which, modulo how many there are.
        node: u64,
    },
    /// A node stops as an operator stops it, and starts again.
    Restart {
        /// Which, modulo how many there are.
        node: u64,
    },
    /// Everything is brought to rest and compared.
    Checkpoint,
}

/// Currencies paid in: the first four are paid out, the others are converted.
pub const CURRENCIES: [&str; 7] = ["usd", "eur", "gbp", "jpy", "chf", "cad", "sek"];
/// Cards: most pay, some are declined, some are contested at once.
pub const CARDS: [&str; 8] = [
    "pm_card_visa",
    "pm_card_visa",
    "pm_card_mastercard",
    "pm_card_de",
    "pm_card_bypassPending",
    "pm_card_visa_chargeDeclined",
    "pm_card_createDispute",
    "pm_card_visa_chargeDeclinedInsufficientFunds",
];
/// Calls that faults are for: those that only Bursar makes, and the writes that go through intents.
pub const CALLS: [&str; 16] = [
    "GET /v1/events",
    "GET /v1/charges",
    "GET /v1/charges/{id}",
    "GET /v1/customers",
    "GET /v1/customers/{id}",
    "GET /v1/balance_transactions",
    "GET /v1/refunds",
    "GET /v1/invoices",
    "GET /v1/subscriptions",
    "GET /v1/prices",
    "GET /v1/payouts",
    "GET /v1/account",
    "POST /v1/customers",
    "POST /v1/customers",
    "POST /v1/customers",
    "POST /v1/webhook_endpoints",
];
/// What goes wrong with calls, by name; `crate::faults` says how the simulator is told.
pub const CALL_FAULTS: [&str; 19] = [
    "limit_global",
    "limit_endpoint",
    "limit_concurrency",
    "limit_endpoint_concurrency",
    "limit_resource",
    "lock_timeout",
    "key_in_use",
    "status_500",
    "status_500_after_effect",
    "status_503",
    "drop",
    "drop_after_effect",
    "cut_body",
    "slow",
    "dribble",
    "time_out",
    "time_out_after_effect",
    "garbage",
    "garbage_after_effect",
];
/// What goes wrong with deliveries, by name.
pub const WEBHOOK_FAULTS: [&str; 9] = [
    "lost",
    "doubled",
    "under_two_ids",
    "late",
    "disordered",
    "cut",
    "old_timestamp",
    "wrong_signature",
    "unknown_type",
];

/// The steps of a seed. A checkpoint stands every `checkpoint_every` steps.
pub fn generate(seed: u64, steps: u32, checkpoint_every: u32) -> Vec<Step> {
    let dice = Dice(SeededRandomness::new(seed));
    (0..steps)
        .map(|number| {
            let is_checkpoint = number > 0 && checkpoint_every > 0 && number % checkpoint_every == 0;
            let after_ms = if dice.below(12) == 0 { 200 + dice.below(2_500) } else { dice.below(12) };
            // Drawn always, so that where checkpoints stand changes no other step.
            let action = dice.action(number);
            Step { number, after_ms, action: if is_checkpoint { Action::Checkpoint } else { action } }
        })
        .collect()
}

struct Dice(SeededRandomness);

impl Dice {
    fn below(&self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    fn index(&self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    fn account(&self) -> usize {
        match self.below(20) {
            0..14 => 0,
            14..18 => 1,
            _ => 2,
        }
    }

    fn action(&self, number: u32) -> Action {
        let (account, pick) = (self.account(), self.below(1 << 32));
        // A business begins with its accounts connected.
        if (number as usize) < ACCOUNTS {
            return Action::Connect { account: number as usize };
        }
        match self.below(10_000) {
            0..900 => Action::Customer { account },
            900..4_900 => Action::Pay {
                account,
                pick,
                amount_minor: 1_000 + self.below(50_000),
                currency: self.index(CURRENCIES.len()),
                card: self.index(CARDS.len()),
                manual: self.below(12) == 0,
            },
            4_900..5_200 => Action::Capture { account, pick, percent: 1 + self.below(100) },
            5_200..6_100 => Action::Refund { account, pick, percent: 1 + self.below(100) },
            6_100..6_250 => Action::Dispute { account, pick },
            6_250..6_450 => Action::Decide { account, pick, won: self.below(2) == 0 },
            6_450..6_850 => Action::Subscribe { account, pick, price: self.below(1 << 16) },
            6_850..7_150 => Action::Resubscribe { account, pick, quantity: self.below(5) },
            7_150..7_600 => {
                Action::Invoice { account, pick, amount_minor: 500 + self.below(20_000), fate: self.below(5) }
            }
            7_600..8_500 => Action::Edit { account, kind: self.below(5), pick, word: self.below(1 << 20) },
            8_500..8_650 => Action::Delete { account, kind: self.below(2), pick },
            8_650..8_750 => Action::Payout { account, currency: self.index(4), amount_minor: 100 + self.below(20_000) },
            8_750..9_150 => Action::Write { account },
            9_150..9_370 => Action::CallFault {
                call: self.index(CALLS.len()),
                fault: self.index(CALL_FAULTS.len()),
                times: 1 + self.below(4),
            },
            9_370..9_630 => Action::WebhookFault { fault: self.index(WEBHOOK_FAULTS.len()), times: 1 + self.below(8) },
            9_630..9_670 => Action::Endpoint { account, enabled: self.below(3) > 0 },
            9_670..9_685 => Action::Revoke { account },
            9_685..9_725 => Action::ReplaceKey { account },
            9_725..9_790 => Action::Sync { account, full: self.below(12) == 0 },
            9_790..9_830 => Action::Test { account },
            9_830..9_836 => Action::Disconnect { account, erase: self.below(2) == 0 },
            9_836..9_880 => Action::Connect { account },
            9_880..9_910 => Action::Replay { minutes: 1 + self.below(90) },
            9_910..9_914 => Action::Rotate,
            9_914..9_918 => Action::Kill { node: self.below(16) },
            9_918..9_921 => Action::Restart { node: self.below(16) },
            _ => Action::Jump { seconds: self.jump_seconds(), rough: self.below(8) == 0 },
        }
    }

    fn jump_seconds(&self) -> u64 {
        match self.below(100) {
            0..70 => 60 + self.below(1_800),
            70..88 => 3_600 + self.below(6 * 3_600),
            // Beyond the 24 hours for which Stripe remembers idempotency keys.
            88..97 => 25 * 3_600 + self.below(48 * 3_600),
            // Beyond the 30 days for which Stripe keeps events.
            _ => 5 * 86_400 + self.below(30) * 86_400,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_steps() {
        let (one, two) = (generate(7, 2_000, 500), generate(7, 2_000, 500));
        assert_eq!(one, two);
        assert_ne!(one, generate(8, 2_000, 500));
        let longer = generate(7, 4_000, 500);
        assert_eq!(one[..], longer[..2_000], "a longer run begins with the shorter one");
        assert_eq!(one.iter().filter(|step| step.action == Action::Checkpoint).count(), 3);
    }

    #[test]
    fn everything_happens() {
        let steps = generate(1, 20_000, 1_000);
        let mut names: Vec<String> = steps.iter().map(|step| name_of(&step.action)).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 28, "{names:?}");
    }

    fn name_of(action: &Action) -> String {
        format!("{action:?}").split([' ', '{']).next().unwrap_or_default().to_owned()
    }
}
