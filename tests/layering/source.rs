//! Reads Rust source just well enough to find every path in it.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

/// A path, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    /// From a `use` declaration, groups resolved.
    pub(crate) is_use: bool,
    /// Inside of a `#[cfg(test)] mod … { }`.
    pub(crate) in_test: bool,
}

/// What a file contains.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) paths: Vec<Path>,
    /// The names that `use` declarations bring in.
    pub(crate) imports: BTreeSet<String>,
    /// The modules declared with `#[cfg(test)] mod name;`.
    pub(crate) test_modules: Vec<String>,
}

impl Source {
    pub(crate) fn parse(text: &str) -> Self {
        let tokens = tokens(text);
        let mut reader = Reader { tokens: &tokens, at: 0, source: Self::default(), test_ends: None };
        while reader.at < tokens.len() {
            reader.step();
        }
        reader.source
    }
}

struct Reader<'a> {
    tokens: &'a [String],
    at: usize,
    source: Source,
    /// Where the test module ends that is being read.
    test_ends: Option<usize>,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", String::as_str)
    }

    fn step(&mut self) {
        if self.test_ends.is_some_and(|end| self.at >= end) {
            self.test_ends = None;
        }
        let begins = |wanted: &[&str]| wanted.iter().enumerate().all(|(i, token)| self.peek(i) == *token);
        // For tests only, perhaps under further conditions.
        if begins(&["#", "[", "cfg", "(", "test", ")"])
            || begins(&["#", "[", "cfg", "(", "all", "(", "test", ","])
        {
            self.at = self.after_bracket(self.at + 1);
            self.test_module();
        } else if self.peek(0) == "use" {
            self.at += 1;
            self.use_tree(&[]);
        } else if is_name(self.peek(0)) {
            self.expression_path();
        } else {
            self.at += 1;
        }
    }

    /// What follows a `#[cfg(test)]`, if it is a module.
    fn test_module(&mut self) {
        let mut at = self.at;
        let token = |at: usize| self.tokens.get(at).map_or("", String::as_str);
        loop {
            match (token(at), token(at + 1)) {
                ("#", "[") => at = self.after_bracket(at + 1),
                ("pub", "(") => at = self.after_bracket(at + 1),
                ("pub", _) => at += 1,
                _ => break,
            }
        }
        match (token(at), token(at + 2)) {
            ("mod", ";") => self.source.test_modules.push(token(at + 1).to_owned()),
            ("mod", "{") if self.test_ends.is_none() => self.test_ends = Some(self.after_bracket(at + 2)),
            _ => {}
        }
    }

    /// The position after the bracket that closes the one at `open`.
    fn after_bracket(&self, open: usize) -> usize {
        let mut nesting = 0;
        for (at, token) in self.tokens.iter().enumerate().skip(open) {
            match token.as_str() {
                "(" | "[" | "{" => nesting += 1,
                ")" | "]" | "}" => nesting -= 1,
                _ => {}
            }
            if nesting == 0 {
                return at + 1;
            }
        }
        self.tokens.len()
    }

    /// The rest of a `use` declaration, or of one element of a group.
    fn use_tree(&mut self, prefix: &[String]) {
        let mut segments = prefix.to_vec();
        loop {
            match self.peek(0) {
                // A macro's variable is read as a name of its own.
                "::" | "$" => self.at += 1,
                "{" => {
                    self.at += 1;
                    while !matches!(self.peek(0), "}" | "") {
                        let before = self.at;
                        self.use_tree(&segments);
                        // Whatever cannot be read is passed over: the reader always gets on.
                        if self.peek(0) == "," || self.at == before {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "as" => {
                    let alias = self.peek(1).to_owned();
                    self.at += 2;
                    return self.imported(segments, alias);
                }
                name if is_name(name) || name == "*" => {
                    segments.push(name.to_owned());
                    self.at += 1;
                }
                _ if segments.len() == prefix.len() => return,
                _ => {
                    let last = segments.last().cloned().unwrap_or_default();
                    return self.imported(segments, last);
                }
            }
        }
    }

    fn imported(&mut self, mut segments: Vec<String>, mut name: String) {
        if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
            if name == "self" {
                name = segments.last().cloned().unwrap_or_default();
            }
        }
        // `use tokio;` brings in the crate itself.
        if segments.len() > 1 {
            self.source.imports.insert(name);
        }
        self.found(segments, true);
    }

    /// A path with at least two segments, anywhere else.
    fn expression_path(&mut self) {
        let before = self.at.checked_sub(1).map_or("", |at| self.tokens[at].as_str());
        let is_start =
            before != "." && !(before == "::" && self.at >= 2 && is_name(&self.tokens[self.at - 2]));
        let mut segments = vec![self.peek(0).to_owned()];
        while self.peek(1) == "::" && is_name(self.peek(2)) {
            self.at += 2;
            segments.push(self.peek(0).to_owned());
        }
        self.at += 1;
        if is_start && segments.len() > 1 {
            self.found(segments, false);
        }
    }

    fn found(&mut self, segments: Vec<String>, is_use: bool) {
        if !segments.is_empty() {
            self.source.paths.push(Path { segments, is_use, in_test: self.test_ends.is_some() });
        }
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::`, and every other character by itself; no comments, and nothing of what literals contain.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|c| *c != '\n').is_some() {},
            '/' if chars.peek() == Some(&'*') => skip_block_comment(&mut chars),
            '"' => skip_string(&mut chars),
            '\'' => skip_char_or_lifetime(&mut chars),
            ':' if chars.next_if_eq(&':').is_some() => tokens.push("::".to_owned()),
            c if c.is_alphanumeric() || c == '_' => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    word.push(c);
                }
                match word.as_str() {
                    "r" | "br" | "cr" if matches!(chars.peek(), Some('"' | '#')) => skip_raw(&mut chars),
                    "b" | "c" if matches!(chars.peek(), Some('"' | '\'')) => {}
                    _ => tokens.push(word),
                }
            }
            c if c.is_whitespace() => {}
            c => tokens.push(c.to_string()),
        }
    }
    tokens
}

fn skip_block_comment(chars: &mut Peekable<Chars<'_>>) {
    let (mut nesting, mut last) = (1, ' ');
    chars.next();
    for c in chars.by_ref() {
        match (last, c) {
            ('*', '/') => nesting -= 1,
            ('/', '*') => nesting += 1,
            _ => {
                last = c;
                continue;
            }
        }
        if nesting == 0 {
            return;
        }
        last = ' ';
    }
}

fn skip_string(chars: &mut Peekable<Chars<'_>>) {
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '"' => return,
            _ => {}
        }
    }
}

/// After the `r` of a raw string, or of a raw name, which is left to the caller.
fn skip_raw(chars: &mut Peekable<Chars<'_>>) {
    let mut hashes = 0;
    while chars.next_if_eq(&'#').is_some() {
        hashes += 1;
    }
    if chars.next_if_eq(&'"').is_none() {
        return;
    }
    while let Some(c) = chars.next() {
        let mut closing = 0;
        while c == '"' && closing < hashes && chars.next_if_eq(&'#').is_some() {
            closing += 1;
        }
        if c == '"' && closing == hashes {
            return;
        }
    }
}

/// After a `'`: of a character's two quotes both go, of a lifetime the one.
fn skip_char_or_lifetime(chars: &mut Peekable<Chars<'_>>) {
    if chars.next_if_eq(&'\\').is_some() {
        chars.next();
        while chars.next().is_some_and(|c| c != '\'') {}
        return;
    }
    let mut ahead = chars.clone();
    ahead.next();
    if ahead.next() == Some('\'') {
        *chars = ahead;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        Source::parse(text).paths.iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn groups_are_resolved() {
        assert_eq!(paths("use a::{self, b::{c, d as e}, *};"), ["a", "a::b::c", "a::b::d", "a::*"]);
        assert_eq!(paths("use a::{b::$c, $d::e, f};"), ["a::b::c", "a::d::e", "a::f"]);
        assert_eq!(paths("use a::{%, b}; c::d"), ["a::b", "c::d"], "what is no path does not stop it");
        let imports = Source::parse("use a::{self, b::{c, d as e, f::{self}}};").imports;
        assert_eq!(imports.into_iter().collect::<Vec<_>>(), ["c", "e", "f"], "`a` itself is not brought in");
    }

    #[test]
    fn modules_for_tests_are_known() {
        let text = "#[cfg(test)] mod a; #[cfg(all(test, unix))] mod b; \
                    #[cfg(not(test))] mod c; #[cfg(any(test, unix))] mod d;";
        assert_eq!(Source::parse(text).test_modules, ["a", "b"]);
        let inside = Source::parse("#[cfg(all(test, unix))] mod a { use b::c; } use d::e;").paths;
        assert_eq!(inside.iter().map(|path| path.in_test).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn paths_in_expressions_are_found_once() {
        assert_eq!(paths("x.y(a::b::<C>::d(e::f), <G as h::I>::j)"), ["a::b", "e::f", "h::I"]);
    }

    #[test]
    fn literals_and_comments_are_nothing() {
        let nothing =
            [r##"r#"a::b"#"##, r#""a::b \" c::d""#, "'\\''", "// a::b", "/* /* a::b */ c::d */", "b'x'"];
        for text in nothing {
            assert_eq!(paths(&format!("{text}\n; a::z")), ["a::z"], "{text}");
        }
        assert_eq!(paths("fn f<'a>(x: &'a b::C) -> char { 'c' }"), ["b::C"]);
    }
}
