//! What a person sees: the frame around pages, and problems in it.

use crate::{COOKIE, World, by_browser};
use testkit::{Call, Stage};

testkit::on_both_engines!(pages_stand_in_a_frame, problems_are_pages_for_people_and_json_for_programs);

async fn pages_stand_in_a_frame(stage: Stage) {
    let world = World::new(&stage).await;
    let session = world.sign_in().await;
    let call = by_browser(Call::get("/inbox?state=failed")).cookie(COOKIE, &session).header("request-id", "req_1");
    let page = world.send(call).await.expect(200).text();
    for part in [
        "all is well",
        "Your business",
        "data-environment=\"test\"",
        "Administrator",
        "action=\"/sign-out\"",
        "action=\"/environment\"",
        "value=\"/inbox?state=failed\"",
        "req_1",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    let (overview, inbox) = (page.find("href=\"/\"><svg class=\"icon\""), page.find("href=\"/inbox\""));
    assert!(overview < inbox, "the navigation is in its order");
    // A program may read pages with its token; it has no session to end or to switch.
    let page =
        world.send(Call::get("/inbox").bearer(&world.token).header("Bursar-Environment", "live")).await.expect(200);
    assert!(page.text().contains("data-environment=\"live\"") && !page.text().contains("/sign-out"));
    world.send(Call::get("/inbox")).await.expect_problem(401, "unauthorized");
}

async fn problems_are_pages_for_people_and_json_for_programs(stage: Stage) {
    let world = World::new(&stage).await;
    world.send(Call::get("/gone").bearer(&world.token)).await.expect_problem(404, "not_found");
    let session = world.sign_in().await;
    let page = world.send(by_browser(Call::get("/gone")).cookie(COOKIE, &session)).await.expect(404);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    for part in ["evt_1", "not_found", "Check the id", "Your business", "href=\"/inbox\""] {
        assert!(page.text().contains(part), "{part} is missing");
    }
    // What no route knows, and what cannot be read, is shown in the frame as well.
    let nowhere = world.send(by_browser(Call::get("/nowhere")).cookie(COOKIE, &session)).await.expect(404).text();
    assert!(nowhere.contains("/nowhere") && nowhere.contains("Your business"));
    let switch = crate::from_own_page(Call::post("/environment")).cookie(COOKIE, &session).form("environment=staging");
    let unread = world.send(switch).await.expect(422).text();
    assert!(unread.contains("bad_request") && unread.contains("Your business"));
    world.send(Call::get("/nowhere").bearer(&world.token)).await.expect(404);
    let bare = world.send(by_browser(Call::get("/gone"))).await.expect(404).text();
    assert!(bare.contains("evt_1") && !bare.contains("Your business"), "a stranger sees no frame");
}
