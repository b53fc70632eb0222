//! Money that moves without a call of the account's: Stripe's own fees, corrections, payouts that the bank sends back.

use super::{Outcome, Place, account, read, refused};
use crate::{json::json_text, simulator::Simulator};
use http::StatusCode;
use serde::Deserialize;

#[derive(Deserialize)]
struct MoneyAsked {
    #[serde(flatten)]
    place: Place,
    /// A fee, in minor units.
    fee: Option<u32>,
    /// A correction, in minor units, either way.
    adjustment: Option<i32>,
    #[serde(default = "usd")]
    currency: String,
    /// A payout that fails.
    fail_payout: Option<String>,
    #[serde(default = "closed")]
    code: String,
}

fn usd() -> String {
    "usd".to_owned()
}

fn closed() -> String {
    "account_closed".to_owned()
}

/// `POST /_sim/money`.
pub(super) fn answer(simulator: &Simulator, body: &[u8]) -> Outcome {
    let asked = read::<MoneyAsked>(body)?;
    let (account, livemode) = (account(simulator, &asked.place), asked.place.livemode);
    let moved = match (asked.fee, asked.adjustment, &asked.fail_payout) {
        (Some(fee), None, None) => simulator.take_fee(&account, livemode, fee, &asked.currency),
        (None, Some(adjustment), None) => simulator.adjust_balance(&account, livemode, adjustment, &asked.currency),
        (None, None, Some(payout)) => {
            simulator.fail_payout(&account, livemode, payout, &asked.code).map(|()| payout.clone())
        }
        _ => return Err((StatusCode::BAD_REQUEST, "name one of fee, adjustment and fail_payout".to_owned())),
    };
    moved.map(|id| json_text!({ "moved": id })).map_err(|error| refused(&error))
}
