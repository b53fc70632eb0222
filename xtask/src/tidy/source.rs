//! Rust source, taken apart: code, and the texts in it. Comments belong to neither.
//!
//! A scanner and not a parser: rules ask where a name stands, and a name in a comment or a text is not a use of it.

/// A Rust file without its comments.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// The code: every line is where it was, comments and the insides of texts are blank.
    pub(crate) code: String,
    /// The code without what is compiled for tests alone.
    pub(crate) program: String,
    /// The insides of the texts, with the line each begins on.
    pub(crate) texts: Vec<(usize, String)>,
}

impl Source {
    /// Takes a file apart.
    pub(crate) fn read(text: &str) -> Source {
        let mut scanner = Scanner { rest: text, line: 1, source: Source::default() };
        while scanner.step() {}
        let mut source = scanner.source;
        source.program = without_tests(&source.code);
        source
    }

    /// Whether the code on a line, counted from 1, is compiled for tests alone.
    pub(crate) fn is_of_tests(&self, line: usize) -> bool {
        let at = line.saturating_sub(1);
        self.code.split('\n').nth(at) != self.program.split('\n').nth(at)
    }
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    source: Source,
}

impl Scanner<'_> {
    /// Takes the next comment, text or character; false at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else { return false };
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.blank(end);
        } else if self.rest.starts_with("/*") {
            self.blank(block_comment_length(self.rest));
        } else if let Some((before, hashes)) = raw_text_start(self.rest).filter(|_| !self.in_a_name()) {
            self.raw_text(before, hashes);
        } else if first == '"' {
            self.text();
        } else if first == '\'' {
            self.blank_or_keep_quote();
        } else {
            self.keep(first.len_utf8());
        }
        true
    }

    /// Whether what was kept last is part of a name, so that an `r` now cannot begin a text.
    fn in_a_name(&self) -> bool {
        self.source.code.chars().last().is_some_and(|last| last.is_alphanumeric() || last == '_')
    }

    fn keep(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.source.code.push_str(taken);
        self.line += taken.matches('\n').count();
        self.rest = rest;
    }

    fn blank(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.source.code.extend(taken.chars().map(|it| if it == '\n' { '\n' } else { ' ' }));
        self.line += taken.matches('\n').count();
        self.rest = rest;
    }

    fn text(&mut self) {
        self.keep(1);
        let mut escaped = false;
        let inside = self.rest.find(|it| match it {
            _ if escaped => {
                escaped = false;
                false
            }
            '\\' => {
                escaped = true;
                false
            }
            it => it == '"',
        });
        let inside = inside.unwrap_or(self.rest.len());
        // An escaped line end or tab divides words, as it will when the program runs.
        let content = self.rest[..inside].replace("\\n", "  ").replace("\\t", "  ").replace("\\\n", " \n");
        self.finish_text(content, inside, 1);
    }

    fn raw_text(&mut self, before: usize, hashes: usize) {
        self.keep(before);
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = self.rest.find(&end).unwrap_or(self.rest.len());
        self.finish_text(self.rest[..inside].to_owned(), inside, end.len());
    }

    fn finish_text(&mut self, content: String, inside: usize, end: usize) {
        self.source.texts.push((self.line, content));
        self.blank(inside);
        self.keep(end.min(self.rest.len()));
    }

    /// A character such as `'"'` is blanked, a lifetime kept.
    fn blank_or_keep_quote(&mut self) {
        let mut after = self.rest.char_indices().skip(1);
        let length = match (after.next(), after.next()) {
            (Some((_, '\\')), Some(_)) => self.rest[3..].find('\'').map(|at| at + 4),
            (Some(_), Some((at, '\''))) => Some(at + 1),
            _ => None,
        };
        match length {
            Some(length) => self.blank(length),
            None => self.keep(1),
        }
    }
}

/// The length of a comment that may hold others.
fn block_comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// For `r"`, `br##"` and the like: the length up to the quote's end, and how many hashes end it.
fn raw_text_start(text: &str) -> Option<(usize, usize)> {
    let prefix = ["br", "cr", "r"].into_iter().find(|prefix| text.starts_with(prefix))?;
    let after = &text[prefix.len()..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some((prefix.len() + hashes + 1, hashes))
}

/// The code with every `#[cfg(test)] mod … { … }` blanked.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut program = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        let (before, marked) = rest.split_at(at);
        program.push_str(before);
        let length = test_item_length(marked, MARK.len());
        let (item, after) = marked.split_at(length);
        program.extend(item.chars().map(|it| if it == '\n' { '\n' } else { ' ' }));
        rest = after;
    }
    program.push_str(rest);
    program
}

/// The length of an item: up to its first `;`, or to the brace that closes its first one.
fn test_item_length(item: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, it) in item.char_indices().skip_while(|(at, _)| *at < start) {
        match it {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    item.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_texts_are_told_from_code() {
        let check = |text: &str, code: &str, texts: &[&str]| {
            let source = Source::read(text);
            let squeezed: Vec<&str> = source.code.split_whitespace().collect();
            assert_eq!(squeezed.join(" "), code, "{text}");
            assert_eq!(source.texts.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), texts, "{text}");
            assert_eq!(source.code.matches('\n').count(), text.matches('\n').count(), "{text}");
        };
        check("a(); // b()", "a();", &[]);
        check("a(); /* b() /* c() */ */ d();", "a(); d();", &[]);
        check(r#"a("b // c"); d()"#, r#"a(" "); d()"#, &["b // c"]);
        check(r#"a("b \" c"); d()"#, r#"a(" "); d()"#, &[r#"b \" c"#]);
        check(r##"a(r#"b " c"#, r"d\"); e()"##, r##"a(r#" "#, r" "); e()"##, &["b \" c", "d\\"]);
        check(r#"a(b"c", bar"d")"#, r#"a(b" ", bar" ")"#, &["c", "d"]);
        check(r"match a { '\'' => b, '{' => c, '\u{7f}' => d }", "match a { => b, => c, => d }", &[]);
        check("fn a<'b>(c: &'b str) -> &'b str", "fn a<'b>(c: &'b str) -> &'b str", &[]);
        check("\"SELECT a\\nFROM b \\\n JOIN c\"", "\" \"", &["SELECT a  FROM b  \n JOIN c"]);
        check("let a = 'ä'; let b = \"ü", "let a = ; let b = \"", &["ü"]);
    }

    #[test]
    fn texts_know_their_line() {
        let source = Source::read("// one\nlet two = \"2\";\nlet three =\n r\"4\n5\"; f(\"5\")");
        assert_eq!(source.texts, [(2, "2".into()), (4, "4\n5".into()), (5, "5".into())]);
    }

    #[test]
    fn what_only_tests_compile_is_not_of_the_program() {
        let text =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { \"}\"; }\n}\nfn c() {}\n#[cfg(test)]\nuse d;\nfn e() {}";
        let source = Source::read(text);
        assert!(source.program.contains("fn a") && source.program.contains("fn c") && source.program.contains("fn e"));
        assert!(!source.program.contains("fn b") && !source.program.contains("use d"));
        assert_eq!(source.program.lines().count(), text.lines().count());
        assert_eq!([1, 4, 6, 8].map(|line| source.is_of_tests(line)), [false, true, false, true]);
    }
}
