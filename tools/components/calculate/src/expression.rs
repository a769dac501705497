//! Expressions: `+ - * / ^ ( )`, `%` and `of`, comparisons, lists, and functions over them.
//!
//! **Invariant:** no step rounds but `round`.

use num_traits::{One, Signed, ToPrimitive, Zero};
use number::Number;

/// Deepest nesting, so that no text ends the stack.
const DEEPEST: usize = 100;
/// Longest number in bits: powers of powers would never end.
const MOST_BITS: u64 = 200_000;

/// What an expression is worth.
#[derive(Debug, Clone, PartialEq)]
pub enum Worth {
    /// A number.
    One(Number),
    /// A list of numbers.
    Many(Vec<Number>),
    /// Whether a comparison holds.
    Truth(bool),
}

impl Worth {
    /// As text; numbers with so many decimal places where somebody asks for them.
    pub fn shown(&self, places: Option<u32>) -> String {
        let one = |value: &Number| match places {
            Some(places) => number::rounded(value, places),
            None => number::show(value),
        };
        match self {
            Self::One(value) => one(value),
            Self::Many(values) => values.iter().map(one).collect::<Vec<_>>().join(", "),
            Self::Truth(truth) => truth.to_string(),
        }
    }
}

/// The worth of a text.
pub fn value(text: &str) -> Result<Worth, String> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let worth = reader.comparison()?;
    reader.skip();
    match reader.rest().chars().next() {
        None => Ok(worth),
        Some(one) => Err(format!("{one:?} at character {} is not expected", reader.column())),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn column(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    fn skip(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Whether the next sign is one of these; it is read then.
    fn eat<'b>(&mut self, signs: &[&'b str]) -> Option<&'b str> {
        self.skip();
        let found = signs.iter().find(|sign| self.rest().starts_with(**sign))?;
        self.at += found.len();
        Some(found)
    }

    fn comparison(&mut self) -> Result<Worth, String> {
        let left = self.sum()?;
        let Some(sign) = self.eat(&["==", "!=", "<=", ">=", "=", "<", ">", "≤", "≥", "≠"]) else {
            return Ok(left);
        };
        let (left, right) = (one(left)?, one(self.sum()?)?);
        Ok(Worth::Truth(match sign {
            "==" | "=" => left == right,
            "!=" | "≠" => left != right,
            "<=" | "≤" => left <= right,
            ">=" | "≥" => left >= right,
            "<" => left < right,
            _greater => left > right,
        }))
    }

    fn sum(&mut self) -> Result<Worth, String> {
        let mut worth = self.product()?;
        while let Some(sign) = self.eat(&["+", "-", "−"]) {
            let (left, right) = (one(worth)?, one(self.product()?)?);
            worth = Worth::One(bounded(if sign == "+" { left + right } else { left - right })?);
        }
        Ok(worth)
    }

    fn product(&mut self) -> Result<Worth, String> {
        let mut worth = self.signed()?;
        loop {
            // A word, and not the beginning of one.
            let of = self.word() == Some("of");
            let sign = if of { self.eat(&["of"]) } else { self.eat(&["*", "/", "×", "·", "÷"]) };
            let Some(sign) = sign else { return Ok(worth) };
            let (left, right) = (one(worth)?, one(self.signed()?)?);
            worth = Worth::One(bounded(match sign {
                "/" | "÷" if right.is_zero() => return Err("division by zero".to_owned()),
                "/" | "÷" => left / right,
                _times => left * right,
            })?);
        }
    }

    fn signed(&mut self) -> Result<Worth, String> {
        match self.eat(&["-", "−", "+"]) {
            None => self.power(),
            Some(sign) => {
                self.deeper()?;
                let worth = one(self.signed()?)?;
                self.depth -= 1;
                Ok(Worth::One(if sign == "+" { worth } else { -worth }))
            }
        }
    }

    fn power(&mut self) -> Result<Worth, String> {
        let base = self.percent()?;
        if self.eat(&["^", "**"]).is_none() {
            return Ok(base);
        }
        self.deeper()?;
        // From the right, and with a sign of its own: 2^-3^2 is 2^(-(3^2)).
        let exponent = one(self.signed()?)?;
        self.depth -= 1;
        raise(&one(base)?, &exponent).map(Worth::One)
    }

    fn percent(&mut self) -> Result<Worth, String> {
        let mut worth = self.atom()?;
        while self.eat(&["%"]).is_some() {
            worth = Worth::One(one(worth)? / Number::from_integer(100.into()));
        }
        Ok(worth)
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEEPEST { Err(format!("it is nested more than {DEEPEST} deep")) } else { Ok(()) }
    }

    fn word(&mut self) -> Option<&'a str> {
        self.skip();
        let end = self.rest().find(|one: char| !one.is_alphabetic()).unwrap_or(self.rest().len());
        (end > 0).then(|| &self.rest()[..end])
    }

    fn atom(&mut self) -> Result<Worth, String> {
        if let Some(open) = self.eat(&["(", "["]) {
            self.deeper()?;
            let worth = if open == "(" { self.comparison()? } else { Worth::Many(self.list("]")?) };
            self.depth -= 1;
            let close = if open == "(" { ")" } else { return Ok(worth) };
            return match self.eat(&[close]) {
                Some(_) => Ok(worth),
                None => Err(format!("a {close} is missing at character {}", self.column())),
            };
        }
        if let Some(name) = self.word() {
            self.at += name.len();
            if self.eat(&["("]).is_none() {
                return Err(format!("{name:?} is neither a number nor a function"));
            }
            self.deeper()?;
            let values = self.list(")")?;
            self.depth -= 1;
            return function(name, values).map(Worth::One);
        }
        self.number().map(Worth::One)
    }

    /// Numbers and lists up to a sign.
    fn list(&mut self, close: &str) -> Result<Vec<Number>, String> {
        let mut values = Vec::new();
        if self.eat(&[close]).is_some() {
            return Ok(values);
        }
        loop {
            match self.sum()? {
                Worth::One(value) => values.push(value),
                Worth::Many(many) => values.extend(many),
                Worth::Truth(_) => return Err("a comparison is no number".to_owned()),
            }
            if self.eat(&[close]).is_some() {
                return Ok(values);
            }
            if self.eat(&[",", ";"]).is_none() {
                return Err(format!("a comma or {close} is missing at character {}", self.column()));
            }
        }
    }

    fn number(&mut self) -> Result<Number, String> {
        self.skip();
        let rest = self.rest();
        let is_part = |at: usize, byte: u8| {
            byte.is_ascii_digit()
                || byte == b'.'
                || byte == b'_'
                // 1e3, 1e-3
                || (matches!(byte, b'e' | b'E') && rest[at + 1..].starts_with(|one: char| one.is_ascii_digit() || one == '-' || one == '+'))
                || (matches!(byte, b'-' | b'+') && at > 0 && matches!(rest.as_bytes()[at - 1], b'e' | b'E'))
        };
        let end = rest.bytes().enumerate().find(|(at, byte)| !is_part(*at, *byte)).map_or(rest.len(), |(at, _)| at);
        let text = &rest[..end];
        if text.is_empty() {
            let found = rest.chars().next().map_or("the end".to_owned(), |one| format!("{one:?}"));
            return Err(format!("a number is missing at character {}: {found} stands there", self.column()));
        }
        self.at += end;
        number::parse(text).ok_or_else(|| format!("{text:?} is no number"))
    }
}

fn one(worth: Worth) -> Result<Number, String> {
    match worth {
        Worth::One(value) => Ok(value),
        Worth::Many(_) => Err("a list is no number: use sum, mean, min, max or count".to_owned()),
        Worth::Truth(_) => Err("a comparison is no number".to_owned()),
    }
}

fn bounded(value: Number) -> Result<Number, String> {
    if value.numer().bits().max(value.denom().bits()) > MOST_BITS {
        return Err(format!("a number of more than {MOST_BITS} bits"));
    }
    Ok(value)
}

fn raise(base: &Number, exponent: &Number) -> Result<Number, String> {
    let whole = exponent.is_integer().then(|| exponent.numer().to_i32()).flatten();
    let exponent = whole.ok_or("an exponent is a whole number below 2^31")?;
    if base.is_zero() && exponent < 0 {
        return Err("division by zero".to_owned());
    }
    let bits = base.numer().bits().max(base.denom().bits());
    let trivial = base.is_zero() || base.abs().is_one();
    if !trivial && bits.saturating_mul(u64::from(exponent.unsigned_abs())) > MOST_BITS {
        return Err(format!("a number of more than {MOST_BITS} bits"));
    }
    if trivial {
        // No loop over two thousand million.
        let odd = exponent % 2 != 0;
        return Ok(if exponent == 0 {
            Number::one()
        } else if odd {
            base.clone()
        } else {
            base.abs()
        });
    }
    Ok(base.pow(exponent))
}

fn function(name: &str, values: Vec<Number>) -> Result<Number, String> {
    let many = values.len();
    let some = || (many > 0).then_some(()).ok_or(format!("{name} of nothing"));
    match name {
        "sum" => bounded(values.iter().sum()),
        "count" => Ok(Number::from_integer(many.into())),
        "mean" => some().map(|()| values.iter().sum::<Number>() / Number::from_integer(many.into())),
        "min" => some().map(|()| values.into_iter().min().unwrap_or_else(Number::zero)),
        "max" => some().map(|()| values.into_iter().max().unwrap_or_else(Number::zero)),
        "abs" => match values.as_slice() {
            [value] => Ok(value.abs()),
            _ => Err("abs takes one number".to_owned()),
        },
        "round" => match values.as_slice() {
            [value] => Ok(number::round(value, 0)),
            [value, places] => match places.is_integer().then(|| places.numer().to_u32()).flatten() {
                Some(places) if places <= 1_000 => Ok(number::round(value, places)),
                _ => Err("round takes decimal places from 0 to 1000".to_owned()),
            },
            _ => Err("round takes a number and decimal places".to_owned()),
        },
        _ => Err(format!("there is no function {name}: sum, mean, min, max, count, abs, round")),
    }
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn what_it_is_worth() {
        for (text, wanted) in [
            ("0.1 + 0.2", "0.3"),
            ("0.1 + 0.2 = 0.3", "true"),
            ("1/3", "1/3 (about 0.333333333333)"),
            ("1/3 + 1/6", "0.5"),
            ("2 + 3 * 4", "14"),
            ("(2 + 3) * 4", "20"),
            ("-2^2", "-4"),
            ("(-2)^2", "4"),
            ("2^3^2", "512"),
            ("2^-2", "0.25"),
            ("1^2000000000", "1"),
            ("(-1)^2147483647", "-1"),
            ("10 - 2 - 3", "5"),
            ("--5", "5"),
            ("15% of 80", "12"),
            ("80 * 15%", "12"),
            ("50%%", "0.005"),
            ("sum(1, 2.5, [3, 4])", "10.5"),
            ("mean([1, 2, 4])", "7/3 (about 2.333333333333)"),
            ("min(3, -1) ", "-1"),
            ("max([3, 9/2])", "4.5"),
            ("count([])", "0"),
            ("[1, 2/4]", "1, 0.5"),
            ("round(2/3, 2)", "0.67"),
            ("1e3 × 2", "2000"),
            ("3 <= 2", "false"),
            ("2^0.5", "an exponent is a whole number below 2^31"),
            ("1/0", "division by zero"),
            ("0^-1", "division by zero"),
            ("9^9^9", "a number of more than 200000 bits"),
            ("2 +", "a number is missing at character 4: the end stands there"),
            ("2 $ 3", "'$' at character 3 is not expected"),
            ("(1", "a ) is missing at character 3"),
            ("[1] + 1", "a list is no number: use sum, mean, min, max or count"),
            ("foo(1)", "there is no function foo: sum, mean, min, max, count, abs, round"),
            ("mean()", "mean of nothing"),
            ("1.2.3", "\"1.2.3\" is no number"),
        ] {
            let said = value(text).map_or_else(|error| error, |worth| worth.shown(None));
            assert_eq!(said, wanted, "{text}");
        }
        assert!(value(&"(".repeat(10_000)).is_err());
        assert!(value(&"-".repeat(10_000)).is_err());
        assert_eq!(value("2/3").expect("worth").shown(Some(4)), "0.6667");
    }
}
