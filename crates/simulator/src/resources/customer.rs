//! Customers (FACTS section 10). A deleted one stays readable as `{id, object, deleted: true}`.

use super::{Call, Endpoint, Kind, Resource, Verb, delete, get, leave_out_clocks, post};
use crate::{
    book::Book,
    json::{Json, json_text},
    problem::Refusal,
    resources::{payment_method, subscription, test_clock},
    search::{self, Field},
    table::{Facet, Query},
    work::{Work, parse, text_of},
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::Customer,
    object: "customer",
    facets: &[Facet::id("email"), Facet::id("test_clock")],
    expands: &["default_source", "invoice_settings.default_payment_method", "subscriptions", "sources", "test_clock"],
    search: Some(&FIELDS),
    endpoints: &ENDPOINTS,
};

const UPDATE: &str = "address[city]:text address[country]:text address[line1]:text address[line2]:text address[postal_code]:text \
    address[state]:text balance:int business_name:text description:text email:text individual_name:text invoice_prefix:text \
    invoice_settings[default_payment_method]:text invoice_settings[footer]:text metadata:metadata name:text phone:text \
    preferred_locales[]:text shipping[name]:text shipping[phone]:text shipping[address][city]:text shipping[address][country]:text \
    shipping[address][line1]:text shipping[address][line2]:text shipping[address][postal_code]:text shipping[address][state]:text \
    tax_exempt:one(none|exempt|reverse)";
// A card may be given with the customer: it is attached, and can be its default at once.
const CREATE: &str = "payment_method:text test_clock:text address[city]:text address[country]:text address[line1]:text address[line2]:text \
    address[postal_code]:text address[state]:text balance:int business_name:text description:text email:text \
    individual_name:text invoice_prefix:text invoice_settings[default_payment_method]:text invoice_settings[footer]:text \
    metadata:metadata name:text phone:text preferred_locales[]:text shipping[name]:text shipping[phone]:text \
    shipping[address][city]:text shipping[address][country]:text shipping[address][line1]:text shipping[address][line2]:text \
    shipping[address][postal_code]:text shipping[address][state]:text tax_exempt:one(none|exempt|reverse)";

static FIELDS: [Field; 4] = [Field::number("created"), Field::text("email"), Field::text("name"), Field::text("phone")];

static ENDPOINTS: [Endpoint; 7] = [
    get("/v1/customers/search", search::ACCEPTS, "customer", Verb::Search(Kind::Customer)),
    get("/v1/customers", "created:times email:text test_clock:text", "customer", Verb::List(Kind::Customer, prepare)),
    get("/v1/customers/{id}", "", "customer", Verb::Retrieve(Kind::Customer)),
    post("/v1/customers", CREATE, "customer", create),
    post("/v1/customers/{id}", UPDATE, "customer", update),
    delete("/v1/customers/{id}", "", "customer", remove),
    get(
        "/v1/customers/{id}/payment_methods",
        "type:text",
        "payment_method",
        Verb::List(Kind::PaymentMethod, payment_method::of_customer),
    ),
];

fn prepare(book: &Book, call: &mut Call, query: &mut Query) -> Result<(), Refusal> {
    leave_out_clocks(book, Kind::Customer, call, query);
    Ok(())
}

/// What a customer is made from.
pub(crate) struct NewCustomer<'a> {
    pub(crate) id: &'a str,
    pub(crate) livemode: bool,
    pub(crate) created: i64,
    pub(crate) name: Option<&'a str>,
    pub(crate) email: Option<&'a str>,
    pub(crate) description: Option<&'a str>,
    pub(crate) country: Option<&'a str>,
    pub(crate) currency: Option<&'a str>,
    pub(crate) delinquent: bool,
    pub(crate) default_payment_method: Option<&'a str>,
    pub(crate) invoice_prefix: &'a str,
    pub(crate) next_invoice_sequence: i64,
    pub(crate) metadata: &'a dyn Json,
}

/// The customer object.
pub(crate) fn text(new: &NewCustomer<'_>) -> String {
    json_text!({
        "id": new.id,
        "object": "customer",
        "address": {
            "city": null, "country": new.country, "line1": null, "line2": null, "postal_code": null, "state": null,
        },
        "balance": 0_i64,
        "created": new.created,
        "currency": new.currency,
        "customer_account": null,
        "default_source": null,
        "delinquent": new.delinquent,
        "description": new.description,
        "discount": null,
        "email": new.email,
        "invoice_prefix": new.invoice_prefix,
        "invoice_settings": {
            "custom_fields": null,
            "default_payment_method": new.default_payment_method,
            "footer": null,
            "rendering_options": null,
        },
        "livemode": new.livemode,
        "metadata": new.metadata,
        "name": new.name,
        "next_invoice_sequence": new.next_invoice_sequence,
        "phone": null,
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": null,
    })
}

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let metadata = call.parameters.new_metadata()?;
    check_email(call)?;
    if let Some(clock) = call.parameters.text("test_clock") {
        test_clock::check_customer(work, clock)?;
    }
    let method = match call.parameters.text("payment_method") {
        Some(id) => Some(free(payment_method::resolve(work, id, Some("payment_method"))?)?),
        None => None,
    };
    // A test word names another card each time: the same word as `payment_method` means the card given there.
    let default = match call.parameters.text("invoice_settings[default_payment_method]") {
        Some(id) if Some(id) == call.parameters.text("payment_method") => method.clone(),
        Some(id) if method.as_ref().is_some_and(|method| method["id"] == id) => method.clone(),
        Some(id) => return Err(not_attached(id)),
        None => None,
    };
    let (id, prefix) = (work.ids.new_id("cus_"), work.ids.letters("", 8).to_uppercase());
    let mut customer = parse(&text(&NewCustomer {
        id: &id,
        livemode: work.book.livemode,
        created: work.now,
        name: None,
        email: None,
        description: None,
        country: None,
        currency: None,
        delinquent: false,
        default_payment_method: None,
        invoice_prefix: &prefix,
        next_invoice_sequence: 1,
        metadata: &metadata,
    }));
    customer["address"] = Value::Null;
    fill(&mut customer, call);
    if let Some(default) = default {
        customer["invoice_settings"]["default_payment_method"] = default["id"].clone();
    }
    let text = work.save(Kind::Customer, &customer);
    work.emit("customer.created", &text);
    if let Some(method) = method {
        payment_method::attach_to(work, text_of(&method, "id"), &id)?;
    }
    Ok(text)
}

/// A payment method that belongs to nobody yet and may be attached.
fn free(method: Value) -> Result<Value, Refusal> {
    if method["customer"].is_string() {
        return Err(Refusal::bad("The payment method you provided has already been attached to a customer.")
            .param("payment_method"));
    }
    payment_method::check_attachable(&method)?;
    Ok(method)
}

fn not_attached(id: &str) -> Refusal {
    Refusal::bad(format!("The customer does not have a payment method with the ID {id}. The payment method must be attached to the customer."))
        .code("resource_missing")
        .param("invoice_settings[default_payment_method]")
}

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    work.value(Kind::Customer, &call.id, None)?;
    check(work, call)?;
    let change = work.change(Kind::Customer, &call.id, |customer| {
        call.parameters.merge_metadata(customer)?;
        fill(customer, call);
        Ok(())
    })?;
    work.emit_updated("customer.updated", &change);
    Ok(change.text)
}

fn check_email(call: &Call) -> Result<(), Refusal> {
    if let Some(email) = call.parameters.text("email")
        && !email.contains('@')
    {
        return Err(Refusal::bad(format!("Invalid email address: {email}")).code("email_invalid").param("email"));
    }
    Ok(())
}

fn check(work: &Work<'_>, call: &Call) -> Result<(), Refusal> {
    check_email(call)?;
    let param = "invoice_settings[default_payment_method]";
    if let Some(id) = call.parameters.text(param) {
        let method = work.value(Kind::PaymentMethod, id, Some(param))?;
        if text_of(&method, "customer") != call.id {
            return Err(not_attached(id));
        }
    }
    Ok(())
}

/// Fills in what was given. Nested addresses replace what was there.
fn fill(customer: &mut Value, call: &Call) {
    let parameters = &call.parameters;
    parameters.copy_to(
        customer,
        &[
            "balance",
            "business_name",
            "description",
            "email",
            "individual_name",
            "invoice_prefix",
            "name",
            "phone",
            "tax_exempt",
        ],
    );
    if parameters.has("preferred_locales") {
        customer["preferred_locales"] = Value::Array(parameters.list("preferred_locales").to_vec());
    }
    if parameters.has("address") {
        customer["address"] = address(parameters.at("address"));
    }
    if parameters.has("shipping") {
        customer["shipping"] = shipping(parameters.at("shipping"));
    }
    if let Some(Value::Object(settings)) = parameters.at("invoice_settings") {
        for (member, value) in settings {
            customer["invoice_settings"][member.as_str()] = value.clone();
        }
    }
    // These two are strings where they are present at all.
    for member in ["business_name", "individual_name"] {
        if customer[member].is_null()
            && let Some(object) = customer.as_object_mut()
        {
            object.shift_remove(member);
        }
    }
}

/// An address with all its members.
pub(crate) fn address(given: Option<&Value>) -> Value {
    let Some(given) = given else { return Value::Null };
    let mut address =
        json!({"city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null});
    if let Value::Object(members) = given {
        for (member, value) in members {
            address[member.as_str()] = value.clone();
        }
    }
    address
}

/// A shipping destination with all its members.
pub(crate) fn shipping(given: Option<&Value>) -> Value {
    let Some(given) = given else { return Value::Null };
    json!({
        "address": address(given.get("address").or(Some(&Value::Null))),
        "carrier": null,
        "name": given["name"].as_str().unwrap_or_default(),
        "phone": given["phone"],
        "tracking_number": null,
    })
}

fn remove(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    work.value(Kind::Customer, &call.id, None)?;
    forget(work, &call.id)
}

/// Deletes a customer; subscriptions end.
pub(crate) fn forget(work: &mut Work<'_>, id: &str) -> Result<Arc<str>, Refusal> {
    let customer = work.text(Kind::Customer, id, None)?;
    for held in work.book.table(Kind::Subscription).with("customer", id) {
        let held = parse(&held);
        if !matches!(text_of(&held, "status"), "canceled" | "incomplete_expired") {
            subscription::end(work, text_of(&held, "id"), "cancellation_requested")?;
        }
    }
    let gone: Arc<str> = json_text!({ "id": id, "object": "customer", "deleted": true }).into();
    work.remove(Kind::Customer, id, Some(gone.clone()));
    work.emit("customer.deleted", &customer);
    Ok(gone)
}
