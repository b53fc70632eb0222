//! Payments: the charge of an intent with all that happens to it later, refunds and disputes.

use super::{
    Maker,
    catalogue::{CURRENCIES, PACKS},
    people::Person,
};
use crate::{
    calendar::DAY,
    json::Pairs,
    money::{self, Terms},
    resources::{
        Kind,
        charge::{self, Captured, Failure, NewCharge},
        dispute::{self, Funds, NewDispute},
        payment_intent::{self, NewIntent},
        refund::{self, NewRefund, Returned},
    },
};
use std::sync::Arc;

/// A charge to be made.
pub(super) struct Payment<'a> {
    pub(super) person: &'a Person,
    pub(super) at: i64,
    pub(super) amount: i64,
    pub(super) intent: &'a str,
    pub(super) description: &'a str,
    pub(super) metadata: &'a Pairs,
}

/// A refund decided beforehand, so that the charge is written once.
struct Planned {
    at: i64,
    amount: i64,
}

const FAILURES: [Failure<'static>; 4] = [
    Failure {
        code: "card_declined",
        decline_code: Some("insufficient_funds"),
        message: "Your card has insufficient funds.",
    },
    Failure { code: "card_declined", decline_code: Some("generic_decline"), message: "Your card was declined." },
    Failure { code: "card_declined", decline_code: Some("do_not_honor"), message: "Your card was declined." },
    Failure { code: "expired_card", decline_code: None, message: "Your card has expired." },
];

/// A payment that is no subscription's.
pub(super) fn single(maker: &mut Maker<'_>, person: &Person) {
    let at = maker.growing(person.created, maker.now);
    let at = maker.seasonal(at, person.created);
    let (pack, amounts) = *maker.pick(&PACKS);
    let currency = CURRENCIES.iter().position(|(code, _)| *code == person.currency).unwrap_or(0);
    let count = if maker.chance(150) { 2 + i64::try_from(maker.ids.below(3)).unwrap_or(0) } else { 1 };
    let mut metadata = Pairs(vec![
        ("order_id", format!("ord_{:08}", maker.ids.below(100_000_000))),
        ("billing.model", "one_off".to_owned()),
        ("region", person.region.to_owned()),
        ("channel", (*maker.pick(&["web", "web", "ios", "android"])).to_owned()),
    ]);
    if maker.chance(600) {
        metadata
            .0
            .push(("campaign", (*maker.pick(&["spring-sale", "newsletter", "partner", "black-friday"])).to_owned()));
    }
    let intent = maker.ids.at(at).new_id("pi_");
    let amount = amounts[currency] * count;
    let payment = Payment { person, at, amount, intent: &intent, description: pack, metadata: &metadata };
    let paid = if maker.chance(40) { None } else { Some(succeed(maker, &payment)) };
    let charge = match &paid {
        Some(charge) => charge.clone(),
        None => fail(maker, &payment),
    };
    write_intent(maker, &payment, at, paid.is_some(), Some(&charge));
}

/// Writes the intent of a payment as it is now.
pub(super) fn write_intent(
    maker: &mut Maker<'_>,
    payment: &Payment<'_>,
    created: i64,
    paid: bool,
    charge: Option<&str>,
) {
    let secret = maker.ids.letters("", 25);
    let mut new = NewIntent {
        id: payment.intent,
        secret: &secret,
        livemode: maker.book.livemode,
        created,
        amount: payment.amount,
        currency: payment.person.currency,
        status: if paid { "succeeded" } else { "requires_payment_method" },
        customer: Some(&payment.person.id),
        description: Some(payment.description),
        payment_method: paid.then_some(payment.person.method.as_str()),
        latest_charge: charge,
        metadata: payment.metadata,
    };
    let text = maker.book.put(Kind::PaymentIntent, payment_intent::text(&new), created);
    if maker.remembered(payment.at) {
        new.status = "requires_payment_method";
        new.payment_method = None;
        new.latest_charge = None;
        let before = payment_intent::text(&new);
        maker.event("payment_intent.created", created, &before);
        maker.event(if paid { "payment_intent.succeeded" } else { "payment_intent.payment_failed" }, payment.at, &text);
    }
}

fn new_charge<'a>(maker: &Maker<'_>, payment: &'a Payment<'a>, id: &'a str) -> NewCharge<'a> {
    let person = payment.person;
    NewCharge {
        id,
        livemode: maker.book.livemode,
        created: payment.at,
        amount: payment.amount,
        currency: person.currency,
        captured: true,
        amount_refunded: 0,
        disputed: false,
        balance_transaction: None,
        failure: None,
        customer: Some(&person.id),
        name: Some(&person.name),
        email: Some(&person.email),
        country: Some(person.country),
        receipt_email: Some(&person.email),
        description: Some(payment.description),
        metadata: payment.metadata,
        payment_intent: Some(payment.intent),
        payment_method: Some(&person.method),
        card: person.shown(),
        statement_descriptor: None,
        statement_descriptor_suffix: None,
        transfer_group: None,
        shipping: None,
    }
}

/// A declined charge; answers its id.
pub(super) fn fail(maker: &mut Maker<'_>, payment: &Payment<'_>) -> String {
    maker.charges_left = maker.charges_left.saturating_sub(1);
    let id = maker.ids.at(payment.at).new_id("ch_");
    let failure = *maker.pick(&FAILURES);
    maker.book.totals.presented(payment.person.currency).failed += 1;
    let text = charge::text(&NewCharge { failure: Some(failure), ..new_charge(maker, payment, &id) });
    let text = maker.book.put(Kind::Charge, text, payment.at);
    maker.event("charge.failed", payment.at, &text);
    id
}

/// A charge that succeeds, with what becomes of it; answers its id.
pub(super) fn succeed(maker: &mut Maker<'_>, payment: &Payment<'_>) -> String {
    maker.charges_left = maker.charges_left.saturating_sub(1);
    let id = maker.ids.at(payment.at).new_id("ch_");
    let Some(terms) = money::terms(payment.person.currency) else { return id };
    let captured = Captured {
        charge: &id,
        amount: payment.amount,
        currency: payment.person.currency,
        terms,
        description: Some(payment.description),
        created: payment.at,
        bypasses_pending: false,
    };
    let transaction = charge::settle(maker.book, &maker.ids, maker.now, &captured);
    let disputed_at = maker.chance(3).then(|| payment.at + DAY * (5 + i64::try_from(maker.ids.below(35)).unwrap_or(0)));
    let disputed_at = disputed_at.filter(|at| *at <= maker.now);
    let refunds = if disputed_at.is_none() && maker.chance(30) { plan_refunds(maker, payment) } else { Vec::new() };
    let new = NewCharge {
        balance_transaction: Some(&transaction),
        amount_refunded: refunds.iter().map(|refund| refund.amount).sum(),
        disputed: disputed_at.is_some(),
        ..new_charge(maker, payment, &id)
    };
    let text = maker.book.put(Kind::Charge, charge::text(&new), payment.at);
    if maker.remembered(payment.at) {
        let at_first = charge::text(&NewCharge { amount_refunded: 0, disputed: false, ..new });
        maker.event("charge.succeeded", payment.at, &at_first);
    }
    write_refunds(maker, payment, &id, &text, terms, &refunds);
    if let Some(at) = disputed_at {
        write_dispute(maker, payment, &id, terms, at);
    }
    id
}

/// Mostly once and whole, sometimes a part, sometimes two parts; those that would be in the future do not happen.
fn plan_refunds(maker: &Maker<'_>, payment: &Payment<'_>) -> Vec<Planned> {
    let first = payment.at + i64::try_from(maker.ids.below(20 * 86_400)).unwrap_or(0) + 600;
    let mut planned = match maker.ids.below(100) {
        0..65 => vec![Planned { at: first, amount: payment.amount }],
        65..90 => vec![Planned {
            at: first,
            amount: (payment.amount * (1 + i64::try_from(maker.ids.below(3)).unwrap_or(0)) / 4).max(1),
        }],
        _ => vec![
            Planned { at: first, amount: (payment.amount / 4).max(1) },
            Planned { at: first + 3 * DAY, amount: (payment.amount / 3).max(1) },
        ],
    };
    planned.retain(|refund| refund.at <= maker.now);
    planned
}

fn write_refunds(
    maker: &mut Maker<'_>,
    payment: &Payment<'_>,
    charge: &str,
    charge_text: &str,
    terms: Terms,
    refunds: &[Planned],
) {
    let mut before = 0;
    for planned in refunds {
        let id = maker.ids.at(planned.at).new_id("re_");
        let returned = Returned {
            refund: &id,
            terms,
            charged: payment.amount,
            before,
            amount: planned.amount,
            currency: payment.person.currency,
            created: planned.at,
        };
        let transaction = refund::move_money(maker.book, &maker.ids, maker.now, &returned);
        before += planned.amount;
        let reason =
            *maker.pick(&[Some("requested_by_customer"), Some("requested_by_customer"), Some("duplicate"), None]);
        let text = refund::text(&NewRefund {
            id: &id,
            created: planned.at,
            amount: planned.amount,
            currency: payment.person.currency,
            charge,
            payment_intent: Some(payment.intent),
            customer: Some(&payment.person.id),
            payment_method: Some(&payment.person.method),
            balance_transaction: &transaction,
            status: "succeeded",
            reason,
            metadata: &Pairs(vec![("ticket", format!("T-{}", maker.ids.below(100_000)))]),
        });
        let text = maker.book.put(Kind::Refund, text, planned.at);
        maker.event("refund.created", planned.at, &text);
        maker.event("charge.refunded", planned.at, charge_text);
    }
}

fn write_dispute(maker: &mut Maker<'_>, payment: &Payment<'_>, charge: &str, terms: Terms, at: i64) {
    let id = maker.ids.at(at).new_id("dp_");
    let currency = payment.person.currency;
    maker.book.totals.presented(currency).disputed += payment.amount;
    let funds = Funds { dispute: &id, amount: payment.amount, terms, created: at, reinstated: false };
    let mut moves: Vec<Arc<str>> = vec![dispute::move_funds(maker.book, &maker.ids, maker.now, &funds)];
    let decided_at = at + DAY * (15 + i64::try_from(maker.ids.below(30)).unwrap_or(0));
    let won = maker.chance(350);
    let (metadata, reason) =
        (Pairs::default(), *maker.pick(&["fraudulent", "product_not_received", "subscription_canceled", "duplicate"]));
    let livemode = maker.book.livemode;
    let text = |status: &str, moves: &[Arc<str>]| {
        dispute::text(&NewDispute {
            id: &id,
            livemode,
            created: at,
            amount: payment.amount,
            currency,
            charge,
            payment_intent: Some(payment.intent),
            reason,
            status,
            brand: payment.person.card.brand,
            balance_transactions: moves,
            has_evidence: status != "needs_response",
            metadata: &metadata,
        })
    };
    let opened = text("needs_response", &moves);
    maker.event("charge.dispute.created", at, &opened);
    maker.event("charge.dispute.funds_withdrawn", at, &opened);
    if decided_at > maker.now {
        maker.book.put(Kind::Dispute, opened, at);
        return;
    }
    if won {
        let funds = Funds { dispute: &id, amount: payment.amount, terms, created: decided_at, reinstated: true };
        moves.push(dispute::move_funds(maker.book, &maker.ids, maker.now, &funds));
    }
    let closed = maker.book.put(Kind::Dispute, text(if won { "won" } else { "lost" }, &moves), at);
    if won {
        maker.event("charge.dispute.funds_reinstated", decided_at, &closed);
    }
    maker.event("charge.dispute.closed", decided_at, &closed);
}
