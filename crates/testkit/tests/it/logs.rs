//! A secret in the log is found, whichever thread logged it.

use testkit::Logs;

#[test]
fn what_is_logged_on_any_thread_is_caught() {
    let logs = Logs::catch();
    std::thread::spawn(|| tracing::info!(customer.id = "cus_logged_by_a_thread", "a customer came")).join().unwrap();
    assert!(logs.text().contains("cus_logged_by_a_thread"));
    logs.assert_absent("sk_test_never_logged_anywhere");
}

#[test]
#[should_panic(expected = "a secret of 24 characters stands in 1 lines of the log")]
fn a_logged_secret_fails_the_test_without_being_shown() {
    let logs = Logs::catch();
    tracing::warn!(key = "sk_test_logged_by_error1", "a key was used");
    logs.assert_absent("sk_test_logged_by_error1");
}
