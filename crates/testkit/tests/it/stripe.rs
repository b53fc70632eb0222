//! A simulated Stripe is there with its keys, goes away, and comes back with what it knew.

use kit::ExposeSecret;
use testkit::{SimulatedStripe, Stage};

testkit::on_both_engines!(a_simulated_stripe_knows_its_keys_and_survives_an_outage);

async fn a_simulated_stripe_knows_its_keys_and_survives_an_outage(stage: Stage) {
    let mut stripe = SimulatedStripe::start(&stage).await;
    let address = stripe.base_url().trim_start_matches("http://").parse().unwrap();
    let key = format!("authorization: Bearer {}\r\n", stripe.secret_key().expose_secret());
    let account = || crate::get(address, "/v1/account", &key);

    let answer = account().await.unwrap();
    assert!(answer.contains("200 OK") && answer.contains(&stripe.account.account_id), "{answer}");
    assert!(crate::get(address, "/v1/account", "").await.unwrap().contains("401"));

    stripe.go_away().await;
    account().await.unwrap_err();
    stripe.come_back().await;
    assert!(account().await.unwrap().contains(&stripe.account.account_id));

    stage.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(stripe.simulator.now(), stage.now().seconds(), "both have one clock");
}
