//! The language of queries.

use std::{fmt, ops::Range};

use super::{
    fields::{ordered, rfc3339},
    pattern::{self, Budget, Pattern},
};

/// What documents are asked for.
#[derive(Clone, Debug)]
pub enum Query {
    /// Every document.
    All,
    /// No document.
    None,
    /// Parts that must match, that raise the score, and that must not match.
    Parts {
        /// All of these match.
        must: Vec<Query>,
        /// Where nothing must match, one of these does.
        should: Vec<Query>,
        /// None of these matches. Alone they leave every other document.
        must_not: Vec<Query>,
        /// By what the score is multiplied.
        boost: f64,
    },
    /// A field has this text.
    Term {
        /// The field.
        field: String,
        /// The text.
        term: String,
        /// The score.
        boost: f64,
    },
    /// A field has a text that differs in few letters.
    Fuzzy {
        /// The field.
        field: String,
        /// The text.
        term: String,
        /// How many letters, 1 or 2.
        most: usize,
        /// The score of the text itself.
        boost: f64,
    },
    /// A field has a text of this pattern.
    Pattern {
        /// The field.
        field: String,
        /// The pattern, of whole texts.
        pattern: Pattern,
        /// The score.
        boost: f64,
    },
    /// A field has a number or an instant from `min` to `max`, as [`ordered`] or in nanoseconds.
    Range {
        /// The field.
        field: String,
        /// The least.
        min: i64,
        /// The most.
        max: i64,
        /// The score.
        boost: f64,
    },
}

/// What a part of a query is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// `+`: it must match.
    Must,
    /// Without a sign: it raises the score, and one such part matches where nothing must.
    Should,
    /// `-`: it must not match.
    MustNot,
}

/// A part of a query, and how it was written.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it is there for.
    pub sign: Sign,
    /// As it was written, with its sign.
    pub text: String,
    /// What it asks for, without its sign.
    pub query: Query,
}

/// What is wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError(pub(super) String);

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for QueryError {}

/// The longest query, in bytes, and the most parts of one.
const MAX_LENGTH: usize = 65_536;

impl Query {
    /// Reads a query. `*` asks for every document, an empty text for none.
    ///
    /// The parts are separated by spaces. Each may begin with `+` (must match) or `-` (must not) and
    /// end with `^2` (its score). Between them stands, mostly behind a field and a colon:
    ///
    /// - a text, with `\` before characters that mean something: a field has this text;
    /// - a text with `*` or `?` in it, or between slashes: a pattern or regular expression;
    /// - a text and `~` or `~2`: a text that differs in one or two letters;
    /// - a number: the field has the number, or the text;
    /// - `>`, `>=`, `<` or `<=` and a number, or an instant as `"2024-01-31T00:00:00Z"`;
    /// - a phrase in quotation marks, which finds nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    ///
    /// Source: Bluge's query strings, as the reference sets them up.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        if let Some(whole) = Self::whole(text) {
            return Ok(whole);
        }
        let (mut must, mut should, mut must_not) = (Vec::new(), Vec::new(), Vec::new());
        Parser::read(text)?.parts(|sign, part, _| match sign {
            Sign::Must => must.push(part),
            Sign::Should => should.push(part),
            Sign::MustNot => must_not.push(part),
        })?;
        Ok(Self::Parts { must, should, must_not, boost: 1.0 })
    }

    /// The parts of a query as they were written; one for `*` and for an empty text.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parts(text: &str) -> Result<Vec<Part>, QueryError> {
        if let Some(query) = Self::whole(text) {
            return Ok(vec![Part { sign: Sign::Must, text: text.to_owned(), query }]);
        }
        let mut parts = Vec::new();
        Parser::read(text)?.parts(|sign, query, range| {
            let text = text.get(range).unwrap_or_default().trim().to_owned();
            parts.push(Part { sign, text, query });
        })?;
        Ok(parts)
    }

    /// What is a query without parts.
    fn whole(text: &str) -> Option<Self> {
        match text {
            "*" => Some(Self::All),
            "" => Some(Self::None),
            _ => None,
        }
    }

    /// The same query, its score multiplied.
    fn boosted(self, by: f64) -> Self {
        match self {
            // A text counts its boost twice, in the reference.
            Self::Term { field, term, boost } => Self::Term { field, term, boost: boost * by * by },
            Self::Fuzzy { field, term, most, boost } => {
                Self::Fuzzy { field, term, most, boost: boost * by * by }
            }
            Self::Pattern { field, pattern, boost } => {
                Self::Pattern { field, pattern, boost: boost * by }
            }
            Self::Range { field, min, max, boost } => {
                Self::Range { field, min, max, boost: boost * by }
            }
            Self::Parts { must, should, must_not, boost } => {
                Self::Parts { must, should, must_not, boost: boost * by }
            }
            plain @ (Self::All | Self::None) => plain,
        }
    }
}

fn wrong(text: impl Into<String>) -> QueryError {
    QueryError(text.into())
}

fn syntax() -> QueryError {
    wrong("syntax error")
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Text(String),
    Phrase(String),
    Number(String),
    Plus,
    Minus,
    Colon,
    Greater,
    Less,
    Equal,
    /// What stands behind `^`.
    Boost(String),
    /// What stands behind `~`.
    Tilde(String),
}

struct Tokens<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
}

/// The characters that `\` takes the meaning from; before others it stays.
const RESERVED: &str = "+-=&|><!(){}[]^\"~*?:\\/ ";

impl Tokens<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn next(&mut self) -> Result<Option<(Range<usize>, Token)>, QueryError> {
        while self.peek().is_some_and(char::is_whitespace) {
            self.take();
        }
        let begin = self.at;
        let Some(first) = self.peek() else { return Ok(None) };
        let sign = match first {
            '+' => Some(Token::Plus),
            '-' => Some(Token::Minus),
            ':' => Some(Token::Colon),
            '>' => Some(Token::Greater),
            '<' => Some(Token::Less),
            '=' => Some(Token::Equal),
            _ => None,
        };
        if let Some(sign) = sign {
            self.take();
            return Ok(Some((begin..self.at, sign)));
        }
        let token = match first {
            '"' => self.phrase()?,
            '^' => Token::Boost(self.factor()),
            '~' => Token::Tilde(self.factor()),
            _ => match self.word() {
                Some(word) => word,
                None => return Ok(None),
            },
        };
        Ok(Some((begin..self.at, token)))
    }

    /// Adds the character behind a `\`, at which this stands.
    fn escaped(&mut self, to: &mut String) {
        if let Some(c) = self.take() {
            if !RESERVED.contains(c) {
                to.push('\\');
            }
            to.push(c);
        }
    }

    fn phrase(&mut self) -> Result<Token, QueryError> {
        self.take();
        let mut phrase = String::new();
        while let Some(c) = self.take() {
            match c {
                '"' => return Ok(Token::Phrase(phrase)),
                '\\' => self.escaped(&mut phrase),
                c => phrase.push(c),
            }
        }
        Err(wrong("unterminated quote"))
    }

    /// Up to the next space; `1` where nothing stands there.
    fn factor(&mut self) -> String {
        self.take();
        let mut factor = String::new();
        while let Some(c) = self.take() {
            match c {
                ' ' => break,
                '\\' => self.escaped(&mut factor),
                c => factor.push(c),
            }
        }
        if factor.is_empty() { "1".to_owned() } else { factor }
    }

    /// A text, or a number: what begins with a digit and has digits and one dot.
    fn word(&mut self) -> Option<Token> {
        let mut word = String::new();
        let mut number = true;
        while let Some(c) = self.peek() {
            if matches!(c, ' ' | ':' | '^' | '~') {
                break;
            }
            self.take();
            match c {
                '\\' => {
                    number = false;
                    self.escaped(&mut word);
                    continue;
                }
                '.' if !word.is_empty() && !word.contains('.') => {}
                c => number &= c.is_ascii_digit(),
            }
            word.push(c);
        }
        match word {
            word if word.is_empty() => None,
            word if number => Some(Token::Number(word)),
            word => Some(Token::Text(word)),
        }
    }
}

struct Parser {
    /// With where each stands.
    tokens: Vec<(Range<usize>, Token)>,
    at: usize,
    patterns: Budget,
}

/// A part without a field looks here, where nothing is.
const NO_FIELD: &str = "";

impl Parser {
    fn read(text: &str) -> Result<Self, QueryError> {
        if text.len() > MAX_LENGTH {
            return Err(wrong("the query is too long"));
        }
        let mut tokens = Tokens { text, at: 0 };
        let tokens = std::iter::from_fn(|| tokens.next().transpose());
        Ok(Self { tokens: tokens.collect::<Result<_, _>>()?, at: 0, patterns: Budget::default() })
    }

    /// Gives each part of the whole to `take`, with where it stands.
    fn parts(&mut self, mut take: impl FnMut(Sign, Query, Range<usize>)) -> Result<(), QueryError> {
        if self.tokens.is_empty() {
            return Err(syntax());
        }
        while let Some((begin, token)) = self.tokens.get(self.at) {
            let begin = begin.start;
            let sign = match token {
                Token::Plus => Sign::Must,
                Token::Minus => Sign::MustNot,
                _ => Sign::Should,
            };
            self.at += usize::from(sign != Sign::Should);
            let part = self.part()?;
            let end = self.tokens.get(self.at - 1).map_or(begin, |(range, _)| range.end);
            take(sign, part, begin..end);
        }
        Ok(())
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += usize::from(token.is_some());
        token
    }

    /// Whether this token comes next; if so it is taken.
    fn takes(&mut self, token: &Token) -> bool {
        let is_next = self.peek() == Some(token);
        self.at += usize::from(is_next);
        is_next
    }

    fn part(&mut self) -> Result<Query, QueryError> {
        let query = match self.take() {
            Some(Token::Number(number)) => number_query(NO_FIELD, &number)?,
            Some(Token::Phrase(_)) => Query::None,
            Some(Token::Text(text)) if self.takes(&Token::Colon) => self.in_field(text)?,
            Some(Token::Text(text)) => self.text(NO_FIELD.to_owned(), text)?,
            _ => return Err(syntax()),
        };
        match self.peek() {
            Some(Token::Boost(boost)) => {
                let boost = float(boost).map_err(|_| wrong("invalid boost value"))?;
                self.at += 1;
                Ok(query.boosted(boost))
            }
            _ => Ok(query),
        }
    }

    fn in_field(&mut self, field: String) -> Result<Query, QueryError> {
        match self.take() {
            Some(Token::Text(text)) => self.text(field, text),
            Some(Token::Number(number)) => number_query(&field, &number),
            Some(Token::Minus) => number_query(&field, &format!("-{}", self.number()?)),
            Some(Token::Phrase(_)) => Ok(Query::None),
            Some(Token::Greater) => {
                let inclusive = self.takes(&Token::Equal);
                let min = self.bound()?;
                let min = if inclusive { min } else { min.saturating_add(1) };
                Ok(Query::Range { field, min, max: i64::MAX, boost: 1.0 })
            }
            Some(Token::Less) => {
                let inclusive = self.takes(&Token::Equal);
                let max = self.bound()?;
                let max = if inclusive { max } else { max.saturating_sub(1) };
                Ok(Query::Range { field, min: i64::MIN, max, boost: 1.0 })
            }
            _ => Err(syntax()),
        }
    }

    fn text(&mut self, field: String, text: String) -> Result<Query, QueryError> {
        if let Some(Token::Tilde(most)) = self.peek() {
            let most = float(most).map_err(|_| wrong("invalid fuzziness value"))?.trunc();
            self.at += 1;
            return match most {
                0.0 => Ok(Query::Term { field, term: text, boost: 1.0 }),
                1.0 => Ok(Query::Fuzzy { field, term: text, most: 1, boost: 1.0 }),
                2.0 => Ok(Query::Fuzzy { field, term: text, most: 2, boost: 1.0 }),
                _ => Err(wrong("fuzziness must be between 0 and 2")),
            };
        }
        if let Some(regular) = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            let pattern = pattern::regular(regular, &mut self.patterns)?;
            return Ok(Query::Pattern { field, pattern, boost: 1.0 });
        }
        if text.contains(['*', '?']) {
            let pattern = pattern::wildcards(&text, &mut self.patterns)?;
            return Ok(Query::Pattern { field, pattern, boost: 1.0 });
        }
        Ok(Query::Term { field, term: text, boost: 1.0 })
    }

    fn number(&mut self) -> Result<String, QueryError> {
        match self.take() {
            Some(Token::Number(number)) => Ok(number),
            _ => Err(syntax()),
        }
    }

    /// A number or an instant, in the order of numbers.
    fn bound(&mut self) -> Result<i64, QueryError> {
        match self.take() {
            Some(Token::Number(number)) => float(&number).map(ordered),
            Some(Token::Minus) => float(&format!("-{}", self.number()?)).map(ordered),
            Some(Token::Phrase(time)) => {
                let time = rfc3339(&time).ok_or_else(|| wrong("invalid time"))?;
                time.timestamp_nanos_opt().ok_or_else(|| wrong("invalid/unsupported date range"))
            }
            _ => Err(syntax()),
        }
    }
}

/// The number, or the text of it.
fn number_query(field: &str, number: &str) -> Result<Query, QueryError> {
    let value = ordered(float(number)?);
    let field = field.to_owned();
    Ok(Query::Parts {
        must: Vec::new(),
        should: vec![
            Query::Term { field: field.clone(), term: number.to_owned(), boost: 1.0 },
            Query::Range { field, min: value, max: value, boost: 1.0 },
        ],
        must_not: Vec::new(),
        boost: 1.0,
    })
}

fn float(text: &str) -> Result<f64, QueryError> {
    text.parse().map_err(|_| wrong("error parsing number"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A query in short: `+` and `-` before parts, fields and what is asked of them.
    fn short(query: &Query) -> String {
        let times = |boost: f64| if boost == 1.0 { String::new() } else { format!("^{boost}") };
        match query {
            Query::All => "all".into(),
            Query::None => "none".into(),
            Query::Term { field, term, boost } => format!("{field}={term}{}", times(*boost)),
            Query::Fuzzy { field, term, most, boost } => {
                format!("{field}~{most}={term}{}", times(*boost))
            }
            Query::Pattern { field, pattern, boost } => {
                let pattern = match pattern {
                    Pattern::Wildcard(text) => format!("={text}"),
                    Pattern::Regular(regular) => format!("/{}/", regular.as_str()),
                };
                format!("{field}{pattern}{}", times(*boost))
            }
            Query::Range { field, min, max, boost } => {
                let number = |bits: i64| match bits {
                    i64::MIN | i64::MAX => String::new(),
                    bits if bits < 0 => f64::from_bits((bits ^ i64::MAX) as u64).to_string(),
                    bits => f64::from_bits(bits as u64).to_string(),
                };
                format!("{field}[{}..{}]{}", number(*min), number(*max), times(*boost))
            }
            Query::Parts { must, should, must_not, boost } => {
                let part =
                    |sign: &'static str| move |part: &Query| format!("{sign}{}", short(part));
                let parts: Vec<String> = must
                    .iter()
                    .map(part("+"))
                    .chain(should.iter().map(part("")))
                    .chain(must_not.iter().map(part("-")))
                    .collect();
                format!("({}){}", parts.join(" "), times(*boost))
            }
        }
    }

    #[track_caller]
    fn check(text: &str, wanted: &str) {
        assert_eq!(short(&Query::parse(text).unwrap()), wanted, "{text}");
    }

    #[test]
    fn parts_have_signs_fields_and_boosts() {
        check("*", "all");
        check("", "none");
        check("+a:x b:y  -c:z", "(+a=x b=y -c=z)");
        check("a:x^3", "(a=x^9)");
        check("a:>5^3 a:x*^2", "(a[5.000000000000001..]^3 a=x*^2)");
        check("+ a:x", "(+a=x)");
        check("word", "(=word)");
        check("a:\"some words\"", "(none)");
    }

    #[test]
    fn numbers_are_numbers_and_texts() {
        check("a:5", "((a=5 a[5..5]))");
        check("a:-5.5", "((a=-5.5 a[-5.5..-5.5]))");
        check("a:5x", "(a=5x)");
        check("a:1.2.3", "(a=1.2.3)");
        check("a:00000000-0000-4000", "(a=00000000-0000-4000)");
        check("a:>=5 a:<=-5", "(a[5..] a[..-5])");
        check("a:5^2", "((a=5 a[5..5])^2)");
    }

    #[test]
    fn parts_are_told_as_they_were_written() {
        let parts = |text: &str| -> Vec<(Sign, String)> {
            Query::parts(text).unwrap().into_iter().map(|part| (part.sign, part.text)).collect()
        };
        let own = |sign, text: &str| (sign, text.to_owned());
        assert_eq!(
            parts(r"+a:x  -b:>=5 c:ä\ y^2 d:x~ + e:-5"),
            [
                own(Sign::Must, "+a:x"),
                own(Sign::MustNot, "-b:>=5"),
                own(Sign::Should, r"c:ä\ y^2"),
                own(Sign::Should, "d:x~"),
                own(Sign::Must, "+ e:-5"),
            ]
        );
        assert_eq!(parts("*"), [own(Sign::Must, "*")]);
        assert_eq!(parts(""), [own(Sign::Must, "")]);
    }

    #[test]
    fn times_are_compared_by_value() {
        let query = Query::parse("a:>=\"2024-01-02T00:00:00Z\"").unwrap();
        let Query::Parts { should, .. } = query else { panic!() };
        let Query::Range { min, max, .. } = &should[0] else { panic!() };
        assert_eq!((*min, *max), (1_704_153_600_000_000_000, i64::MAX));
    }

    #[test]
    fn characters_lose_their_meaning_behind_a_backslash() {
        check(r"a:x\ y", "(a=x y)");
        check(r"a:x\:y", "(a=x:y)");
        check(r"a:\+x", "(a=+x)");
        check(r"a:x\qy", r"(a=x\qy)");
        check(r"a:\5", r"(a=\5)");
        check(r"a\ b:x", "(a b=x)");
        check("a:x-y+z", "(a=x-y+z)");
    }

    #[test]
    fn texts_may_be_patterns_or_nearly_right() {
        check("a:x?z*", "(a/^(?:x.z.*)$/)");
        check("a:/x.+/", "(a/^(?:x.+)$/)");
        check("a:x~", "(a~1=x)");
        check("a:x~2", "(a~2=x)");
        check("a:x~0", "(a=x)");
    }

    #[test]
    fn what_is_no_query_is_refused() {
        for text in [
            "a:",
            ":x",
            "+",
            "-",
            "a:b:c",
            "a:>x",
            "a:>",
            "a:>=",
            "\"x",
            "a:x~3",
            "a:x~y",
            "a:x^y",
            "5:x",
            "a:5~",
            "a:/(/",
            " ",
            "+-a:x",
            "a:>\"yesterday\"",
            "a:=5",
            "^2",
            "a:-x",
        ] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
    }
}
