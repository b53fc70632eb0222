//! Parameters in every spelling, and metadata.

use crate::stage::Stage;
use serde_json::json;

#[tokio::test]
async fn unknown_missing_and_malformed_parameters_are_named() {
    let stage = Stage::new().await;
    for (path, form, expected) in [
        ("/v1/payment_intents", "amount=100", "400 parameter_missing currency"),
        ("/v1/payment_intents", "amount=x&currency=usd", "400 parameter_invalid_integer amount"),
        ("/v1/payment_intents", "amount=&currency=usd", "400 parameter_invalid_empty amount"),
        ("/v1/payment_intents", "amount=1000&currency=xyz", "400 - currency"),
        ("/v1/payment_intents", "amount=10&currency=usd", "400 amount_too_small amount"),
        ("/v1/payment_intents", "amount=1000&currency=usd&bogus=1", "400 parameter_unknown bogus"),
        ("/v1/payment_intents", "amount=1000&currency=usd&shipping[bogus]=1", "400 parameter_unknown shipping[bogus]"),
        (
            "/v1/payment_intents",
            "amount=1000&currency=usd&payment_method_types[]=card",
            "400 payment_method_types_no_longer_supported payment_method_types",
        ),
        ("/v1/payment_intents", "amount=1000&currency=usd&customer=cus_none", "400 resource_missing customer"),
        ("/v1/customers", "email=nobody", "400 email_invalid email"),
        ("/v1/refunds", "charge=ch_none", "400 resource_missing charge"),
        ("/v1/customers/cus_none", "name=x", "404 resource_missing id"),
        ("/v1/charges/ch_none", "description=x", "404 resource_missing id"),
    ] {
        assert_eq!(stage.post(path, form).await.refusal(), expected, "{path} {form}");
    }
    assert_eq!(stage.get("/v1/charges?bogus=1").await.refusal(), "400 parameter_unknown bogus");
    assert_eq!(stage.get("/v1/charges?limit=101").await.refusal(), "400 parameter_invalid_integer limit");
    let json = stage
        .request("POST", "/v1/customers")
        .bearer_auth(&stage.key)
        .header("content-type", "application/json")
        .body("{}");
    assert_eq!(stage.send("POST", "/v1/customers", json).await.status, 400);
}

#[tokio::test]
async fn brackets_may_be_raw_or_encoded_and_arrays_numbered_or_not() {
    let stage = Stage::new().await;
    for form in ["address[city]=Turin&preferred_locales[0]=it", "address%5Bcity%5D=Turin&preferred_locales%5B%5D=it"] {
        let customer = stage.post("/v1/customers", form).await.ok();
        assert_eq!((&customer["address"]["city"], &customer["preferred_locales"]), (&json!("Turin"), &json!(["it"])));
    }
    let name = stage.post("/v1/customers", "name=Zo%C3%AB+%26+Co").await.ok()["name"].clone();
    assert_eq!(name, "Zoë & Co");
}

#[tokio::test]
async fn metadata_is_merged_and_unset() {
    let stage = Stage::new().await;
    let id = stage.make("/v1/customers", "metadata[plan]=team&metadata[billing.model]=seat&description=x").await;
    let path = format!("/v1/customers/{id}");
    let check = async |form: &str, expected: serde_json::Value| {
        assert_eq!(stage.post(&path, form).await.ok()["metadata"], expected, "{form}");
    };
    check("metadata[region]=emea", json!({"plan": "team", "billing.model": "seat", "region": "emea"})).await;
    check("metadata[plan]=&metadata[region]=apac", json!({"billing.model": "seat", "region": "apac"})).await;
    check("name=Ada", json!({"billing.model": "seat", "region": "apac"})).await;
    check("metadata=", json!({})).await;
    assert!(stage.post(&path, "description=").await.ok()["description"].is_null());
    let long = format!("metadata[{}]=x", "k".repeat(41));
    assert_eq!(stage.post(&path, &long).await.status, 400);
    let updated = stage.get("/v1/events?type=customer.updated&limit=1").await.ok();
    assert_eq!(updated["data"][0]["data"]["previous_attributes"], json!({"description": "x"}));
}
