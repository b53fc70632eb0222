//! Every sample renders, and keeps the promises that markup can keep.

use std::collections::BTreeSet;
use ui::{Theme, samples};

/// The tags of a document in order: name and attributes, as they stand.
fn tags(document: &str) -> Vec<(&str, &str)> {
    document
        .split('<')
        .skip(1)
        .filter(|part| part.starts_with(|first: char| first.is_ascii_alphabetic()))
        .map(|part| {
            // Attribute values are escaped, so the first `>` ends the tag.
            let tag = &part[..part.find('>').unwrap()];
            tag.split_once(' ').unwrap_or((tag, ""))
        })
        .collect()
}

fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let start = format!(" {attributes}").find(&format!(" {name}=\""))? + name.len() + 2;
    attributes[start..].split('"').next()
}

fn each(check: impl Fn(&str, &str)) {
    let samples = samples::samples(Theme::System);
    assert!(samples.len() >= 12);
    for sample in samples {
        check(sample.name, &sample.document.into_string());
    }
}

#[test]
fn ids_are_unique_and_what_is_referred_to_exists() {
    each(|name, document| {
        let tags = tags(document);
        let mut ids = BTreeSet::new();
        for id in tags.iter().filter_map(|(_, attributes)| attribute(attributes, "id")) {
            assert!(ids.insert(id), "{name}: the id {id} stands twice");
        }
        for (tag, attributes) in &tags {
            for reference in ["for", "popovertarget", "aria-describedby"] {
                for id in attribute(attributes, reference).unwrap_or_default().split_whitespace() {
                    assert!(ids.contains(id), "{name}: <{tag} {reference}> leads to {id}, which is not there");
                }
            }
        }
        assert!(ids.contains("content"), "{name}: the skip link leads nowhere");
    });
}

#[test]
fn every_field_has_a_label_and_every_button_and_link_words() {
    each(|name, document| {
        let tags = tags(document);
        let labelled: BTreeSet<&str> =
            tags.iter().filter(|(tag, _)| *tag == "label").filter_map(|(_, label)| attribute(label, "for")).collect();
        for (tag, attributes) in &tags {
            let kind = attribute(attributes, "type").unwrap_or_default();
            if !matches!(*tag, "input" | "select" | "textarea") || kind == "hidden" || kind == "radio" {
                continue;
            }
            let id = attribute(attributes, "id").unwrap_or_default();
            let has_label = labelled.contains(id) || attribute(attributes, "aria-label").is_some();
            assert!(has_label, "{name}: <{tag} {attributes}> has no label");
        }
        for tag in ["button", "a", "h1", "h2", "summary", "label", "legend", "th"] {
            for open in [format!("<{tag} "), format!("<{tag}>")] {
                for element in document.split(&open).skip(1) {
                    let element = if open.ends_with(' ') { element.split_once('>').unwrap().1 } else { element };
                    let inside = element.split(&format!("</{tag}>")).next().unwrap();
                    // Text is what stands behind each tag's end and before the next one's beginning.
                    let has_words = inside.split('<').enumerate().any(|(index, part)| {
                        let text = if index == 0 { part } else { part.split_once('>').unwrap().1 };
                        !text.trim().is_empty()
                    });
                    assert!(has_words, "{name}: <{tag}> without words: {inside}");
                }
            }
        }
    });
}

#[test]
fn pages_work_under_a_strict_content_policy_and_stay_small() {
    each(|name, document| {
        for (tag, attributes) in tags(document) {
            assert!(attribute(attributes, "style").is_none(), "{name}: <{tag}> has an inline style");
            assert!(!attributes.contains(" on") || attribute(attributes, "onclick").is_none(), "{name}: <{tag}>");
            assert!(tag != "style", "{name}: an inline style sheet");
            assert!(tag != "script" || attribute(attributes, "src").is_some(), "{name}: an inline script");
        }
        // Both galleries hold more than any page does.
        if !matches!(name, "charts" | "components") {
            assert!(document.len() < 60_000, "{name}: {} bytes", document.len());
        }
    });
}

#[test]
fn each_page_says_where_one_is_and_forms_carry_their_token() {
    each(|name, document| {
        assert_eq!(document.matches("<h1>").count(), 1, "{name}");
        assert_eq!(document.matches("<main").count(), 1, "{name}");
        assert!(document.starts_with("<!DOCTYPE html><html lang=\"en\""), "{name}");
        if !matches!(name, "sign-in" | "problem") {
            let posts = document.matches("method=\"post\"").count();
            assert_eq!(document.matches("name=\"csrf\"").count(), posts, "{name}: a form lacks its token");
        }
        for marked in ["None", "Some(", "Debug"] {
            assert!(!document.contains(marked), "{name}: {marked} reached the page");
        }
    });
}

#[test]
fn test_mode_is_said_in_words_and_tints_the_frame() {
    each(|name, document| {
        let test = document.contains("data-environment=\"test\"");
        assert_eq!(document.contains("No real money moves here."), test, "{name}");
    });
}

#[test]
fn what_people_type_never_becomes_markup() {
    let evil = "<script>alert(\"1\")</script>'";
    let view = ui::View::utc(samples::now());
    let frame =
        ui::Frame { search_text: evil.to_owned(), ..ui::Frame::new(evil, kit::Environment::Test, view.clone()) };
    let table = ui::component::Table::new(evil, vec![ui::component::Column::text(evil)])
        .row(ui::component::Row::new(vec![ui::component::copyable(evil)]).href(evil));
    let field = ui::component::Field::text(evil, evil).value(evil).hint(evil).error(Some(evil));
    let chart =
        ui::chart::Chart::bars("chart", evil, ui::chart::Unit::Count, vec![ui::chart::Period::new(evil, evil)], &view)
            .series(ui::chart::Series::new(evil, [1]))
            .series(ui::chart::Series::new(evil, [2]));
    let page = ui::Page::new(evil, &frame).state(ui::Tone::Good, evil).body(ui::html! { (table) (field) (chart) });
    let document = page.render().into_string();
    assert!(!document.contains("<script>alert"), "unescaped");
    assert!(!document.contains("=\"<"), "an attribute was broken out of");
}
