//! Tax rates: kept and read, so that catalogues can hold them; taxes are not computed.

use super::{Call, Endpoint, Kind, Resource, Verb, get, post, simple};
use crate::{
    json::{Raw, json_text},
    problem::Refusal,
    table::Facet,
    work::Work,
};
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::TaxRate,
    object: "tax_rate",
    facets: &[Facet::word("active"), Facet::word("inclusive")],
    expands: &[],
    search: None,
    endpoints: &ENDPOINTS,
};

static ENDPOINTS: [Endpoint; 4] = [
    get("/v1/tax_rates", "active:bool created:times inclusive:bool", "tax_rate", Verb::List(Kind::TaxRate, simple)),
    get("/v1/tax_rates/{id}", "", "tax_rate", Verb::Retrieve(Kind::TaxRate)),
    post(
        "/v1/tax_rates",
        "display_name:text! inclusive:bool! percentage:decimal! active:bool country:text description:text \
         jurisdiction:text metadata:metadata state:text \
         tax_type:one(admissions_tax|amusement_tax|communications_tax|gst|hospitality_tax|hst|igst|jct|lease_tax|luxury_tax|pst|qst|resort_tax|rst|sales_tax|service_tax|vat)",
        "tax_rate",
        create,
    ),
    post(
        "/v1/tax_rates/{id}",
        "active:bool country:text description:text display_name:text jurisdiction:text metadata:metadata state:text \
         tax_type:one(admissions_tax|amusement_tax|communications_tax|gst|hospitality_tax|hst|igst|jct|lease_tax|luxury_tax|pst|qst|resort_tax|rst|sales_tax|service_tax|vat)",
        "tax_rate",
        update,
    ),
];

const MEMBERS: [&str; 7] = ["active", "country", "description", "display_name", "jurisdiction", "state", "tax_type"];

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let percentage = parameters.text("percentage").unwrap_or_default().to_owned();
    if percentage.starts_with('-') || percentage.split('.').next().is_none_or(|whole| whole.len() > 3) {
        return Err(Refusal::bad("A tax rate's percentage lies between 0 and 100.").param("percentage"));
    }
    let id = work.ids.new_id("txr_");
    let mut rate = crate::work::parse(&json_text!({
        "id": id,
        "object": "tax_rate",
        "active": true,
        "country": null,
        "created": work.now,
        "description": null,
        "display_name": null,
        "effective_percentage": null,
        "flat_amount": null,
        "inclusive": parameters.yes("inclusive"),
        "jurisdiction": null,
        "jurisdiction_level": null,
        "livemode": work.book.livemode,
        "metadata": parameters.new_metadata()?,
        "percentage": Raw(&percentage),
        "rate_type": "percentage",
        "state": null,
        "tax_type": null,
    }));
    parameters.copy_to(&mut rate, &MEMBERS);
    let text = work.save(Kind::TaxRate, &rate);
    work.emit("tax_rate.created", &text);
    Ok(text)
}

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let change = work.change(Kind::TaxRate, &call.id, |rate| {
        call.parameters.copy_to(rate, &MEMBERS);
        call.parameters.merge_metadata(rate)
    })?;
    work.emit_updated("tax_rate.updated", &change);
    Ok(change.text)
}
