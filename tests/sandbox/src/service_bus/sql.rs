//! SQL expressions of rules: comparisons of properties with `AND`, `OR`, `NOT`, `IN`, `LIKE`, `IS NULL` and `EXISTS`.
//!
//! Arithmetic and rule actions are not there. As in SQL, comparing with a property that is missing gives neither true nor
//! false, and a message is taken only when the whole is true.

use std::cmp::Ordering;

use super::rule::{Operand, id_text};
use crate::amqp::message::Incoming;

/// How deep parentheses and `NOT` may go.
const DEEPEST: usize = 32;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Compare(Term, Comparison, Term),
    In(Term, Vec<Term>),
    Like(Term, Term),
    Exists(Term),
}

/// A property or a literal.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    System(String),
    User(String),
    Literal(Operand),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Expression {
    /// Reads an expression, or says what it does not understand.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            position: 0,
        };
        let expression = parser.or(0)?;
        match parser.tokens.get(parser.position) {
            None => Ok(expression),
            Some(token) => Err(format!("The SQL filter is not understood at {token:?}.")),
        }
    }

    /// Whether it is true for a message.
    pub(super) fn holds(&self, message: &Incoming) -> bool {
        self.value(message) == Some(true)
    }

    fn value(&self, message: &Incoming) -> Option<bool> {
        match self {
            Self::And(left, right) => match (left.value(message), right.value(message)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (left, right) => Some(left? && right?),
            },
            Self::Or(left, right) => match (left.value(message), right.value(message)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (left, right) => Some(left? || right?),
            },
            Self::Not(inner) => inner.value(message).map(|value| !value),
            Self::Compare(left, comparison, right) => {
                comparison.of(&left.of(message), &right.of(message))
            }
            Self::In(term, list) => {
                let term = term.of(message);
                let equal = |item: &Term| Comparison::Equal.of(&term, &item.of(message));
                let hits: Vec<_> = list.iter().map(equal).collect();
                if hits.contains(&Some(true)) {
                    return Some(true);
                }
                (!hits.contains(&None)).then_some(false)
            }
            Self::Like(term, pattern) => match (term.of(message), pattern.of(message)) {
                (Operand::Text(text), Operand::Text(pattern)) => Some(like(
                    &text.chars().collect::<Vec<_>>(),
                    &pattern.chars().collect::<Vec<_>>(),
                )),
                _ => None,
            },
            Self::Exists(term) => Some(term.of(message) != Operand::Null),
        }
    }
}

impl Comparison {
    fn of(self, left: &Operand, right: &Operand) -> Option<bool> {
        if matches!(left, Operand::Null) || matches!(right, Operand::Null) {
            return None;
        }
        let order = left.partial_cmp(right)?;
        Some(match self {
            Self::Equal => order == Ordering::Equal,
            Self::NotEqual => order != Ordering::Equal,
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
            Self::Greater => order == Ordering::Greater,
            Self::GreaterOrEqual => order != Ordering::Less,
        })
    }
}

impl Term {
    fn of(&self, message: &Incoming) -> Operand {
        match self {
            Self::Literal(value) => value.clone(),
            Self::User(name) => message
                .application
                .0
                .get(name)
                .map_or(Operand::Null, Operand::from),
            Self::System(name) => system(name, message).map_or(Operand::Null, Operand::Text),
        }
    }
}

fn system(name: &str, message: &Incoming) -> Option<String> {
    let properties = &message.properties;
    match name {
        "label" | "subject" => properties.subject.clone(),
        "messageid" => properties.message_id.as_ref().map(id_text),
        "correlationid" => properties.correlation_id.as_ref().map(id_text),
        "sessionid" => properties.group_id.clone(),
        "replytosessionid" => properties.reply_to_group_id.clone(),
        "to" => properties.to.clone(),
        "replyto" => properties.reply_to.clone(),
        "contenttype" => properties
            .content_type
            .as_ref()
            .map(|text| text.as_str().to_owned()),
        _ => None,
    }
}

/// `%` stands for any text, `_` for one character.
fn like(text: &[char], pattern: &[char]) -> bool {
    // Which lengths of the text the pattern so far can stand for.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for wanted in pattern {
        let mut next = vec![false; text.len() + 1];
        for position in 0..=text.len() {
            next[position] = match wanted {
                '%' => reached[position] || position > 0 && next[position - 1],
                '_' => position > 0 && reached[position - 1],
                wanted => position > 0 && reached[position - 1] && text[position - 1] == *wanted,
            };
        }
        reached = next;
    }
    reached[text.len()]
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Text(String),
    Number(f64),
    Sign(&'static str),
}

/// Signs, the longer ones first.
const SIGNS: [&str; 12] = [
    "<>", "!=", "<=", ">=", "=", "<", ">", "(", ")", ",", ".", "-",
];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = if first == '\'' {
            string(rest)?
        } else if first == '[' {
            let end = rest
                .find(']')
                .ok_or("The SQL filter has a '[' without ']'.")?;
            (Token::Quoted(part(rest, 1, end)), end + 1)
        } else if first.is_ascii_digit() {
            let length = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(rest.len());
            let number = part(rest, 0, length)
                .parse()
                .map_err(|_| "The SQL filter has a number that is none.")?;
            (Token::Number(number), length)
        } else if first.is_alphabetic() || first == '_' {
            let length = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            (Token::Word(part(rest, 0, length)), length)
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let sign =
                sign.ok_or_else(|| format!("The SQL filter is not understood at '{first}'."))?;
            (Token::Sign(sign), sign.len())
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

/// A literal in quotes, in which two quotes are one.
fn string(text: &str) -> Result<(Token, usize), String> {
    let mut content = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((position, character)) = characters.next() {
        if character != '\'' {
            content.push(character);
        } else if characters.next_if(|(_, next)| *next == '\'').is_some() {
            content.push('\'');
        } else {
            return Ok((Token::Text(content), position + 1));
        }
    }
    Err("The SQL filter has a text without end.".to_owned())
}

fn part(text: &str, from: usize, to: usize) -> String {
    text.get(from..to).unwrap_or_default().to_owned()
}

struct Parser {
    tokens: Vec<Token>,
    position: usize,
}

impl Parser {
    fn or(&mut self, depth: usize) -> Result<Expression, String> {
        let mut left = self.and(depth)?;
        while self.word("OR") {
            left = Expression::Or(Box::new(left), Box::new(self.and(depth)?));
        }
        Ok(left)
    }

    fn and(&mut self, depth: usize) -> Result<Expression, String> {
        let mut left = self.not(depth)?;
        while self.word("AND") {
            left = Expression::And(Box::new(left), Box::new(self.not(depth)?));
        }
        Ok(left)
    }

    fn not(&mut self, depth: usize) -> Result<Expression, String> {
        if depth > DEEPEST {
            return Err("The SQL filter is nested too deeply.".to_owned());
        }
        if self.word("NOT") {
            return Ok(Expression::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.sign("(") {
            let inner = self.or(depth + 1)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.word("EXISTS") {
            self.expect("(")?;
            let term = self.term()?;
            self.expect(")")?;
            return Ok(Expression::Exists(term));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Expression, String> {
        let left = self.term()?;
        if self.word("IS") {
            let not = self.word("NOT");
            if !self.word("NULL") {
                return Err("The SQL filter has IS without NULL.".to_owned());
            }
            let exists = Expression::Exists(left);
            return Ok(if not {
                exists
            } else {
                Expression::Not(Box::new(exists))
            });
        }
        let not = self.word("NOT");
        let inner = if self.word("IN") {
            Expression::In(left, self.list()?)
        } else if self.word("LIKE") {
            Expression::Like(left, self.term()?)
        } else if not {
            return Err("The SQL filter has NOT without IN or LIKE.".to_owned());
        } else {
            Expression::Compare(left, self.operator()?, self.term()?)
        };
        Ok(if not {
            Expression::Not(Box::new(inner))
        } else {
            inner
        })
    }

    fn list(&mut self) -> Result<Vec<Term>, String> {
        self.expect("(")?;
        let mut list = vec![self.term()?];
        while self.sign(",") {
            list.push(self.term()?);
        }
        self.expect(")")?;
        Ok(list)
    }

    fn operator(&mut self) -> Result<Comparison, String> {
        let operators = [
            ("=", Comparison::Equal),
            ("<>", Comparison::NotEqual),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let found = operators.into_iter().find(|(sign, _)| self.sign(sign));
        found
            .map(|(_, comparison)| comparison)
            .ok_or_else(|| "The SQL filter lacks a comparison.".to_owned())
    }

    fn term(&mut self) -> Result<Term, String> {
        let minus = self.sign("-");
        let token = self.tokens.get(self.position).cloned();
        self.position += 1;
        match token {
            Some(Token::Number(number)) => Ok(Term::Literal(Operand::Number(if minus {
                -number
            } else {
                number
            }))),
            _ if minus => Err("The SQL filter has a '-' before what is no number.".to_owned()),
            Some(Token::Text(text)) => Ok(Term::Literal(Operand::Text(text))),
            Some(Token::Quoted(name)) => Ok(Term::User(name)),
            Some(Token::Word(word)) => Ok(self.name(word)),
            _ => Err("The SQL filter lacks a property or value.".to_owned()),
        }
    }

    /// `sys.Label`, `user.name`, `name`, `TRUE` or `FALSE`.
    fn name(&mut self, word: String) -> Term {
        let lower = word.to_ascii_lowercase();
        let scope = matches!(lower.as_str(), "sys" | "user") && self.sign(".");
        if scope
            && let Some(Token::Word(name) | Token::Quoted(name)) =
                self.tokens.get(self.position).cloned()
        {
            self.position += 1;
            return if lower == "sys" {
                Term::System(name.to_ascii_lowercase())
            } else {
                Term::User(name)
            };
        }
        match lower.as_str() {
            "true" => Term::Literal(Operand::Bool(true)),
            "false" => Term::Literal(Operand::Bool(false)),
            "null" => Term::Literal(Operand::Null),
            _ => Term::User(word),
        }
    }

    fn word(&mut self, wanted: &str) -> bool {
        let found = matches!(self.tokens.get(self.position), Some(Token::Word(word)) if word.eq_ignore_ascii_case(wanted));
        self.position += usize::from(found);
        found
    }

    fn sign(&mut self, wanted: &str) -> bool {
        let found =
            matches!(self.tokens.get(self.position), Some(Token::Sign(sign)) if *sign == wanted);
        self.position += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        if self.sign(wanted) {
            Ok(())
        } else {
            Err(format!("The SQL filter lacks a '{wanted}'."))
        }
    }
}
