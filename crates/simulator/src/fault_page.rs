//! The fault page, `GET /_sim`: each fault a button with a sentence of what it does and what to look for in Bursar; what is
//! set, what happened, deliveries, calls and time beside it.
//!
//! A form each, so that it works without scripts; the script presses without leaving the page and renews the state.

mod press;
mod state;

use crate::simulator::Simulator;
use http::{Method, StatusCode};
use maud::{DOCTYPE, Markup, html};
use press::{Button, GROUPS};

const STYLE: &str = include_str!("fault_page/page.css");
const SCRIPT: &str = include_str!("fault_page/page.js");

/// What the page's routes answer: a file, or where to go on.
pub(crate) enum Shown {
    /// Status, content type and text.
    File(StatusCode, &'static str, String),
    /// Back to the page.
    Back,
}

/// What one of the page's routes answers; none if the path is not one of them.
pub(crate) fn answer(simulator: &Simulator, method: &Method, path: &str, body: &[u8]) -> Option<Shown> {
    let html = "text/html; charset=utf-8";
    Some(match (method.as_str(), path) {
        ("GET", "/_sim" | "/_sim/") => Shown::File(StatusCode::OK, html, whole(simulator).into_string()),
        ("GET", "/_sim/state") => Shown::File(StatusCode::OK, html, state::state(simulator).into_string()),
        ("GET", "/_sim/page.css") => Shown::File(StatusCode::OK, "text/css; charset=utf-8", STYLE.to_owned()),
        ("GET", "/_sim/page.js") => Shown::File(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT.to_owned()),
        ("POST", "/_sim/press") => match press::press(simulator, &String::from_utf8_lossy(body)) {
            Ok(_) => Shown::Back,
            Err(why) => Shown::File(
                StatusCode::BAD_REQUEST,
                html,
                frame(html! { p.notice role="alert" { (why) } }).into_string(),
            ),
        },
        _ => return None,
    })
}

fn frame(main: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { "Faults · Stripe simulator" }
                link rel="stylesheet" href="/_sim/page.css";
                script src="/_sim/page.js" defer {}
            }
            body {
                a.skip href="#faults" { "To the faults" }
                (main)
            }
        }
    }
}

fn whole(simulator: &Simulator) -> Markup {
    frame(html! {
        header {
            div {
                h1 { "Faults" }
                p.muted { "This stands in for Stripe. Make it fail, and watch Bursar’s overview beside it." }
            }
            form method="post" action="/_sim/press" {
                button.main type="submit" name="press" value="heal" { "Clear all" }
            }
        }
        p #said role="status" aria-live="polite" {}
        main {
            section #state aria-label="What is set and what happened" { (state::state(simulator)) }
            div #faults tabindex="-1" {
                @for group in GROUPS {
                    section {
                        h2 { (group.title) }
                        @if let Some(hint) = group.hint { p.muted { (hint) } }
                        ul.buttons {
                            @for button in group.buttons { li { (card(button)) } }
                        }
                    }
                }
            }
        }
        footer.muted {
            "The same by JSON: " code { "GET /_sim/faults" } ", " code { "POST /_sim/faults" } ", " code { "POST /_sim/plan" }
            ". Only this machine is answered."
        }
    })
}

fn card(button: &Button) -> Markup {
    let told = format!("about-{}", button.name);
    html! {
        form method="post" action="/_sim/press" {
            @for field in button.fields {
                label {
                    span { (field.label) }
                    input type="number" name=(field.name) value=(field.value) min=(field.least) max=(field.most) inputmode="numeric" required;
                }
            }
            button type="submit" name="press" value=(button.name) aria-describedby=(told) { (button.label) }
            p id=(told) { (button.does) " " span.muted { (button.see) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;

    #[test]
    fn every_button_is_on_the_page_and_does_what_it_says() {
        let simulator = Simulator::new(Options::default());
        let page = whole(&simulator).into_string();
        for button in GROUPS.iter().flat_map(|group| group.buttons) {
            assert!(page.contains(&format!("value=\"{}\"", button.name)), "{}", button.name);
            let fields: String = button.fields.iter().map(|field| format!("&{}={}", field.name, field.value)).collect();
            let said = press::press(&simulator, &format!("press={}{fields}", button.name));
            assert!(said.as_ref().is_ok_and(|said| !said.is_empty()), "{}: {said:?}", button.name);
        }
        let set = simulator.faults().report().set.len();
        assert!(set > 30, "{set} faults are set");
        let state = state::state(&simulator).into_string();
        assert!(state.contains("rate_limit global-rate"));
        press::press(&simulator, "press=heal").unwrap();
        let report = simulator.faults().report();
        assert_eq!((report.set.len(), report.plan, report.keys_revoked), (0, None, 0));
        for wrong in
            ["", "press=nonsense", "press=clear&id=99", "press=seed&seed=x&each=1", "press=seed&seed=1&each=9999"]
        {
            assert!(press::press(&simulator, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_page_is_small_and_names_nothing_of_other_machines() {
        let page = whole(&Simulator::new(Options::default())).into_string();
        assert!(page.len() + STYLE.len() + SCRIPT.len() < 60_000, "{} bytes", page.len());
        for part in [page.as_str(), STYLE, SCRIPT] {
            assert!(!part.contains("://") && !part.contains("style=\""), "no address and no inline style");
        }
    }
}
