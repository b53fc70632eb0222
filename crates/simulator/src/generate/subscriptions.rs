//! Subscriptions and their renewals: an invoice a period, paid at once, after a retry, or never.

use super::{
    Maker,
    catalogue::{Catalogue, PlanPrice},
    payments::{self, Payment},
    people::{History, Person},
};
use crate::{
    calendar::period_end,
    json::{Pairs, Raw},
    resources::{
        Kind,
        invoice::{self, ATTEMPTS_MAX, BilledTo, NewInvoice, RETRY_SECONDS},
        invoice_line::{self, NewLine, Origin, Priced},
        invoice_payment::{self, NewPayment},
        subscription::{self, NewSubscription, NewSubscriptionItem},
    },
};

/// How a period's invoice ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Paid,
    /// Still being tried; the next try is then.
    Owed(i64),
    /// Given up.
    Lost(i64),
}

/// What stays the same through a subscription's life.
struct Plan<'a> {
    person: &'a Person,
    price: &'a PlanPrice,
    id: String,
    item: String,
    quantity: i64,
    created: i64,
    metadata: Pairs,
}

/// The state of a subscription at some moment.
struct State<'a> {
    status: &'a str,
    period: (i64, i64),
    latest_invoice: &'a str,
    ending: bool,
    ended_at: Option<i64>,
    reason: Option<&'a str>,
}

/// Lets a customer subscribe and live through the periods until now.
pub(super) fn subscribe(maker: &mut Maker<'_>, person: &Person, catalogue: &Catalogue) -> History {
    let created = (person.created + i64::try_from(maker.ids.below(3 * 86_400)).unwrap_or(0)).min(maker.now);
    let interval = if maker.chance(180) { "year" } else { "month" };
    let tier = match maker.ids.below(10) {
        0..5 => 0,
        5..8 => 1,
        _ => 2,
    };
    let price = catalogue.price(tier, person.currency, interval);
    let plan = Plan {
        person,
        price,
        id: maker.ids.at(created).new_id("sub_"),
        item: maker.ids.new_id("si_"),
        quantity: if tier == 0 { 1 } else { 1 + i64::try_from(maker.ids.below(5)).unwrap_or(0) },
        created,
        metadata: Pairs(vec![
            ("plan", price.word.to_owned()),
            ("billing.model", "subscription".to_owned()),
            ("region", person.region.to_owned()),
        ]),
    };
    let mut history = History { invoices: 0, delinquent: false, plan: Some(price.word) };
    let mut start = created;
    let mut last = State {
        status: "active",
        period: (start, start),
        latest_invoice: "",
        ending: false,
        ended_at: None,
        reason: None,
    };
    let mut latest_invoice = String::new();
    while maker.charges_left > 0 {
        let end = period_end(created, start, interval, 1);
        history.invoices += 1;
        let (invoice, outcome) = bill(maker, &plan, start, history.invoices);
        latest_invoice = invoice;
        last.period = (start, end);
        // About one subscriber in twenty-five leaves at a month's end, one in six at a year's.
        let leaves = maker.chance(if interval == "year" { 160 } else { 40 });
        let kind = if start == created { "customer.subscription.created" } else { "customer.subscription.updated" };
        if maker.remembered(start) {
            let text = text(maker, &plan, &State { latest_invoice: &latest_invoice, status: "active", ..last });
            maker.event(kind, start, &text);
        }
        match outcome {
            Outcome::Lost(at) => {
                last = State { status: "canceled", ended_at: Some(at), reason: Some("payment_failed"), ..last };
                break;
            }
            Outcome::Owed(_) => {
                history.delinquent = true;
                last.status = "past_due";
                break;
            }
            Outcome::Paid => {}
        }
        if leaves && end <= maker.now {
            last = State { status: "canceled", ended_at: Some(end), reason: Some("cancellation_requested"), ..last };
            break;
        }
        last.ending = leaves;
        if end > maker.now {
            break;
        }
        start = end;
    }
    // When the number of charges asked for is reached before the present, the subscription ends there rather than owe renewals.
    if last.status == "active" && last.period.1 <= maker.now {
        last =
            State { status: "canceled", ended_at: Some(last.period.1), reason: Some("cancellation_requested"), ..last };
    }
    let ended_at = last.ended_at;
    let text = text(maker, &plan, &State { latest_invoice: &latest_invoice, ..last });
    let text = maker.book.put(Kind::Subscription, text, created);
    if let Some(at) = ended_at {
        maker.event("customer.subscription.deleted", at, &text);
    }
    history
}

fn text(maker: &Maker<'_>, plan: &Plan<'_>, state: &State<'_>) -> String {
    let item = subscription::item_text(&NewSubscriptionItem {
        id: &plan.item,
        created: plan.created,
        subscription: &plan.id,
        period: state.period,
        price: &plan.price.price_text,
        plan: &plan.price.plan_text,
        quantity: plan.quantity,
        metadata: &Pairs::default(),
    });
    subscription::text(&NewSubscription {
        id: &plan.id,
        livemode: maker.book.livemode,
        created: plan.created,
        customer: &plan.person.id,
        currency: plan.price.currency,
        status: state.status,
        items: &[Raw(&item)],
        latest_invoice: Some(state.latest_invoice),
        default_payment_method: Some(&plan.person.method),
        cancel_at_period_end: state.ending,
        cancel_at: state.ending.then_some(state.period.1),
        canceled_at: state.ended_at.or(state.ending.then_some(state.period.0)),
        ended_at: state.ended_at,
        cancellation_reason: state.reason,
        trial: None,
        metadata: &plan.metadata,
    })
}

/// The invoice of a period that begins at `at`, with its payment; answers its id and how it ended.
fn bill(maker: &mut Maker<'_>, plan: &Plan<'_>, at: i64, sequence: i64) -> (String, Outcome) {
    let (id, line_id, intent) = (maker.ids.at(at).new_id("in_"), maker.ids.new_id("il_"), maker.ids.new_id("pi_"));
    let total = plan.price.amount * plan.quantity;
    let (attempts, outcome, latest_charge, last_at) = try_to_pay(maker, plan, at, total, &intent);
    let paid_at = (outcome == Outcome::Paid).then_some(last_at);

    let description = format!("{} × {}", plan.quantity, plan.price.name);
    let line = invoice_line::text(&NewLine {
        id: &line_id,
        invoice: &id,
        livemode: maker.book.livemode,
        amount: total,
        currency: plan.price.currency,
        description: Some(&description),
        quantity: plan.quantity,
        unit_amount_decimal: &plan.price.amount.to_string(),
        period: (at, period_end(plan.created, at, plan.price.interval, 1)),
        priced: Some(Priced { price: &plan.price.id, product: &plan.price.product }),
        origin: Origin::Subscription { subscription: &plan.id, item: &plan.item },
        metadata: &plan.metadata,
    });
    let number = format!("{}-{sequence:04}", plan.person.invoice_prefix);
    let lost_at = match outcome {
        Outcome::Lost(at) => Some(at),
        _ => None,
    };
    let lines = [Raw(line.as_str())];
    let new = NewInvoice {
        id: &id,
        livemode: maker.book.livemode,
        created: at,
        account_name: "Bursar Demo",
        billed_to: BilledTo {
            customer: &plan.person.id,
            name: Some(&plan.person.name),
            email: Some(&plan.person.email),
            country: Some(plan.person.country),
        },
        currency: plan.price.currency,
        status: match outcome {
            Outcome::Paid => "paid",
            Outcome::Owed(_) => "open",
            Outcome::Lost(_) => "uncollectible",
        },
        billing_reason: if at == plan.created { "subscription_create" } else { "subscription_cycle" },
        subscription: Some(&plan.id),
        subscription_metadata: &plan.metadata,
        number: Some(&number),
        lines: &lines,
        more_lines: false,
        total,
        attempt_count: attempts,
        finalized_at: Some(at),
        paid_at,
        marked_uncollectible_at: lost_at,
        next_payment_attempt: match outcome {
            Outcome::Owed(next) => Some(next),
            _ => None,
        },
        period: (at, at),
        auto_advance: matches!(outcome, Outcome::Owed(_)),
        default_payment_method: None,
        metadata: &Raw("{}"),
    };
    let text = maker.book.put(Kind::Invoice, invoice::text(&new), at);
    if maker.remembered(last_at) {
        let draft = invoice::text(&NewInvoice {
            status: "draft",
            number: None,
            attempt_count: 0,
            finalized_at: None,
            paid_at: None,
            marked_uncollectible_at: None,
            next_payment_attempt: None,
            ..new
        });
        maker.event("invoice.created", at, &draft);
        let open = invoice::text(&NewInvoice {
            status: "open",
            attempt_count: 0,
            paid_at: None,
            marked_uncollectible_at: None,
            next_payment_attempt: None,
            ..new
        });
        maker.event("invoice.finalized", at, &open);
        match outcome {
            Outcome::Paid => {
                maker.event("invoice.paid", last_at, &text);
                maker.event("invoice.payment_succeeded", last_at, &text);
            }
            _ => maker.event("invoice.payment_failed", last_at, &text),
        }
    }
    maker.book.put(Kind::InvoiceLine, line, at);
    let payment_id = maker.ids.at(at).new_id("inpay_");
    let payment = invoice_payment::text(&NewPayment {
        id: &payment_id,
        livemode: maker.book.livemode,
        created: at,
        invoice: &id,
        payment_intent: &intent,
        amount: total,
        currency: plan.price.currency,
        status: match outcome {
            Outcome::Paid => "paid",
            Outcome::Owed(_) => "open",
            Outcome::Lost(_) => "canceled",
        },
        paid_at,
        canceled_at: lost_at,
    });
    let payment = maker.book.put(Kind::InvoicePayment, payment, at);
    if paid_at.is_some() {
        maker.event("invoice_payment.paid", last_at, &payment);
    }
    if let Outcome::Owed(next) = outcome {
        maker.book.due.insert((next, crate::book::Due::Collect(id.as_str().into())));
    }
    let last = Payment {
        person: plan.person,
        at: last_at,
        amount: total,
        intent: &intent,
        description: plan.price.name,
        metadata: &plan.metadata,
    };
    payments::write_intent(maker, &last, at, paid_at.is_some(), latest_charge.as_deref());
    (id, outcome)
}

/// Tries until it is paid, given up, or the next try lies ahead. Answers the number of tries, the outcome, the last charge
/// and when the last try was.
fn try_to_pay(
    maker: &mut Maker<'_>,
    plan: &Plan<'_>,
    start: i64,
    total: i64,
    intent: &str,
) -> (i64, Outcome, Option<String>, i64) {
    let mut at = start;
    let mut attempts = 0;
    loop {
        let payment = Payment {
            person: plan.person,
            at,
            amount: total,
            intent,
            description: plan.price.name,
            metadata: &plan.metadata,
        };
        attempts += 1;
        // The first try seldom fails; once it has, every further one is about as likely to.
        let fails = maker.charges_left > 1 && maker.chance(if attempts == 1 { 32 } else { 350 });
        if !fails {
            let charge = payments::succeed(maker, &payment);
            return (attempts, Outcome::Paid, Some(charge), at);
        }
        let charge = payments::fail(maker, &payment);
        let next = at + RETRY_SECONDS;
        if attempts >= ATTEMPTS_MAX {
            return (attempts, Outcome::Lost(at), Some(charge), at);
        }
        if next > maker.now || maker.charges_left == 0 {
            return (attempts, Outcome::Owed(next.max(maker.now + 3_600)), Some(charge), at);
        }
        at = next;
    }
}
