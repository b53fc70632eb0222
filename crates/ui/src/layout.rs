//! The frame around every page: navigation, top bar, title with its sentence of state, and the bare frame of sign-in.

use crate::{
    assets,
    component::{self, Problem, Tone},
    icon::Icon,
    view::{Theme, View},
    words,
};
use kit::Environment;
use maud::{DOCTYPE, Markup, Render, html};

/// Name of the hidden field that carries the token against forged requests.
pub const CSRF_FIELD: &str = "csrf";

/// What surrounds a page, the same for all pages of one request. It has no `Debug`, since it may hold a token.
#[derive(Clone)]
pub struct Frame {
    /// Whose data is shown.
    pub organization: String,
    /// Which of its environments; test mode tints the frame.
    pub environment: Environment,
    /// Where the environment is switched; nothing shows it without a switch.
    pub switch: Option<EnvironmentSwitch>,
    /// The entries of the navigation that exist here, in order.
    pub navigation: Vec<NavEntry>,
    /// Where the search box asks, by `GET …?q=`; no box without it.
    pub search_action: Option<String>,
    /// What was searched for.
    pub search_text: String,
    /// How many alerts stand open, and where they are listed.
    pub alerts: Option<Alerts>,
    /// Who is signed in.
    pub person: Option<Person>,
    /// The token that every form of this page carries.
    pub csrf: Option<String>,
    /// This request's id, for support.
    pub request_id: Option<String>,
    /// Light, dark or the system's.
    pub theme: Theme,
    /// How the person reads figures and times.
    pub view: View,
}

impl Frame {
    /// A frame with nothing optional in it; the rest are public fields.
    pub fn new(organization: impl Into<String>, environment: Environment, view: View) -> Frame {
        Frame {
            organization: organization.into(),
            environment,
            switch: None,
            navigation: Vec::new(),
            search_action: None,
            search_text: String::new(),
            alerts: None,
            person: None,
            csrf: None,
            request_id: None,
            theme: Theme::System,
            view,
        }
    }
}

/// The form that switches between test and live: it posts `environment`, `return_to` and the token.
#[derive(Clone, Debug)]
pub struct EnvironmentSwitch {
    /// Where the form posts to.
    pub action: String,
    /// The address to come back to.
    pub return_to: String,
}

/// The sign of open alerts in the top bar.
#[derive(Clone, Debug)]
pub struct Alerts {
    /// How many stand open.
    pub count: u32,
    /// Where they are listed.
    pub href: String,
}

/// Who is signed in.
#[derive(Clone, Debug)]
pub struct Person {
    /// What they are called.
    pub name: String,
    /// A second line, such as their address or role.
    pub detail: String,
    /// Where the sign-out form posts to.
    pub sign_out_action: String,
    /// Further links of the person's menu: words and address.
    pub links: Vec<(String, String)>,
}

/// One entry of the navigation.
#[derive(Clone, Debug)]
pub struct NavEntry {
    /// Its word.
    pub label: String,
    /// Where it leads.
    pub href: String,
    /// The icon beside the word.
    pub icon: Icon,
    /// A number that waits for somebody behind the entry; zero shows nothing.
    pub waiting: u32,
}

impl NavEntry {
    /// An entry without a waiting number.
    pub fn new(label: impl Into<String>, href: impl Into<String>, icon: Icon) -> NavEntry {
        NavEntry { label: label.into(), href: href.into(), icon, waiting: 0 }
    }
}

/// One page. [`Page::render`] gives the whole document, which axum answers as it is.
#[derive(Clone)]
pub struct Page<'a> {
    /// What surrounds it.
    pub frame: &'a Frame,
    /// Its title, also the browser tab's.
    pub title: String,
    /// Where it belongs: words and address of the pages above.
    pub above: Vec<(String, String)>,
    /// One sentence of state under the title.
    pub state: Option<(Tone, Markup)>,
    /// The one main action, at the right of the title.
    pub action: Option<Markup>,
    /// Address of the navigation entry it belongs to.
    pub active: String,
    /// Address of the event stream that keeps its live parts up to date.
    pub live: Option<String>,
    /// The content, in order of importance.
    pub body: Markup,
}

impl<'a> Page<'a> {
    /// An empty page.
    pub fn new(title: impl Into<String>, frame: &'a Frame) -> Page<'a> {
        Page {
            frame,
            title: title.into(),
            above: Vec::new(),
            state: None,
            action: None,
            active: String::new(),
            live: None,
            body: Markup::default(),
        }
    }

    /// Sets the sentence of state: text, or markup with a link or a live time in it.
    pub fn state(mut self, tone: Tone, sentence: impl Render) -> Self {
        self.state = Some((tone, sentence.render()));
        self
    }

    /// Sets the main action: a button or a link button.
    pub fn action(mut self, action: impl Render) -> Self {
        self.action = Some(action.render());
        self
    }

    /// Names the navigation entry that this page belongs to by its address.
    pub fn active(mut self, href: impl Into<String>) -> Self {
        self.active = href.into();
        self
    }

    /// Adds a page above this one, outermost first.
    pub fn above(mut self, label: impl Into<String>, href: impl Into<String>) -> Self {
        self.above.push((label.into(), href.into()));
        self
    }

    /// Names the event stream that updates the page's live parts (see [`crate::live`]).
    pub fn live(mut self, href: impl Into<String>) -> Self {
        self.live = Some(href.into());
        self
    }

    /// Sets the content.
    pub fn body(mut self, body: impl Render) -> Self {
        self.body = body.render();
        self
    }

    /// The whole document.
    pub fn render(&self) -> Markup {
        let frame = self.frame;
        let test = frame.environment == Environment::Test;
        html! {
            (DOCTYPE)
            html lang="en" data-theme=[frame.theme.as_attribute()] data-environment=(frame.environment)
                data-now=(frame.view.now.seconds()) {
                (head(&format!("{} · {} · Bursar", self.title, frame.organization)))
                body.framed {
                    a.skip href="#content" { "Skip to the content" }
                    (top_bar(frame))
                    @if test { aside.test-band aria-label="Environment in use" { strong { "Test mode" } " No real money moves here." } }
                    (navigation(frame, &self.active))
                    main #content tabindex="-1" data-live=[self.live.as_deref()] {
                        (self.page_head())
                        (self.body)
                        footer.page-foot {
                            span { "Bursar " (env!("CARGO_PKG_VERSION")) }
                            @if let Some(request_id) = &frame.request_id { span { "Request " code { (request_id) } } }
                        }
                    }
                }
            }
        }
    }

    fn page_head(&self) -> Markup {
        html! {
            header.page-head {
                div {
                    @if !self.above.is_empty() {
                        nav.above aria-label="Pages above" {
                            @for (label, href) in &self.above { a href=(href) { (label) } span aria-hidden="true" { "/" } }
                        }
                    }
                    h1 { (self.title) }
                    @if let Some((tone, sentence)) = &self.state {
                        p id=(crate::live::STATE) data-live-part { (crate::live::state_line(*tone, sentence)) }
                    }
                }
                @if self.action.is_some() || self.live.is_some() {
                    div.page-tools {
                        @if self.live.is_some() { (live_line(&self.frame.view)) }
                        @if let Some(action) = &self.action { (action) }
                    }
                }
            }
        }
    }
}

impl Render for Page<'_> {
    fn render(&self) -> Markup {
        Page::render(self)
    }
}

/// "Updated 09:41:07", which the script turns into the state of the event stream.
fn live_line(view: &View) -> Markup {
    html! {
        p.live data-live-line {
            span.live-sign aria-hidden="true" {}
            span role="status" data-live-state {}
            span { "Updated " time data-live-time { (words::time_of_day(view.now, &view.zone)) } }
        }
    }
}

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="robots" content="noindex";
            title { (title) }
            link rel="icon" href=(assets::mark_path()) type="image/svg+xml";
            link rel="stylesheet" href=(assets::style_path());
            script defer src=(assets::script_path()) {}
        }
    }
}

fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 32 32" width="24" height="24" aria-hidden="true" {
            rect width="32" height="32" rx="8" {}
            path d="M10 8v16M10 8h7.5a4 4 0 0 1 0 8H10m0 0h8.5a4 4 0 0 1 0 8H10" {}
        }
    }
}

fn top_bar(frame: &Frame) -> Markup {
    html! {
        header.top {
            button.button.quiet.menu-button type="button" popovertarget="navigation" {
                (Icon::Menu) span.sr { "Menu" }
            }
            a.brand href="/" aria-label="Bursar, to the overview" { (mark()) span { "Bursar" } }
            div.where { span.organization { (frame.organization) } (switch(frame)) }
            @if let Some(action) = &frame.search_action {
                form.search role="search" action=(action) method="get" {
                    (Icon::Search)
                    input type="search" name="q" value=(frame.search_text) placeholder="Search" aria-label="Search"
                        autocomplete="off" data-search;
                    kbd.script-only aria-hidden="true" { "/" }
                }
            } @else { span.stretch {} }
            @if let Some(alerts) = &frame.alerts {
                a.alerts.waiting[alerts.count > 0] href=(alerts.href) {
                    (Icon::Bell)
                    @match alerts.count {
                        0 => span.sr { "No alerts" },
                        1 => { span.bubble { "1" } span.sr { " alert" } },
                        count => { span.bubble { (count) } span.sr { " alerts" } },
                    }
                }
            }
            @if let Some(person) = &frame.person { (person_menu(person, frame.csrf.as_deref())) }
        }
    }
}

fn switch(frame: &Frame) -> Markup {
    let name = |environment| match environment {
        Environment::Test => "Test",
        Environment::Live => "Live",
    };
    let Some(switch) = &frame.switch else {
        return html! { span.environment { (name(frame.environment)) } };
    };
    html! {
        form.switch method="post" action=(switch.action) aria-label="Environment" {
            (component::csrf(frame.csrf.as_deref()))
            input type="hidden" name="return_to" value=(switch.return_to);
            @for environment in Environment::ALL {
                button type="submit" name="environment" value=(environment)
                    aria-pressed=(if environment == frame.environment { "true" } else { "false" }) { (name(environment)) }
            }
        }
    }
}

fn person_menu(person: &Person, csrf: Option<&str>) -> Markup {
    let initials: String = person
        .name
        .split_whitespace()
        .filter_map(|word| word.chars().next())
        .take(2)
        .collect::<String>()
        .to_uppercase();
    html! {
        button.person type="button" popovertarget="person" {
            span.initials aria-hidden="true" { (initials) } span.sr { "Signed in as " (person.name) }
        }
        div.menu #person popover {
            p { strong { (person.name) } br; span.muted { (person.detail) } }
            @for (label, href) in &person.links { a href=(href) { (label) } }
            form method="post" action=(person.sign_out_action) {
                (component::csrf(csrf))
                button.button.quiet type="submit" { "Sign out" }
            }
        }
    }
}

fn navigation(frame: &Frame, active: &str) -> Markup {
    html! {
        // A popover opens and closes without a script; from tablet width on the style sheet shows it as a column.
        nav.side #navigation popover aria-label="Main" {
            ul {
                @for entry in &frame.navigation {
                    li {
                        a href=(entry.href) aria-current=[(entry.href == active).then_some("page")] {
                            (entry.icon) span { (entry.label) }
                            @if entry.waiting > 0 { span.bubble { (entry.waiting) span.sr { " waiting" } } }
                        }
                    }
                }
            }
        }
    }
}

/// The bare page of sign-in and of first steps: a mark, a title, a form, nothing to wander off to.
pub struct SignIn {
    /// Title, such as "Sign in".
    pub title: String,
    /// One or two sentences under it.
    pub intro: Markup,
    /// The form.
    pub body: Markup,
    /// Light, dark or the system's.
    pub theme: Theme,
}

impl SignIn {
    /// The whole document.
    pub fn render(&self) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" data-theme=[self.theme.as_attribute()] {
                (head(&format!("{} · Bursar", self.title)))
                body.bare {
                    main.bare-box #content {
                        p.bare-brand { (mark()) "Bursar" }
                        h1 { (self.title) }
                        div.bare-intro { (self.intro) }
                        (self.body)
                    }
                }
            }
        }
    }
}

/// A page for a problem that has no frame to stand in: nobody is signed in, or the frame could not be read.
pub fn bare_problem(problem: &Problem, theme: Theme) -> Markup {
    SignIn {
        title: "This page cannot be shown".to_owned(),
        intro: Markup::default(),
        body: html! { (problem) p { a href="/" { "Back to the overview" } } },
        theme,
    }
    .render()
}
