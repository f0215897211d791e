//! A Rust file with its comments and strings blanked out, so that rules look at code only.

/// One Rust file. All three views have the same lines.
#[derive(Debug)]
pub struct Source<'a> {
    /// Its path from the root of the repository, with `/`.
    pub path: &'a str,
    /// As it is on disk.
    pub text: &'a str,
    /// The same without the content of comments, strings and characters.
    code: String,
    in_test: Vec<bool>,
}

impl<'a> Source<'a> {
    /// Reads a file.
    pub fn new(path: &'a str, text: &'a str) -> Self {
        let code = blank(text);
        let whole = is_test_file(path);
        let mut in_test = vec![whole; text.lines().count()];
        if !whole {
            mark_test_modules(&code, &mut in_test);
        }
        Self { path, text, code, in_test }
    }

    /// Whether all of it is for tests only.
    pub fn is_test_file(&self) -> bool {
        is_test_file(self.path)
    }

    /// Lines of code, counted from 1, each with whether it is part of a test.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str, bool)> {
        let tests = self.in_test.iter().copied().chain(std::iter::repeat(false));
        self.code.lines().zip(tests).enumerate().map(|(index, (line, test))| (index + 1, line, test))
    }

    /// The crate's directory, such as `order-svc` or `crates/service-kit`.
    pub fn crate_dir(&self) -> &str {
        let end = ["/src/", "/tests/", "/build.rs", "/benches/", "/examples/"]
            .iter()
            .filter_map(|mark| self.path.find(mark))
            .min();
        &self.path[..end.unwrap_or(0)]
    }

    /// Whether one of the names on its path, or its own without `.rs`, is `name`.
    pub fn is_in(&self, name: &str) -> bool {
        self.path.split('/').any(|part| part == name || part.strip_suffix(".rs") == Some(name))
    }
}

/// Whether `line` has `word` as a whole identifier or path.
pub fn has_word(line: &str, word: &str) -> bool {
    let ident = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let opens = word.starts_with(ident);
        let closes = word.ends_with(ident);
        !(opens && before.is_some_and(ident) || closes && after.is_some_and(ident))
    })
}

fn is_test_file(path: &str) -> bool {
    path.contains("/tests/")
        || path.contains("/benches/")
        || path.starts_with("crates/test-mesh/")
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
}

fn mark_test_modules(code: &str, in_test: &mut [bool]) {
    for (start, _) in code.match_indices("#[cfg(test)]") {
        let rest = &code[start..];
        let Some(open) = rest.find(['{', ';']) else { continue };
        let mut end = open;
        if rest[open..].starts_with('{') {
            let mut depth = 0_usize;
            for (at, c) in rest[open..].char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    end = open + at;
                    break;
                }
            }
        }
        let first = code[..start].matches('\n').count();
        let last = code[..start + end].matches('\n').count();
        in_test.iter_mut().take(last + 1).skip(first).for_each(|line| *line = true);
    }
}

/// What the scanner is inside of.
enum Inside {
    Code,
    LineComment,
    BlockComment(usize),
    Text,
    RawText(usize),
}

/// Replaces what is inside comments, strings and characters by spaces. Lines stay where they are.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut inside = Inside::Code;
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let (next, taken) = step(&inside, rest, at > 0 && is_ident(chars[at - 1]));
        for &c in &rest[..taken] {
            let shown = matches!((&inside, &next), (Inside::Code, Inside::Code)) && taken == 1;
            out.push(if c == '\n' || shown { c } else { ' ' });
        }
        inside = next;
        at += taken;
    }
    out
}

fn is_ident(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// One step of the scanner: what it is inside of next, and how many characters that took.
fn step(inside: &Inside, rest: &[char], after_ident: bool) -> (Inside, usize) {
    match inside {
        Inside::Code => code_step(rest, after_ident),
        Inside::LineComment if rest[0] == '\n' => (Inside::Code, 1),
        Inside::LineComment => (Inside::LineComment, 1),
        Inside::BlockComment(depth) if rest.starts_with(&['/', '*']) => (Inside::BlockComment(depth + 1), 2),
        Inside::BlockComment(1) if rest.starts_with(&['*', '/']) => (Inside::Code, 2),
        Inside::BlockComment(depth) if rest.starts_with(&['*', '/']) => (Inside::BlockComment(depth - 1), 2),
        Inside::BlockComment(depth) => (Inside::BlockComment(*depth), 1),
        Inside::Text if rest[0] == '\\' => (Inside::Text, rest.len().min(2)),
        Inside::Text if rest[0] == '"' => (Inside::Code, 1),
        Inside::Text => (Inside::Text, 1),
        Inside::RawText(hashes) if closes_raw(rest, *hashes) => (Inside::Code, 1 + hashes),
        Inside::RawText(hashes) => (Inside::RawText(*hashes), 1),
    }
}

fn code_step(rest: &[char], after_ident: bool) -> (Inside, usize) {
    if rest.starts_with(&['/', '/']) {
        return (Inside::LineComment, 2);
    }
    if rest.starts_with(&['/', '*']) {
        return (Inside::BlockComment(1), 2);
    }
    if rest[0] == '"' {
        return (Inside::Text, 1);
    }
    if !after_ident && let Some((hashes, taken)) = opens_raw(rest) {
        return (Inside::RawText(hashes), taken);
    }
    // A character literal, not a lifetime: 'x' or '\…'.
    if rest[0] == '\'' && rest.get(1) == Some(&'\\') {
        let end = rest.iter().skip(3).position(|c| *c == '\'').map_or(rest.len(), |p| p + 4);
        return (Inside::Code, end);
    }
    if rest[0] == '\'' && rest.get(2) == Some(&'\'') {
        return (Inside::Code, 3);
    }
    (Inside::Code, 1)
}

/// `r"`, `r#"`, `br#"`: how many hashes, and how long the opening is.
fn opens_raw(rest: &[char]) -> Option<(usize, usize)> {
    let prefix = match rest {
        ['b' | 'c', 'r', ..] => 2,
        ['r', ..] => 1,
        _ => return None,
    };
    let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
    (rest.get(prefix + hashes) == Some(&'"')).then_some((hashes, prefix + hashes + 1))
}

fn closes_raw(rest: &[char], hashes: usize) -> bool {
    rest[0] == '"' && rest.len() > hashes && rest[1..=hashes].iter().all(|c| *c == '#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blank_and_code_is_not() {
        for (text, expected) in [
            ("a // b", "a     "),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("sqlx \" x") + g"#, r"f(           ) + g"),
            (r##"f(r#"a " b"#) + g"##, "f(          ) + g"),
            ("let x = 'a'; let y: &'a str;", "let x =    ; let y: &'a str;"),
            (r"'\'' + b'\n'", "     + b    "),
            ("for_bar\"x\"", "for_bar   "),
        ] {
            assert_eq!(blank(text), expected, "{text}");
        }
    }

    #[test]
    fn a_test_module_ends_with_its_brace() {
        let source = Source::new(
            "order-svc/src/lib.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { if x {} }\n}\nfn c() {}\n",
        );
        let tests: Vec<bool> = source.lines().map(|(_, _, test)| test).collect();
        assert_eq!(tests, [false, true, true, true, true, false]);
        let outside = Source::new("order-svc/src/lib.rs", "#[cfg(test)]\nmod tests;\nfn c() {}\n");
        assert_eq!(outside.lines().map(|(_, _, test)| test).collect::<Vec<_>>(), [true, true, false]);
    }

    #[test]
    fn a_word_is_not_found_inside_another() {
        assert!(has_word("use sqlx::PgPool;", "sqlx"));
        assert!(has_word("tonic::Code::Ok", "Code"));
        assert!(!has_word("mod sqlx_rows;", "sqlx"));
        assert!(!has_word("StatusCode::OK", "Code"));
        assert!(has_word("#[ignore]", "#[ignore"));
    }

    #[test]
    fn the_crate_of_a_file_is_its_directory_above_src() {
        assert_eq!(Source::new("order-svc/src/store/mod.rs", "").crate_dir(), "order-svc");
        assert_eq!(Source::new("crates/service-kit/tests/it/main.rs", "").crate_dir(), "crates/service-kit");
        assert!(Source::new("order-svc/src/store/mod.rs", "").is_in("store"));
        assert!(Source::new("saga-orchestrator/src/store.rs", "").is_in("store"));
        assert!(!Source::new("order-svc/src/restore/mod.rs", "").is_in("store"));
    }
}
