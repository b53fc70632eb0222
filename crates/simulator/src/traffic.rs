//! Believable live traffic: new customers, payments, refunds, disputes, subscriptions, edits, and what time brings.

use crate::{
    form,
    json::plain_member,
    resources::{Call, Kind, Method, Verb, dispute},
    routes::{self, Found},
    simulator::{Side, Simulator, SimulatorError, lock},
    work::{int_of, parse, text_of},
};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How much traffic.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TrafficPlan {
    /// Actions a second; each is one to four objects and a few events.
    pub per_second: u32,
}

/// Traffic that runs.
pub(crate) struct Traffic {
    stop: CancellationToken,
}

const NAMES: [&str; 12] =
    ["Ada", "Bruno", "Chiara", "Dmitri", "Elif", "Farid", "Grace", "Hana", "Igor", "Jules", "Kaya", "Lin"];

impl Simulator {
    /// Starts traffic in an account, in place of what ran before. Needs a running runtime.
    pub fn start_traffic(&self, account: &str, livemode: bool, plan: &TrafficPlan) -> Result<(), SimulatorError> {
        let side = self.side(account, livemode)?;
        let stop = CancellationToken::new();
        let before = lock(&self.inner.traffic).replace(Traffic { stop: stop.clone() });
        if let Some(before) = before {
            before.stop.cancel();
        }
        let (simulator, per_second) = (self.clone(), plan.per_second.clamp(1, 10_000));
        tokio::spawn(async move {
            // Several actions a tick above a hundred a second: timers are no finer than that.
            let ticks = per_second.min(100);
            let pause = Duration::from_micros(u64::from(1_000_000 / ticks));
            let mut owed = 0;
            loop {
                tokio::select! {
                    () = kit::clock::pause(pause) => {}
                    () = stop.cancelled() => return,
                }
                owed += per_second;
                while owed >= ticks {
                    owed -= ticks;
                    simulator.act(&side);
                }
                simulator.pass_time(&side);
            }
        });
        Ok(())
    }

    /// Stops traffic.
    pub fn stop_traffic(&self) {
        if let Some(traffic) = lock(&self.inner.traffic).take() {
            traffic.stop.cancel();
        }
    }

    /// Does so many things that a business does, all in the present simulated second, and what has fallen due by then.
    /// With a clock that is moved by hand the same calls make the same history, id by id.
    pub fn live(&self, account: &str, livemode: bool, actions: u32) -> Result<(), SimulatorError> {
        let side = self.side(account, livemode)?;
        self.pass_time(&side);
        for _ in 0..actions {
            self.act(&side);
        }
        Ok(())
    }

    /// Does one thing that a business does, chosen by chance.
    pub(crate) fn act(&self, side: &Arc<Side>) {
        let chance = self.inner.ids.below(1_000);
        match chance {
            0..120 => self.new_customer(side),
            120..700 => self.payment(side),
            700..730 => self.refund(side),
            730..735 => self.dispute(side),
            735..800 => self.subscription(side),
            _ => self.edit(side),
        }
    }

    /// Runs a call as the business's own server would; refusals (a declined card) are part of life.
    fn run(&self, side: &Arc<Side>, path: &str, form: &str) -> Option<Arc<str>> {
        let Found::Call(route, id) = routes::find(Method::Post, path) else { return None };
        let Verb::Write(verb) = route.endpoint.verb else { return None };
        let parameters = form::decode(form).and_then(|sent| route.accepts.check(sent)).ok()?;
        let call = Call { path: path.to_owned(), id, parameters, ..Call::default() };
        self.work(side, None, |work| verb(work, &call)).ok()
    }

    /// One of the newest objects of a kind.
    fn recent(&self, side: &Side, kind: Kind) -> Option<Arc<str>> {
        let book = side.read();
        let count = book.table(kind).len().min(500);
        let position = usize::try_from(self.inner.ids.below(count as u64)).unwrap_or(0);
        book.table(kind).nth_newest(position).cloned()
    }

    fn new_customer(&self, side: &Arc<Side>) {
        let number = self.inner.ids.below(1_000_000);
        let name = NAMES[(number % 12) as usize];
        let form = format!(
            "name={name}+{number}&email={}{number}%40customer.example&metadata[source]=signup",
            name.to_lowercase()
        );
        let Some(customer) = self.run(side, "/v1/customers", &form) else { return };
        let id = plain_member(&customer, "id").unwrap_or_default().into_owned();
        let attached = self.run(side, "/v1/payment_methods/pm_card_visa/attach", &format!("customer={id}"));
        if let Some(method) = attached.as_deref().and_then(|method| plain_member(method, "id")) {
            self.run(
                side,
                &format!("/v1/customers/{id}"),
                &format!("invoice_settings[default_payment_method]={method}"),
            );
        }
    }

    fn payment(&self, side: &Arc<Side>) {
        let amounts = [900, 1_900, 2_900, 4_900, 9_900, 12_500, 19_900];
        let currencies = ["usd", "usd", "usd", "eur", "eur", "gbp", "jpy"];
        let plans = ["starter", "team", "scale"];
        let pick = |count: usize| usize::try_from(self.inner.ids.below(count as u64)).unwrap_or(0);
        let (amount, currency, plan) = (amounts[pick(7)], currencies[pick(7)], plans[pick(3)]);
        let card = if self.inner.ids.below(25) == 0 { "pm_card_chargeDeclined" } else { "pm_card_visa" };
        let order = self.inner.ids.below(10_000_000);
        let customer =
            self.recent(side, Kind::Customer).and_then(|text| plain_member(&text, "id").map(|id| id.into_owned()));
        let customer = customer.map(|id| format!("&customer={id}")).unwrap_or_default();
        let form = format!(
            "amount={amount}&currency={currency}&payment_method={card}&confirm=true&metadata[order_id]=ord_{order:07}&metadata[plan]={plan}{customer}"
        );
        self.run(side, "/v1/payment_intents", &form);
    }

    fn refund(&self, side: &Arc<Side>) {
        let Some(charge) = self.recent(side, Kind::Charge).map(|text| parse(&text)) else { return };
        let left = int_of(&charge, "amount") - int_of(&charge, "amount_refunded");
        let part =
            if self.inner.ids.below(3) == 0 && left > 200 { format!("&amount={}", left / 2) } else { String::new() };
        self.run(side, "/v1/refunds", &format!("charge={}&reason=requested_by_customer{part}", text_of(&charge, "id")));
    }

    fn dispute(&self, side: &Arc<Side>) {
        if self.inner.ids.below(3) == 0
            && let Some(open) = self.recent(side, Kind::Dispute).map(|text| parse(&text))
        {
            let won = self.inner.ids.below(2) == 0;
            let _ = self.work(side, None, |work| dispute::decide(work, text_of(&open, "id"), won));
            return;
        }
        let Some(charge) = self.recent(side, Kind::Charge).map(|text| parse(&text)) else { return };
        let _ = self.work(side, None, |work| dispute::open(work, text_of(&charge, "id"), "fraudulent", false));
    }

    fn subscription(&self, side: &Arc<Side>) {
        let (Some(customer), Some(price)) = (self.recent(side, Kind::Customer), self.recent(side, Kind::Price)) else {
            return;
        };
        let (customer, price) = (parse(&customer), parse(&price));
        self.run(
            side,
            "/v1/subscriptions",
            &format!(
                "customer={}&items[0][price]={}&metadata[plan]=team",
                text_of(&customer, "id"),
                text_of(&price, "id")
            ),
        );
    }

    fn edit(&self, side: &Arc<Side>) {
        let stage = self.inner.ids.below(5);
        if self.inner.ids.below(2) == 0 {
            let Some(customer) = self.recent(side, Kind::Customer) else { return };
            let id = plain_member(&customer, "id").unwrap_or_default().into_owned();
            self.run(side, &format!("/v1/customers/{id}"), &format!("metadata[lifecycle_stage]=stage_{stage}"));
        } else {
            let Some(charge) = self.recent(side, Kind::Charge) else { return };
            let id = plain_member(&charge, "id").unwrap_or_default().into_owned();
            self.run(side, &format!("/v1/charges/{id}"), &format!("metadata[campaign]=campaign_{stage}"));
        }
    }
}
