//! The key doctor (REV-5c): what a key has and lacks for what is to be done with it, the least to ask for, and what is
//! unwise about it.
//!
//! Pure: it reads a [`KeyReport`] (what was tried) and [`Denial`]s (what Stripe refused since). Source: FACTS section 2.

use crate::{Denial, KeyReport, key_check::PermissionProbe, status::some_time_text};
use kit::{Environment, Time};
use serde::{Deserialize, Serialize};
use stripe::{
    ObjectKind,
    kind::{EVENTS_PERMISSION, WEBHOOK_PERMISSION},
};

/// Where a restricted key is made with its permissions ticked. Stripe does not document the address, and leaves out in
/// silence what it does not know: the list is always shown beside it.
const CREATE_KEY: &str = "https://dashboard.stripe.com/apikeys/create";

/// What a permission is needed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Without it something is not read.
    #[default]
    Sync,
    /// Without it Bursar cannot make its webhook endpoint, and a person has to.
    WebhookEndpoint,
}

/// A permission as a person finds it in Stripe's dashboard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Permission {
    /// Stripe's token, as its refusals name it.
    pub permission: &'static str,
    /// What the dashboard calls it, and how much of it.
    pub name: &'static str,
    /// What it is needed for.
    pub needed_for: Need,
}

/// The least that a key needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeastKey {
    /// The permissions, each once.
    pub permissions: Vec<Permission>,
    /// Where a key with these is made.
    pub create_at: String,
}

/// Whether a key has a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// It was tried, or the key may do everything.
    Granted,
    /// It was refused.
    Missing,
    /// Nothing tells.
    NotTried,
}

/// A permission of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which.
    #[serde(flatten)]
    pub permission: Permission,
    /// Whether the key has it.
    pub access: Access,
    /// Stripe's own words of the last refusal, if that is how it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Something unwise or wrong about a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Stable code.
    pub code: &'static str,
    /// What is the matter.
    pub text: String,
    /// What to do.
    pub what_to_do: String,
}

/// What the doctor says of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Everything that is needed for the sync is there.
    pub ok: bool,
    /// What the key is, as it was last found out.
    pub key: Option<KeyReport>,
    /// When that was.
    #[serde(serialize_with = "some_time_text")]
    pub checked_at: Option<Time>,
    /// Each permission that is needed.
    pub permissions: Vec<Finding>,
    /// What is unwise or wrong.
    pub warnings: Vec<Warning>,
    /// What a key needs at the least.
    pub least: LeastKey,
}

/// What was found out about a key just now, and what the doctor says to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tested {
    /// What was found out.
    #[serde(flatten)]
    pub report: KeyReport,
    /// Each permission that is needed.
    pub findings: Vec<Finding>,
    /// What is unwise or wrong.
    pub warnings: Vec<Warning>,
    /// What a key needs at the least.
    pub least_key: LeastKey,
}

impl Tested {
    /// What the doctor says to a key that was tried at `now`.
    pub fn new(report: KeyReport, now: Time) -> Tested {
        let Diagnosis { permissions, warnings, least, .. } = diagnose(Some((now, report.clone())), &[]);
        Tested { report, findings: permissions, warnings, least_key: least }
    }
}

/// Every permission that Bursar needs today, in the order in which kinds are read.
pub fn needed() -> Vec<Permission> {
    let mut needed: Vec<Permission> = Vec::new();
    for kind in ObjectKind::ALL {
        let permission = kind.permission();
        if needed.iter().all(|known| known.permission != permission) {
            needed.push(Permission { permission, name: dashboard_name(kind), needed_for: Need::Sync });
        }
    }
    needed.push(Permission { permission: EVENTS_PERMISSION, name: "Events: Read", needed_for: Need::Sync });
    let webhook = "Webhook Endpoints: Write";
    needed.push(Permission { permission: WEBHOOK_PERMISSION, name: webhook, needed_for: Need::WebhookEndpoint });
    needed
}

/// What the dashboard calls the permission to read a kind.
fn dashboard_name(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Charge | ObjectKind::Refund => "Charges and Refunds: Read",
        ObjectKind::Dispute => "Disputes: Read",
        ObjectKind::BalanceTransaction => "Balance transaction sources: Read",
        ObjectKind::Customer => "Customers: Read",
        ObjectKind::Product => "Products: Read",
        ObjectKind::Price => "Prices: Read",
        ObjectKind::Subscription => "Subscriptions: Read",
        ObjectKind::Invoice | ObjectKind::InvoicePayment => "Invoices: Read",
        ObjectKind::Payout => "Payouts: Read",
    }
}

/// The least that a key needs, with the page that makes it.
pub fn least() -> LeastKey {
    let permissions = needed();
    let mut create_at = format!("{CREATE_KEY}?name=Bursar");
    for permission in &permissions {
        create_at.push_str("&permissions[]=");
        create_at.push_str(permission.permission);
    }
    LeastKey { permissions, create_at }
}

/// What the doctor says, from what was tried and what was refused since.
pub fn diagnose(tried: Option<(Time, KeyReport)>, denials: &[Denial]) -> Diagnosis {
    let (checked_at, report) = tried.map_or((None, None), |(at, report)| (Some(at), Some(report)));
    // What was refused before the key was last tried is told by the trial.
    let denied: Vec<&Denial> =
        denials.iter().filter(|denial| checked_at.is_none_or(|checked| denial.last_at > checked)).collect();
    let findings: Vec<Finding> = needed().into_iter().map(|it| find(it, report.as_ref(), &denied)).collect();
    let ok = report.is_some()
        && findings.iter().all(|it| it.permission.needed_for != Need::Sync || it.access == Access::Granted);
    let warnings = warnings(report.as_ref(), &findings);
    Diagnosis { ok, key: report, checked_at, permissions: findings, warnings, least: least() }
}

fn find(permission: Permission, report: Option<&KeyReport>, denied: &[&Denial]) -> Finding {
    if let Some(denial) = denied.iter().find(|denial| names(&denial.permission, permission.permission)) {
        return Finding { permission, access: Access::Missing, refused: Some(denial.message.clone()) };
    }
    let Some(report) = report else { return Finding { permission, access: Access::NotTried, refused: None } };
    let probes: Vec<&PermissionProbe> =
        report.permissions.iter().filter(|probe| probe.expected == permission.permission).collect();
    let access = match (probes.is_empty(), probes.iter().all(|probe| probe.granted)) {
        (false, true) => Access::Granted,
        (false, false) => Access::Missing,
        // Only restricted keys are tried: any other may do everything.
        (true, _) if report.key_kind != "restricted" => Access::Granted,
        (true, _) => Access::NotTried,
    };
    Finding { permission, access, refused: None }
}

/// Whether a refusal that names one permission is about another: some have two names (FACTS section 2).
fn names(refused: &str, permission: &str) -> bool {
    let usual = match refused {
        "rak_refund_read" => "rak_charge_read",
        "rak_balance_transaction_read" => "rak_balance_transaction_source_read",
        "rak_webhook_read" => WEBHOOK_PERMISSION,
        other => other,
    };
    usual == permission
}

fn warnings(report: Option<&KeyReport>, findings: &[Finding]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let missing = |need: Need| -> Vec<&str> {
        let lacks = |it: &&Finding| it.access == Access::Missing && it.permission.needed_for == need;
        findings.iter().filter(lacks).map(|it| it.permission.name).collect()
    };
    let for_sync = missing(Need::Sync);
    if !for_sync.is_empty() {
        warnings.push(Warning {
            code: "permissions_missing",
            text: format!("The key may not read everything that is synced. It lacks {}.", for_sync.join(", ")),
            what_to_do: "Edit the key in the Stripe dashboard, give it these, and test the connection.".to_owned(),
        });
    }
    if !missing(Need::WebhookEndpoint).is_empty() {
        warnings.push(Warning {
            code: "webhook_permission_missing",
            text: "The key may not make a webhook endpoint.".to_owned(),
            what_to_do: "Give it Webhook Endpoints: Write, or make an endpoint by hand and enter its signing secret."
                .to_owned(),
        });
    }
    if let Some(report) = report.filter(|it| it.key_kind == "secret") {
        let what_to_do =
            "Make a restricted key with the permissions below, replace the key with it, and roll the secret key."
                .to_owned();
        warnings.push(match report.environment {
            Environment::Live => Warning {
                code: "secret_key_live",
                text: "This is a secret key of live mode: whoever holds it may move money.".to_owned(),
                what_to_do,
            },
            Environment::Test => Warning {
                code: "secret_key_test",
                text: "This is a secret key, which may do everything; in test mode that moves no money.".to_owned(),
                what_to_do: "In live mode use a restricted key with the permissions below.".to_owned(),
            },
        });
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Time = Time::from_seconds(1_000);

    fn report(key_kind: &str, environment: Environment, missing: &[&str]) -> KeyReport {
        let probe = |permission: Permission| PermissionProbe {
            object: permission.name.to_owned(),
            permission: permission.permission.to_owned(),
            expected: permission.permission.to_owned(),
            granted: !missing.contains(&permission.permission),
            needed_for: permission.needed_for,
        };
        KeyReport {
            ok: missing.is_empty(),
            account_id: "acct_1".to_owned(),
            account_name: "Acme".to_owned(),
            environment,
            key_kind: key_kind.to_owned(),
            key_hint: "…4242".to_owned(),
            permissions: if key_kind == "restricted" { needed().into_iter().map(probe).collect() } else { Vec::new() },
            latency_ms: 1,
            advice: None,
        }
    }

    fn denial(permission: &str, seconds: i64) -> Denial {
        Denial {
            endpoint: "GET /v1/x".to_owned(),
            permission: permission.to_owned(),
            message: "no".to_owned(),
            denials: 1,
            last_at: Time::from_seconds(seconds),
        }
    }

    /// Whether it is ok, what is missing, and the warnings' codes.
    fn check(what: &str, tried: Option<KeyReport>, denials: &[Denial], (ok, missing, codes): (bool, &[&str], &[&str])) {
        let found = diagnose(tried.map(|report| (AT, report)), denials);
        let lacks: Vec<&str> = found
            .permissions
            .iter()
            .filter(|it| it.access == Access::Missing)
            .map(|it| it.permission.permission)
            .collect();
        let warned: Vec<&str> = found.warnings.iter().map(|it| it.code).collect();
        assert_eq!((found.ok, lacks.as_slice(), warned.as_slice()), (ok, missing, codes), "{what}");
    }

    #[test]
    fn a_key_is_judged_by_what_was_tried_and_by_what_was_refused_since() {
        let restricted = |missing: &[&str]| Some(report("restricted", Environment::Live, missing));
        check("nothing known", None, &[], (false, &[], &[]));
        check("all there", restricted(&[]), &[], (true, &[], &[]));
        check(
            "one lacks",
            restricted(&["rak_charge_read"]),
            &[],
            (false, &["rak_charge_read"], &["permissions_missing"]),
        );
        check(
            "no endpoint can be made",
            restricted(&[WEBHOOK_PERMISSION]),
            &[],
            (true, &[WEBHOOK_PERMISSION], &["webhook_permission_missing"]),
        );
        check(
            "taken away since",
            restricted(&[]),
            &[denial("rak_payout_read", 1_001)],
            (false, &["rak_payout_read"], &["permissions_missing"]),
        );
        check(
            "by its other name",
            restricted(&[]),
            &[denial("rak_refund_read", 1_001)],
            (false, &["rak_charge_read"], &["permissions_missing"]),
        );
        check("given back before it was tried", restricted(&[]), &[denial("rak_payout_read", 999)], (true, &[], &[]));
        check("not ours to need", restricted(&[]), &[denial("rak_transfer_read", 1_001)], (true, &[], &[]));
        check(
            "never tried, but refused",
            None,
            &[denial("rak_event_read", 5)],
            (false, &["rak_event_read"], &["permissions_missing"]),
        );
        check("live secret", Some(report("secret", Environment::Live, &[])), &[], (true, &[], &["secret_key_live"]));
        check("test secret", Some(report("secret", Environment::Test, &[])), &[], (true, &[], &["secret_key_test"]));
        check("sandbox", Some(report("sandbox", Environment::Test, &[])), &[], (true, &[], &[]));
    }

    #[test]
    fn the_least_key_names_each_permission_once_and_covers_every_kind() {
        let least = least();
        for kind in ObjectKind::ALL {
            let named = least.permissions.iter().filter(|it| it.permission == kind.permission()).count();
            assert_eq!(named, 1, "{kind}");
        }
        assert!(least.create_at.starts_with("https://dashboard.stripe.com/apikeys/create?name=Bursar&permissions[]="));
        assert!(least.create_at.ends_with("&permissions[]=rak_event_read&permissions[]=rak_webhook_write"));
        assert!(!least.create_at.contains("_write&"), "nothing is written but the endpoint: {}", least.create_at);
    }

    #[test]
    fn stored_reports_stay_readable() {
        let stored: KeyReport = serde_json::from_str(include_str!("../golden/2026-11-key-report.json")).unwrap();
        assert_eq!((stored.key_kind.as_str(), stored.permissions.len()), ("restricted", 2));
        assert_eq!(stored.permissions[1].needed_for, Need::WebhookEndpoint);
    }
}
