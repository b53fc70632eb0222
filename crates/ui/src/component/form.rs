//! Forms: a label on every field, hint and error beside it, and what was typed kept.

use super::{Button, Problem, button::csrf};
use maud::{Markup, Render, html};

/// A form that posts.
#[derive(Clone)]
pub struct Form {
    action: String,
    csrf: Option<String>,
    fields: Vec<Field>,
    problem: Option<Problem>,
    buttons: Vec<Button>,
    get: bool,
}

impl Form {
    /// Posts to `action` with the token against forged requests.
    pub fn post(action: impl Into<String>, token: Option<&str>) -> Form {
        Form {
            action: action.into(),
            csrf: token.map(str::to_owned),
            fields: Vec::new(),
            problem: None,
            buttons: Vec::new(),
            get: false,
        }
    }

    /// Asks with its fields in the address, as filters do: a view that can be shared.
    pub fn get(action: impl Into<String>) -> Form {
        Form { get: true, ..Form::post(action, None) }
    }

    /// Adds a field.
    pub fn field(mut self, field: Field) -> Form {
        self.fields.push(field);
        self
    }

    /// What went wrong with the form as a whole, shown above its fields.
    pub fn problem(mut self, problem: Option<Problem>) -> Form {
        self.problem = problem;
        self
    }

    /// Adds a button; the first is the one that Enter presses.
    pub fn button(mut self, button: Button) -> Form {
        self.buttons.push(button);
        self
    }
}

impl Render for Form {
    fn render(&self) -> Markup {
        html! {
            form.(if self.get { "filters" } else { "form" }) action=(self.action) method=(if self.get { "get" } else { "post" }) {
                (csrf(self.csrf.as_deref()))
                @if let Some(problem) = &self.problem { (problem) }
                @for field in &self.fields { (field) }
                div.buttons { @for button in &self.buttons { (button) } }
            }
        }
    }
}

/// One choice of a select or of radio buttons.
#[derive(Clone, Debug)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is read.
    pub label: String,
    /// More about it; radio buttons show it.
    pub hint: Option<String>,
}

impl Choice {
    /// A choice without a hint.
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Choice {
        Choice { value: value.into(), label: label.into(), hint: None }
    }

    /// Adds more about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Choice {
        self.hint = Some(hint.into());
        self
    }
}

#[derive(Clone)]
enum Control {
    Input { kind: &'static str },
    Secret,
    Area { rows: u8 },
    Select { choices: Vec<Choice> },
    Radio { choices: Vec<Choice> },
    Check { checked: bool },
    Hidden,
}

/// One field. Its id is `field-` and its name, so a page holds each name once (or sets another id).
#[derive(Clone)]
pub struct Field {
    name: String,
    id: String,
    label: String,
    control: Control,
    value: String,
    hint: Option<String>,
    error: Option<String>,
    required: bool,
    first: bool,
    autocomplete: &'static str,
    placeholder: Option<String>,
    max_length: u32,
}

impl Field {
    fn new(name: impl Into<String>, label: impl Into<String>, control: Control) -> Field {
        let name = name.into();
        Field {
            id: format!("field-{name}"),
            name,
            label: label.into(),
            control,
            value: String::new(),
            hint: None,
            error: None,
            required: false,
            first: false,
            autocomplete: "off",
            placeholder: None,
            max_length: 500,
        }
    }

    /// A line of text.
    pub fn text(name: impl Into<String>, label: impl Into<String>) -> Field {
        Field::new(name, label, Control::Input { kind: "text" })
    }

    /// A line of another kind that browsers know: `email`, `url`, `number`, `date`, `search`.
    pub fn input(kind: &'static str, name: impl Into<String>, label: impl Into<String>) -> Field {
        Field::new(name, label, Control::Input { kind })
    }

    /// A secret: typed, never shown again, never kept. [`Field::value`] has no effect on it.
    pub fn secret(name: impl Into<String>, label: impl Into<String>) -> Field {
        Field::new(name, label, Control::Secret)
    }

    /// Several lines of text.
    pub fn area(name: impl Into<String>, label: impl Into<String>, rows: u8) -> Field {
        Field { max_length: 20_000, ..Field::new(name, label, Control::Area { rows }) }
    }

    /// One of many, folded.
    pub fn select(name: impl Into<String>, label: impl Into<String>, choices: Vec<Choice>) -> Field {
        Field::new(name, label, Control::Select { choices })
    }

    /// One of few, all in view.
    pub fn radio(name: impl Into<String>, label: impl Into<String>, choices: Vec<Choice>) -> Field {
        Field::new(name, label, Control::Radio { choices })
    }

    /// Yes or no; yes sends `on`.
    pub fn check(name: impl Into<String>, label: impl Into<String>, checked: bool) -> Field {
        Field::new(name, label, Control::Check { checked })
    }

    /// A value that goes along unseen.
    pub fn hidden(name: impl Into<String>, value: impl Into<String>) -> Field {
        Field::new(name, "", Control::Hidden).value(value)
    }

    /// What was typed, or what is set.
    pub fn value(mut self, value: impl Into<String>) -> Field {
        self.value = value.into();
        self
    }

    /// What to type, in a few words beneath.
    pub fn hint(mut self, hint: impl Into<String>) -> Field {
        self.hint = Some(hint.into());
        self
    }

    /// What is wrong with what was typed, and how to put it right.
    pub fn error(mut self, error: Option<impl Into<String>>) -> Field {
        self.error = error.map(Into::into);
        self
    }

    /// Cannot be left empty.
    pub fn required(mut self) -> Field {
        self.required = true;
        self
    }

    /// Has the focus when the page opens; one field of a page.
    pub fn first(mut self) -> Field {
        self.first = true;
        self
    }

    /// What a browser may fill in, such as `email` or `current-password`; nothing unless said.
    pub fn autocomplete(mut self, kind: &'static str) -> Field {
        self.autocomplete = kind;
        self
    }

    /// An example inside the empty field; never the only hint.
    pub fn placeholder(mut self, example: impl Into<String>) -> Field {
        self.placeholder = Some(example.into());
        self
    }

    /// Most characters; 500 unless said, 20,000 for several lines.
    pub fn max_length(mut self, characters: u32) -> Field {
        self.max_length = characters;
        self
    }

    /// Another id, where a page holds two fields of one name.
    pub fn id(mut self, id: impl Into<String>) -> Field {
        self.id = id.into();
        self
    }

    fn described_by(&self) -> Option<String> {
        let parts: Vec<String> = [
            self.error.as_ref().map(|_| format!("{}-error", self.id)),
            self.hint.as_ref().map(|_| format!("{}-hint", self.id)),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }

    fn remarks(&self) -> Markup {
        html! {
            @if let Some(error) = &self.error { p.field-error id={ (self.id) "-error" } { (super::Tone::Bad.sign()) (error) } }
            @if let Some(hint) = &self.hint { p.field-hint id={ (self.id) "-hint" } { (hint) } }
        }
    }

    fn label(&self) -> Markup {
        html! { label for=(self.id) { (self.label) @if !self.required { span.optional { " optional" } } } }
    }

    fn line(&self, kind: &str, value: Option<&str>) -> Markup {
        html! {
            input.secret-input[matches!(self.control, Control::Secret)] type=(kind) id=(self.id) name=(self.name) value=[value]
                required[self.required] autofocus[self.first] autocomplete=(self.autocomplete) placeholder=[self.placeholder.as_ref()]
                maxlength=(self.max_length) aria-describedby=[self.described_by()] aria-invalid=[self.error.as_ref().map(|_| "true")]
                spellcheck="false";
        }
    }

    fn select_markup(&self, choices: &[Choice]) -> Markup {
        html! {
            select id=(self.id) name=(self.name) required[self.required] autofocus[self.first]
                aria-describedby=[self.described_by()] aria-invalid=[self.error.as_ref().map(|_| "true")] {
                @for choice in choices {
                    option value=(choice.value) selected[choice.value == self.value] { (choice.label) }
                }
            }
        }
    }

    fn radio_markup(&self, choices: &[Choice]) -> Markup {
        html! {
            fieldset.field.invalid[self.error.is_some()] aria-describedby=[self.described_by()] {
                legend { (self.label) }
                div.choices {
                    @for (position, choice) in choices.iter().enumerate() {
                        label.choice {
                            input type="radio" name=(self.name) id={ (self.id) "-" (position) } value=(choice.value)
                                checked[choice.value == self.value] required[self.required]
                                autofocus[self.first && position == 0];
                            span { span.choice-label { (choice.label) }
                                @if let Some(hint) = &choice.hint { span.choice-hint { (hint) } } }
                        }
                    }
                }
                (self.remarks())
            }
        }
    }
}

impl Render for Field {
    fn render(&self) -> Markup {
        let control = match &self.control {
            Control::Hidden => return html! { input type="hidden" name=(self.name) value=(self.value); },
            Control::Radio { choices } => return self.radio_markup(choices),
            Control::Check { checked } => {
                return html! {
                    div.field.check.invalid[self.error.is_some()] {
                        input type="checkbox" id=(self.id) name=(self.name) checked[*checked] autofocus[self.first]
                            aria-describedby=[self.described_by()];
                        label for=(self.id) { (self.label) }
                        (self.remarks())
                    }
                };
            }
            Control::Input { kind } => self.line(kind, Some(&self.value)),
            // A password field neither shows what is typed nor comes back filled after an error.
            Control::Secret => self.line("password", None),
            Control::Select { choices } => self.select_markup(choices),
            Control::Area { rows } => html! {
                textarea id=(self.id) name=(self.name) rows=(rows) required[self.required] autofocus[self.first]
                    maxlength=(self.max_length) placeholder=[self.placeholder.as_ref()] aria-describedby=[self.described_by()]
                    aria-invalid=[self.error.as_ref().map(|_| "true")] { (self.value) }
            },
        };
        html! { div.field.invalid[self.error.is_some()] { (self.label()) (control) (self.remarks()) } }
    }
}
