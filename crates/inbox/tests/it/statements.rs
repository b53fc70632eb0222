//! Every statement is understood by both engines.

use testkit::Stage;

testkit::on_both_engines!(every_statement_prepares);

async fn every_statement_prepares(stage: Stage) {
    // Linking the inbox in is what registers its statements.
    let _ = inbox::WAKE;
    match stage.store.prepare_all().await {
        Ok(prepared) => assert!(prepared > 10, "only {prepared} statements were found"),
        Err(failures) => panic!("{}", failures.join("\n")),
    }
}
