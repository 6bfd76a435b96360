//! The language of queries.

use std::fmt;

use regex::Regex;

use super::{
    fields::{ordered, rfc3339},
    pattern,
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
        pattern: Regex,
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
        match text {
            "*" => return Ok(Self::All),
            "" => return Ok(Self::None),
            text if text.len() > MAX_LENGTH => return Err(wrong("the query is too long")),
            _ => {}
        }
        let mut tokens = Tokens { text: text.chars().collect(), at: 0 };
        let tokens = std::iter::from_fn(|| tokens.next().transpose());
        let mut parser = Parser { tokens: tokens.collect::<Result<_, _>>()?, at: 0 };
        let (mut must, mut should, mut must_not) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            match parser.peek() {
                Some(Token::Plus) => must.push(parser.skip().part()?),
                Some(Token::Minus) => must_not.push(parser.skip().part()?),
                Some(_) => should.push(parser.part()?),
                None => break,
            }
        }
        if must.is_empty() && should.is_empty() && must_not.is_empty() {
            return Err(syntax());
        }
        Ok(Self::Parts { must, should, must_not, boost: 1.0 })
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

struct Tokens {
    text: Vec<char>,
    at: usize,
}

/// The characters that `\` takes the meaning from; before others it stays.
const RESERVED: &str = "+-=&|><!(){}[]^\"~*?:\\/ ";

impl Tokens {
    fn next(&mut self) -> Result<Option<Token>, QueryError> {
        while self.text.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
        let Some(first) = self.text.get(self.at).copied() else { return Ok(None) };
        let sign = match first {
            '+' => Token::Plus,
            '-' => Token::Minus,
            ':' => Token::Colon,
            '>' => Token::Greater,
            '<' => Token::Less,
            '=' => Token::Equal,
            '"' => {
                self.at += 1;
                return self.phrase().map(Some);
            }
            '^' => {
                self.at += 1;
                return Ok(Some(Token::Boost(self.factor())));
            }
            '~' => {
                self.at += 1;
                return Ok(Some(Token::Tilde(self.factor())));
            }
            _ => return Ok(self.word()),
        };
        self.at += 1;
        Ok(Some(sign))
    }

    /// The character behind a `\`, at which this stands.
    fn escaped(&mut self) -> Option<String> {
        let c = *self.text.get(self.at)?;
        self.at += 1;
        Some(if RESERVED.contains(c) { c.to_string() } else { format!("\\{c}") })
    }

    fn phrase(&mut self) -> Result<Token, QueryError> {
        let mut phrase = String::new();
        while let Some(c) = self.text.get(self.at).copied() {
            self.at += 1;
            match c {
                '"' => return Ok(Token::Phrase(phrase)),
                '\\' => phrase.push_str(&self.escaped().unwrap_or_default()),
                c => phrase.push(c),
            }
        }
        Err(wrong("unterminated quote"))
    }

    /// Up to the next space; `1` where nothing stands there.
    fn factor(&mut self) -> String {
        let mut factor = String::new();
        while let Some(c) = self.text.get(self.at).copied() {
            self.at += 1;
            match c {
                ' ' => break,
                '\\' => factor.push_str(&self.escaped().unwrap_or_default()),
                c => factor.push(c),
            }
        }
        if factor.is_empty() { "1".to_owned() } else { factor }
    }

    /// A text, or a number: what begins with a digit and has digits and one dot.
    fn word(&mut self) -> Option<Token> {
        let mut word = String::new();
        let mut number = true;
        while let Some(c) = self.text.get(self.at).copied() {
            match c {
                ' ' | ':' | '^' | '~' => break,
                '\\' => {
                    self.at += 1;
                    number = false;
                    word.push_str(&self.escaped().unwrap_or_default());
                    continue;
                }
                '.' if !word.is_empty() && !word.contains('.') => {}
                c => number &= c.is_ascii_digit(),
            }
            word.push(c);
            self.at += 1;
        }
        match word {
            word if word.is_empty() => None,
            word if number => Some(Token::Number(word)),
            word => Some(Token::Text(word)),
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

/// A part without a field looks here, where nothing is.
const NO_FIELD: &str = "";

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn skip(&mut self) -> &mut Self {
        self.at += 1;
        self
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
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
            let pattern = pattern::regular(regular)?;
            return Ok(Query::Pattern { field, pattern, boost: 1.0 });
        }
        if text.contains(['*', '?']) {
            let pattern = pattern::wildcard(&text)?;
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
                format!("{field}/{}/{}", pattern.as_str(), times(*boost))
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
        check("a:>5^3 a:x*^2", "(a[5.000000000000001..]^3 a/^(?:x.*)$/^2)");
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
