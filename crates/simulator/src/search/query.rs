//! The query language: clauses of a field, an operator and a value, joined by AND or by OR.

use crate::{
    json::{member, plain, plain_member},
    problem::Refusal,
    resources::Kind,
};

/// What a field holds, which decides its operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// A word, an id or a truth: equal or not.
    Token,
    /// A text: equal, or containing at least three characters.
    Text,
    /// A number: compared.
    Number,
}

/// A field that a resource can be searched by.
#[derive(Debug)]
pub(crate) struct Field {
    /// As the query names it.
    pub(crate) name: &'static str,
    /// Where it is in the object.
    pub(crate) path: &'static str,
    pub(crate) kind: FieldKind,
}

impl Field {
    pub(crate) const fn token(name: &'static str) -> Field {
        Field { name, path: name, kind: FieldKind::Token }
    }
    pub(crate) const fn text(name: &'static str) -> Field {
        Field { name, path: name, kind: FieldKind::Text }
    }
    pub(crate) const fn number(name: &'static str) -> Field {
        Field { name, path: name, kind: FieldKind::Number }
    }
    /// The same field at another place in the object.
    pub(crate) const fn at(self, path: &'static str) -> Field {
        Field { path, ..self }
    }
}

const CLAUSES_MAX: usize = 10;
const LENGTH_MAX: usize = 5_000;
const SUBSTRING_MIN: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Is,
    Contains,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// The field is absent or null.
    Null,
    /// In lower case: matching does not tell cases apart.
    Text(String),
    Number(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Member(&'static str),
    Metadata(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Clause {
    negated: bool,
    place: Place,
    operator: Operator,
    wanted: Wanted,
}

/// A parsed query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    clauses: Vec<Clause>,
    any: bool,
}

impl Query {
    /// Reads a query for a kind of object.
    pub(crate) fn parse(text: &str, kind: Kind) -> Result<Query, Refusal> {
        if text.len() > LENGTH_MAX {
            return Err(wrong(format!("The query must be at most {LENGTH_MAX} characters.")));
        }
        let mut reader = Reader { rest: text, kind };
        let (mut clauses, mut joins) = (Vec::new(), Vec::new());
        loop {
            reader.skip_space();
            if reader.rest.is_empty() {
                break;
            }
            if !clauses.is_empty() {
                joins.push(reader.join());
                reader.skip_space();
            }
            clauses.push(reader.clause()?);
        }
        if clauses.is_empty() {
            return Err(unparsable());
        }
        if clauses.len() > CLAUSES_MAX {
            return Err(wrong(format!("Queries can have at most {CLAUSES_MAX} clauses.")));
        }
        let any = joins.contains(&true);
        if any && joins.contains(&false) {
            return Err(wrong("You can't combine AND and OR in the same query."));
        }
        Ok(Query { clauses, any })
    }

    /// Whether an object's text is found by the query.
    pub(crate) fn fits(&self, text: &str) -> bool {
        let fits = |clause: &Clause| clause.fits(text) != clause.negated;
        if self.any { self.clauses.iter().any(fits) } else { self.clauses.iter().all(fits) }
    }
}

impl Clause {
    fn fits(&self, text: &str) -> bool {
        let held = match &self.place {
            Place::Member(path) => plain_member(text, path),
            Place::Metadata(key) => {
                let pairs = member(text, "metadata").unwrap_or("{}");
                let mut found = None;
                crate::json::members(pairs, |name, value| {
                    if name == key {
                        found = plain(value);
                    }
                    found.is_none()
                });
                found
            }
        };
        match (&self.wanted, held) {
            (Wanted::Null, held) => held.is_none(),
            (_, None) => false,
            (Wanted::Text(wanted), Some(held)) => match self.operator {
                Operator::Contains => held.to_lowercase().contains(wanted.as_str()),
                _ => held.eq_ignore_ascii_case(wanted) || held.to_lowercase() == *wanted,
            },
            (Wanted::Number(wanted), Some(held)) => held.parse::<i64>().is_ok_and(|held| match self.operator {
                Operator::Is | Operator::Contains => held == *wanted,
                Operator::Greater => held > *wanted,
                Operator::Less => held < *wanted,
                Operator::GreaterOrEqual => held >= *wanted,
                Operator::LessOrEqual => held <= *wanted,
            }),
        }
    }
}

fn wrong(message: impl Into<String>) -> Refusal {
    Refusal::bad(message).param("query")
}

fn unparsable() -> Refusal {
    wrong(
        "We were unable to parse your search query. Try using the format `metadata[\"key\"]:\"value\"` to query for metadata or key:\"value\" to query for other fields.",
    )
}

struct Reader<'a> {
    rest: &'a str,
    kind: Kind,
}

impl<'a> Reader<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, start: &str) -> bool {
        match self.rest.strip_prefix(start) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// What joins two clauses: true for OR; AND goes without saying.
    fn join(&mut self) -> bool {
        for (word, any) in [("and", false), ("or", true)] {
            let (Some(head), Some(rest)) = (self.rest.get(..word.len()), self.rest.get(word.len()..)) else { continue };
            if head.eq_ignore_ascii_case(word) && rest.starts_with(char::is_whitespace) {
                self.rest = rest;
                return any;
            }
        }
        false
    }

    fn clause(&mut self) -> Result<Clause, Refusal> {
        let negated = self.take("-");
        let word = self.word();
        if word == "metadata" && self.take("[") {
            let key = self.quoted()?.ok_or_else(unparsable)?;
            if !self.take("]") {
                return Err(unparsable());
            }
            let place = Place::Metadata(key);
            let (operator, wanted) = self.condition(FieldKind::Token, "metadata")?;
            return Ok(Clause { negated, place, operator, wanted });
        }
        if word.is_empty() || !self.rest.starts_with([':', '~', '<', '>']) {
            return Err(unparsable());
        }
        let fields = self.kind.resource().search.unwrap_or_default();
        let field = fields.iter().find(|field| field.name == word).ok_or_else(|| {
            let object = self.kind.object();
            wrong(format!(
                "Field `{word}` is an unsupported search field for resource `{object}s`. See http://stripe.com/docs/search#query-fields-for-{}s for a list of supported fields.",
                object.replace('_', "-")
            ))
        })?;
        let (operator, wanted) = self.condition(field.kind, word)?;
        Ok(Clause { negated, place: Place::Member(field.path), operator, wanted })
    }

    fn word(&mut self) -> &'a str {
        let end = self.rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.')));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    fn condition(&mut self, kind: FieldKind, name: &str) -> Result<(Operator, Wanted), Refusal> {
        const OPERATORS: [(&str, Operator); 6] = [
            (">=", Operator::GreaterOrEqual),
            ("<=", Operator::LessOrEqual),
            (">", Operator::Greater),
            ("<", Operator::Less),
            (":", Operator::Is),
            ("~", Operator::Contains),
        ];
        let (sign, operator) = OPERATORS.iter().find(|(sign, _)| self.take(sign)).copied().ok_or_else(unparsable)?;
        let allowed = match operator {
            Operator::Is => true,
            Operator::Contains => kind == FieldKind::Text,
            _ => kind == FieldKind::Number,
        };
        if !allowed {
            return Err(wrong(format!("Operator `{sign}` is not supported for field `{name}`.")));
        }
        let value = match self.quoted()? {
            Some(text) => text,
            None => {
                let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
                let (bare, rest) = self.rest.split_at(end);
                self.rest = rest;
                if bare.eq_ignore_ascii_case("null") && operator == Operator::Is {
                    return Ok((operator, Wanted::Null));
                }
                let fine = bare.parse::<i64>().is_ok() || matches!(bare, "true" | "false");
                if !fine {
                    return Err(unparsable());
                }
                bare.to_owned()
            }
        };
        if !self.rest.is_empty() && !self.rest.starts_with(char::is_whitespace) {
            return Err(unparsable());
        }
        if kind == FieldKind::Number {
            let number = value
                .parse()
                .map_err(|_| wrong(format!("Invalid value `{value}` for field `{name}`: it must be a number.")))?;
            return Ok((operator, Wanted::Number(number)));
        }
        if operator == Operator::Contains && value.chars().count() < SUBSTRING_MIN {
            return Err(wrong(format!(
                "The value of a substring match must have at least {SUBSTRING_MIN} characters; that of `{name}` has fewer."
            )));
        }
        Ok((operator, Wanted::Text(value.to_lowercase())))
    }

    /// A text in quotes of either kind, with backslashes before what would end it.
    fn quoted(&mut self) -> Result<Option<String>, Refusal> {
        let Some(quote) = self.rest.chars().next().filter(|letter| matches!(letter, '"' | '\'')) else {
            return Ok(None);
        };
        let mut text = String::new();
        let mut letters = self.rest.char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => match letters.next() {
                    Some((_, escaped)) => text.push(escaped),
                    None => return Err(unparsable()),
                },
                letter if letter == quote => {
                    self.rest = &self.rest[at + letter.len_utf8()..];
                    return Ok(Some(text));
                }
                letter => text.push(letter),
            }
        }
        Err(unparsable())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMY: &str = r#"{"id":"cus_1","object":"customer","created":1700,"email":"amy@rocketrides.io","metadata":{"plan":"Team","a'b":"x","n":"5"},"name":"Amy \"the\\ fast\" O'Neil","phone":null}"#;

    #[test]
    fn queries_find_what_they_say() {
        let check = |query: &str, expected: bool| {
            let parsed = Query::parse(query, Kind::Customer).unwrap_or_else(|refusal| panic!("{query}: {refusal}"));
            assert_eq!(parsed.fits(AMY), expected, "{query}");
        };
        for (query, expected) in [
            (r#"email:"amy@rocketrides.io""#, true),
            ("email:'AMY@rocketrides.io'", true),
            ("email:'amy'", false),
            ("email~'rocket'", true),
            ("email~'ROCKET'", true),
            ("-email~'rocket'", false),
            ("name~'o\\'neil'", true),
            (r#"name:"Amy \"the\\ fast\" O'Neil""#, true),
            ("created>1699", true),
            ("created>1700", false),
            ("created>=1700 AND created<=1700", true),
            ("created<1700 or email~'amy'", true),
            ("created:1700", true),
            ("phone:null", true),
            ("-phone:NULL", false),
            ("email:null", false),
            ("metadata['plan']:'team'", true),
            (r#"metadata["plan"]:"scale""#, false),
            ("metadata['missing']:null", true),
            ("-metadata['plan']:null", true),
            (r#"metadata["a'b"]:"x""#, true),
            ("metadata['n']:5", true),
            ("email~'amy' metadata['plan']:'team' created>1", true),
            ("email~'amy' and metadata['plan']:'none'", false),
            ("email~'bob' OR metadata['plan']:'none' OR created:1700", true),
        ] {
            check(query, expected);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |query: &str, expected: &str| {
            let refusal = Query::parse(query, Kind::Customer).err().unwrap_or_else(|| panic!("{query} was taken"));
            assert!(refusal.message.contains(expected), "{query}: {}", refusal.message);
            assert_eq!((refusal.status, refusal.param.as_deref()), (400, Some("query")));
        };
        for query in [
            "",
            "  ",
            "email",
            "amy",
            "email:",
            "email:amy",
            "email:'amy",
            "metadata:'x'x",
            "metadata['k':'v'",
            ":'x'",
            "email:'x'AND name:'y'",
            "email:'x' AND",
        ] {
            check(query, if query == "metadata:'x'x" { "unsupported search field" } else { "unable to parse" });
        }
        check("bogus:'x'", "Field `bogus` is an unsupported search field for resource `customers`");
        check("email:'a' AND name:'b' OR phone:'c'", "can't combine AND and OR");
        check("email:'a' name:'b' OR phone:'c'", "can't combine AND and OR");
        check("created~'170'", "Operator `~` is not supported for field `created`");
        check("email>'a'", "Operator `>` is not supported for field `email`");
        check("metadata['k']~'value'", "Operator `~` is not supported for field `metadata`");
        check("created:'soon'", "must be a number");
        check("name~'am'", "at least 3 characters");
        check(&"created>1 ".repeat(11), "at most 10 clauses");
        check(&"x".repeat(6_000), "at most 5000 characters");
    }
}
