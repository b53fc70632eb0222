//! The account itself (FACTS section 13 for its shape): one per book, there from the start.

use super::{Call, Endpoint, Kind, Resource, Verb, get};
use crate::{book::Book, json::json_text, problem::Refusal};

pub(crate) static RESOURCE: Resource =
    Resource { kind: Kind::Account, object: "account", facets: &[], expands: &[], search: None, endpoints: &ENDPOINTS };

// Restricted keys are told that they lack this permission even when they hold every one that can be ticked; the
// message names the account all the same.
static ENDPOINTS: [Endpoint; 1] = [get("/v1/account", "", "accounts_kyc_basic", Verb::Compute(own))];

fn own(book: &Book, _: &Call, _: i64) -> Result<String, Refusal> {
    let text = book.get(Kind::Account, &book.account);
    text.map(|text| text.to_string()).ok_or_else(|| Refusal::no_such("account", &book.account, None))
}

/// A standard account that may charge and be paid out.
pub(crate) fn text(id: &str, name: &str, email: &str, created: i64) -> String {
    let payouts = format!("/v1/accounts/{id}/external_accounts");
    json_text!({
        "id": id,
        "object": "account",
        "business_profile": {
            "annual_revenue": null,
            "estimated_worker_count": null,
            "mcc": "5734",
            "minority_owned_business_designation": null,
            "name": name,
            "product_description": "Software by subscription",
            "specified_commercial_transactions_act_url": null,
            "support_address": null,
            "support_email": email,
            "support_phone": null,
            "support_url": null,
            "url": "https://shop.example",
        },
        "business_type": "company",
        "capabilities": { "card_payments": "active", "transfers": "active" },
        "charges_enabled": true,
        "controller": { "type": "account" },
        "country": "US",
        "created": created,
        "default_currency": "usd",
        "details_submitted": true,
        "email": email,
        "external_accounts": { "object": "list", "data": [], "has_more": false, "url": payouts },
        "future_requirements": {
            "alternatives": [], "current_deadline": null, "currently_due": [], "disabled_reason": null, "errors": [],
            "eventually_due": [], "past_due": [], "pending_verification": [],
        },
        "metadata": {},
        "payouts_enabled": true,
        "requirements": {
            "alternatives": [], "current_deadline": null, "currently_due": [], "disabled_reason": null, "errors": [],
            "eventually_due": [], "past_due": [], "pending_verification": [],
        },
        "settings": {
            "bacs_debit_payments": { "display_name": null, "service_user_number": null },
            "branding": { "icon": null, "logo": null, "primary_color": null, "secondary_color": null },
            "card_issuing": { "tos_acceptance": { "date": null, "ip": null } },
            "card_payments": {
                "decline_on": { "avs_failure": false, "cvc_failure": false },
                "statement_descriptor_prefix": null,
                "statement_descriptor_prefix_kana": null,
                "statement_descriptor_prefix_kanji": null,
            },
            "dashboard": { "display_name": name, "timezone": "Etc/UTC" },
            "invoices": { "default_account_tax_ids": null, "hosted_payment_method_save": "offer" },
            "payments": {
                "statement_descriptor": "BURSAR DEMO",
                "statement_descriptor_kana": null,
                "statement_descriptor_kanji": null,
                "statement_descriptor_prefix_kana": null,
                "statement_descriptor_prefix_kanji": null,
            },
            "payouts": {
                "debit_negative_balances": true,
                "schedule": { "delay_days": 2_i64, "interval": "daily" },
                "statement_descriptor": null,
            },
            "sepa_debit_payments": {},
        },
        "tos_acceptance": { "date": created, "ip": null, "user_agent": null },
        "type": "standard",
    })
}
