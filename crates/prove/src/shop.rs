//! A business that uses its account at the simulator: called in process, with a key of its own that is never revoked.
//!
//! It remembers what it was answered, as far as later steps and the model need it. All memory is bounded.

use crate::{ProveError, step::CURRENCIES};
use axum::{Router, body::Body};
use http::{Method, Request, header};
use kit::{ExposeSecret, Secret};
use serde_json::Value;
use std::collections::BTreeMap;
use tower::ServiceExt;

/// Objects of one kind that later steps may choose from.
const POOL_MOST: usize = 3_000;
/// Longest answer: a page of a hundred objects is far below.
const ANSWER_BYTES_MOST: usize = 64 << 20;
/// What the shop's own payments and refunds are marked with.
pub(crate) const MARK: &str = "by_step";

/// Objects that later steps choose from; the oldest place is taken when it is full.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    ids: Vec<String>,
    next: usize,
}

impl Pool {
    pub(crate) fn put(&mut self, id: &str) {
        // An answer without an id was none.
        if id.is_empty() {
            return;
        }
        if self.ids.len() < POOL_MOST {
            self.ids.push(id.to_owned());
        } else {
            self.ids[self.next % POOL_MOST] = id.to_owned();
            self.next += 1;
        }
    }

    pub(crate) fn pick(&self, pick: u64) -> Option<String> {
        let count = self.ids.len() as u64;
        let place = usize::try_from(pick.checked_rem(count)?).ok()?;
        self.ids.get(place).cloned()
    }

    pub(crate) fn take(&mut self, pick: u64) -> Option<String> {
        let count = self.ids.len() as u64;
        let place = usize::try_from(pick.checked_rem(count)?).ok()?;
        (place < self.ids.len()).then(|| self.ids.swap_remove(place))
    }
}

/// What the steps brought in one currency, by the simulator's answers to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) charges: i64,
    pub(crate) charged_minor: i64,
    pub(crate) refunds: i64,
    pub(crate) refunded_minor: i64,
}

/// An answer of the simulator.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// One account in one mode, from its owner's side.
pub(crate) struct Shop {
    router: Router,
    key: Secret,
    pub(crate) account: String,
    pub(crate) livemode: bool,
    pub(crate) customers: Pool,
    pub(crate) charges: Pool,
    pub(crate) reserved: Pool,
    pub(crate) disputes: Pool,
    pub(crate) subscriptions: Pool,
    pub(crate) products: Pool,
    pub(crate) prices: Pool,
    pub(crate) asked: BTreeMap<&'static str, Asked>,
}

impl Shop {
    /// A shop with some products and prices.
    pub(crate) async fn open(router: Router, key: Secret, account: &str, livemode: bool) -> Result<Shop, ProveError> {
        let mut shop = Shop {
            router,
            key,
            account: account.to_owned(),
            livemode,
            customers: Pool::default(),
            charges: Pool::default(),
            reserved: Pool::default(),
            disputes: Pool::default(),
            subscriptions: Pool::default(),
            products: Pool::default(),
            prices: Pool::default(),
            asked: BTreeMap::new(),
        };
        for (name, amount, currency, interval) in [
            ("Daily", 300, "usd", "day"),
            ("Weekly", 900, "eur", "week"),
            ("Monthly", 2_900, "usd", "month"),
            ("Koku", 4_000, "jpy", "month"),
        ] {
            let form = format!(
                "currency={currency}&unit_amount={amount}&recurring[interval]={interval}&product_data[name]={name}"
            );
            let made = shop.must("POST", "/v1/prices", &form).await?;
            shop.prices.put(made["id"].as_str().unwrap_or_default());
        }
        for name in ["Mug", "Shirt", "Book"] {
            let made = shop.must("POST", "/v1/products", &format!("name={name}")).await?;
            shop.products.put(made["id"].as_str().unwrap_or_default());
        }
        Ok(shop)
    }

    /// A call with the shop's key, as its bytes.
    pub(crate) async fn raw(&self, method: &str, path: &str, form: &str) -> Result<(u16, Vec<u8>), ProveError> {
        let broken =
            |reason: String| ProveError::Simulator { asked: format!("{method} {path}"), status: 0, body: reason };
        let method_name = Method::from_bytes(method.as_bytes()).map_err(|error| broken(error.to_string()))?;
        let request = Request::builder()
            .method(method_name)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key.expose_secret()))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()))
            .map_err(|error| broken(error.to_string()))?;
        let Ok(response) = self.router.clone().oneshot(request).await;
        let status = response.status().as_u16();
        // A body that breaks off is a fault's doing: as good as no answer.
        let body = axum::body::to_bytes(response.into_body(), ANSWER_BYTES_MOST).await;
        Ok(body.map_or((0, Vec::new()), |body| (status, body.to_vec())))
    }

    /// A call whose refusal is part of the play.
    pub(crate) async fn call(&self, method: &str, path: &str, form: &str) -> Result<Answer, ProveError> {
        let (status, bytes) = self.raw(method, path, form).await?;
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }

    /// A call that has to succeed.
    pub(crate) async fn must(&self, method: &str, path: &str, form: &str) -> Result<Value, ProveError> {
        let answer = self.call(method, path, form).await?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(ProveError::Simulator {
                asked: format!("{method} {path}"),
                status,
                body: answer.body.to_string().chars().take(500).collect(),
            }),
        }
    }

    /// What a bank does.
    pub(crate) async fn bank(&self, mut body: Value) -> Result<Option<Value>, ProveError> {
        body["account"] = self.account.as_str().into();
        body["livemode"] = self.livemode.into();
        let answer = self.call("POST", "/_sim/disputes", &body.to_string()).await?;
        Ok((answer.status == 200).then_some(answer.body))
    }

    /// The sums of a currency that steps brought.
    pub(crate) fn asked(&mut self, currency: &str) -> &mut Asked {
        // Answers come in currencies that were asked for.
        let name = CURRENCIES.iter().find(|code| **code == currency).copied().unwrap_or("other");
        self.asked.entry(name).or_default()
    }
}
