//! A question to a table, and its answer as CSV.

use std::{cmp::Ordering, collections::BTreeMap, io::BufRead};

use csv::StringRecord;
use number::Number;
use serde::Deserialize;

use crate::rows::{Kind, Rows, number_of};

/// Rows shown where nobody says how many.
const ROWS: usize = 20;
/// Rows of a file's head.
const HEAD: usize = 5;

/// What is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    pub path: String,
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    compute: Vec<Compute>,
    group: Option<String>,
    sort: Option<Sort>,
    rows: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    column: String,
    is: Is,
    value: String,
}

#[derive(Deserialize, Clone, Copy)]
enum Is {
    #[serde(rename = "=")]
    Same,
    #[serde(rename = "!=")]
    Other,
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    LessOrSame,
    #[serde(rename = ">")]
    More,
    #[serde(rename = ">=")]
    MoreOrSame,
    #[serde(rename = "contains")]
    Contains,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Compute {
    what: What,
    column: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum What {
    Count,
    Sum,
    Mean,
    Min,
    Max,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sort {
    column: String,
    #[serde(default)]
    descending: bool,
}

/// Numbers where both are, else text.
fn compare(one: &str, two: &str) -> Ordering {
    match (number::parse(one.trim()), number::parse(two.trim())) {
        (Some(one), Some(two)) => one.cmp(&two),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.cmp(two),
    }
}

impl Is {
    fn holds(self, field: &str, value: &str) -> bool {
        let order = || compare(field, value);
        match self {
            Self::Same => order() == Ordering::Equal,
            Self::Other => order() != Ordering::Equal,
            Self::Contains => field.contains(value),
            // Nothing is neither more nor less than something.
            Self::Less | Self::LessOrSame | Self::More | Self::MoreOrSame if field.trim().is_empty() => false,
            Self::Less => order() == Ordering::Less,
            Self::LessOrSame => order() != Ordering::Greater,
            Self::More => order() == Ordering::Greater,
            Self::MoreOrSame => order() != Ordering::Less,
        }
    }
}

/// What one computation has seen of its column.
#[derive(Default, Clone)]
struct Seen {
    many: u64,
    sum: Option<Number>,
    min: Option<Number>,
    max: Option<Number>,
}

impl Seen {
    fn see(&mut self, value: Number) {
        self.many += 1;
        if self.min.as_ref().is_none_or(|min| value < *min) {
            self.min = Some(value.clone());
        }
        if self.max.as_ref().is_none_or(|max| value > *max) {
            self.max = Some(value.clone());
        }
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + value,
            None => value,
        });
    }

    fn shown(&self, what: What) -> String {
        let value = match what {
            What::Count => return self.many.to_string(),
            What::Sum => self.sum.clone(),
            What::Mean => self.sum.as_ref().map(|sum| sum / Number::from_integer(self.many.into())),
            What::Min => self.min.clone(),
            What::Max => self.max.clone(),
        };
        value.as_ref().map_or_else(String::new, number::show)
    }
}

impl Question {
    /// The answer.
    pub fn answer(&self, file: impl BufRead) -> Result<String, String> {
        let mut rows = Rows::open(file)?;
        let filters = self.filter.iter().map(|one| Ok((rows.place(&one.column)?, one.is, one.value.as_str())));
        let filters = filters.collect::<Result<Vec<_>, String>>()?;
        let passes =
            |row: &StringRecord| filters.iter().all(|(at, is, value)| is.holds(row.get(*at).unwrap_or(""), value));
        if !self.compute.is_empty() || self.group.is_some() {
            return self.computed(&mut rows, passes);
        }
        if self.columns.is_empty() && self.sort.is_none() && self.rows.is_none() && self.filter.is_empty() {
            return about(&mut rows);
        }
        self.listed(&mut rows, passes)
    }

    fn computed<R: BufRead>(
        &self,
        rows: &mut Rows<R>,
        passes: impl Fn(&StringRecord) -> bool,
    ) -> Result<String, String> {
        if !self.columns.is_empty() {
            return Err("columns are for rows; with compute or group there are none".to_owned());
        }
        let group = self.group.as_deref().map(|name| rows.place(name)).transpose()?;
        let count = [Compute { what: What::Count, column: None }];
        let compute = if self.compute.is_empty() { &count } else { self.compute.as_slice() };
        let mut places = Vec::new();
        for one in compute {
            places.push(match &one.column {
                Some(name) => Some((rows.place(name)?, name.as_str())),
                None if one.what == What::Count => None,
                None => return Err("a computation but count needs a column".to_owned()),
            });
        }
        let mut groups: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
        if group.is_none() {
            groups.insert(String::new(), vec![Seen::default(); compute.len()]);
        }
        rows.each(|row| {
            if !passes(row) {
                return Ok(());
            }
            let name = group.map_or("", |at| row.get(at).unwrap_or(""));
            if !groups.contains_key(name) {
                groups.insert(name.to_owned(), vec![Seen::default(); compute.len()]);
            }
            let Some(seen) = groups.get_mut(name) else { return Ok(()) };
            for ((seen, place), one) in seen.iter_mut().zip(&places).zip(compute) {
                match place {
                    None => seen.many += 1,
                    Some((at, _)) if one.what == What::Count => {
                        seen.many += u64::from(!row.get(*at).unwrap_or("").trim().is_empty());
                    }
                    Some((at, name)) => {
                        if let Some(value) = number_of(name, row.get(*at).unwrap_or(""))? {
                            seen.see(value);
                        }
                    }
                }
            }
            Ok(())
        })?;
        let mut names: Vec<String> = self.group.iter().cloned().collect();
        names.extend(compute.iter().map(|one| match &one.column {
            Some(column) => format!("{} {column}", one.what.name()),
            None => one.what.name().to_owned(),
        }));
        let mut lines: Vec<Vec<String>> = Vec::new();
        for (name, seen) in groups {
            let mut line: Vec<String> = group.map(|_| name).into_iter().collect();
            line.extend(seen.iter().zip(compute).map(|(seen, one)| seen.shown(one.what)));
            lines.push(line);
        }
        if let Some(sort) = &self.sort {
            let at = names.iter().position(|name| *name == sort.column);
            let at =
                at.ok_or_else(|| format!("there is no {:?} to sort by; there are {}", sort.column, names.join(", ")))?;
            lines.sort_by(|one, two| turned(compare(&one[at], &two[at]), sort));
        }
        written(&names, lines, self.rows.unwrap_or(ROWS))
    }

    fn listed<R: BufRead>(&self, rows: &mut Rows<R>, passes: impl Fn(&StringRecord) -> bool) -> Result<String, String> {
        let names = if self.columns.is_empty() { rows.columns.clone() } else { self.columns.clone() };
        let places = names.iter().map(|name| rows.place(name)).collect::<Result<Vec<_>, _>>()?;
        let sort = self.sort.as_ref().map(|sort| Ok::<_, String>((rows.place(&sort.column)?, sort))).transpose()?;
        let most = self.rows.unwrap_or(ROWS);
        let (mut many, mut lines) = (0_usize, Vec::new());
        rows.each(|row| {
            if passes(row) {
                many += 1;
                // Without an order the first are as good as any, and the rest need no memory.
                if sort.is_some() || lines.len() < most {
                    let key = sort.map(|(at, _)| row.get(at).unwrap_or("").to_owned());
                    lines
                        .push((key, places.iter().map(|at| row.get(*at).unwrap_or("").to_owned()).collect::<Vec<_>>()));
                }
            }
            Ok(())
        })?;
        if let Some((_, sort)) = sort {
            lines.sort_by(|(one, _), (two, _)| {
                turned(compare(one.as_deref().unwrap_or(""), two.as_deref().unwrap_or("")), sort)
            });
        }
        lines.truncate(most);
        let shown = lines.len();
        let mut text = written(&names, lines.into_iter().map(|(_, line)| line).collect(), most)?;
        if many > shown {
            text.push_str(&format!("({} more rows)\n", many - shown));
        }
        Ok(text)
    }
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

fn turned(order: Ordering, sort: &Sort) -> Ordering {
    if sort.descending { order.reverse() } else { order }
}

/// Columns with their kinds, how many rows, and the first of them.
fn about<R: BufRead>(rows: &mut Rows<R>) -> Result<String, String> {
    let mut kinds = vec![Kind::Empty; rows.columns.len()];
    let (mut many, mut head) = (0_usize, Vec::new());
    rows.each(|row| {
        many += 1;
        for (kind, value) in kinds.iter_mut().zip(row) {
            *kind = kind.with(value);
        }
        if head.len() < HEAD {
            head.push(row.iter().map(str::to_owned).collect());
        }
        Ok(())
    })?;
    let named: Vec<String> =
        rows.columns.iter().zip(&kinds).map(|(name, kind)| format!("{name} ({})", kind.name())).collect();
    let shown = head.len();
    let head = written(&rows.columns, head, HEAD)?;
    Ok(format!("{many} rows; columns: {}\nthe first {shown}:\n{head}", named.join(", ")))
}

/// Lines as CSV, and how many are left out.
fn written(names: &[String], lines: Vec<Vec<String>>, most: usize) -> Result<String, String> {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    writer.write_record(names).map_err(|error| error.to_string())?;
    let many = lines.len();
    for line in lines.into_iter().take(most) {
        writer.write_record(&line).map_err(|error| error.to_string())?;
    }
    let bytes = writer.into_inner().map_err(|error| error.to_string())?;
    let mut text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    if many > most {
        text.push_str(&format!("({} more rows)\n", many - most));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::Question;

    const SALES: &str = "region,day,amount,note\nnorth,2026-01-01,0.1,\"a, b\"\nsouth,2026-01-02,0.2,\nnorth,2026-01-03,10,x\neast,2026-01-04,,y\n";

    fn ask(file: &str, question: &str) -> String {
        let question: Question = serde_json::from_str(question).expect("a question");
        question.answer(file.as_bytes()).unwrap_or_else(|error| format!("error: {error}"))
    }

    #[test]
    fn questions_and_answers() {
        for (question, wanted) in [
            (
                r#"{"path":"/x"}"#,
                "4 rows; columns: region (text), day (date), amount (number), note (text)\nthe first 4:\nregion,day,amount,note\nnorth,2026-01-01,0.1,\"a, b\"\nsouth,2026-01-02,0.2,\nnorth,2026-01-03,10,x\neast,2026-01-04,,y\n",
            ),
            (r#"{"path":"/x","compute":[{"what":"sum","column":"amount"}]}"#, "sum amount\n10.3\n"),
            (
                r#"{"path":"/x","group":"region","compute":[{"what":"count"},{"what":"mean","column":"amount"}],"sort":{"column":"count","descending":true}}"#,
                "region,count,mean amount\nnorth,2,5.05\neast,1,\nsouth,1,0.2\n",
            ),
            (
                r#"{"path":"/x","filter":[{"column":"amount","is":">","value":"0.15"}],"columns":["day"],"sort":{"column":"amount","descending":true}}"#,
                "day\n2026-01-03\n2026-01-02\n",
            ),
            (r#"{"path":"/x","columns":["region"],"rows":1}"#, "region\nnorth\n(3 more rows)\n"),
            (
                r#"{"path":"/x","compute":[{"what":"count","column":"note"},{"what":"min","column":"amount"},{"what":"max","column":"amount"}]}"#,
                "count note,min amount,max amount\n3,0.1,10\n",
            ),
            (
                r#"{"path":"/x","filter":[{"column":"note","is":"contains","value":","}],"compute":[{"what":"count"}]}"#,
                "count\n1\n",
            ),
            (
                r#"{"path":"/x","columns":["none"]}"#,
                "error: there is no column \"none\"; there are region, day, amount, note",
            ),
            (
                r#"{"path":"/x","compute":[{"what":"sum","column":"region"}]}"#,
                "error: \"north\" in column \"region\" is no number",
            ),
            (r#"{"path":"/x","compute":[{"what":"sum"}]}"#, "error: a computation but count needs a column"),
        ] {
            assert_eq!(ask(SALES, question), wanted, "{question}");
        }
    }

    #[test]
    fn other_files() {
        let sum = r#"{"path":"/x","compute":[{"what":"sum","column":"b"}]}"#;
        for (file, wanted) in [
            ("a\tb\n1\t2\n3\t4\n", "sum b\n6\n"),
            ("a;b\r\n1;2\r\n", "sum b\n2\n"),
            ("\u{feff}b,a\n1,2\n", "sum b\n1\n"),
            ("a,b\n1\n2,3,4\n", "sum b\n3\n"),
            ("b\n", "sum b\n\n"),
            ("", "error: the file is empty"),
        ] {
            assert_eq!(ask(file, sum).replace("\"\"", ""), wanted, "{file:?}");
        }
    }
}
