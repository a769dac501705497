//! The tokens of an answer as what the port hands on: text as it comes, thoughts apart, and whole calls.

use common_ground::port::model::{Call, ModelEvent};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{chat, schema::CallForm};

/// What many models write around their thoughts, at the beginning of an answer.
const THOUGHT: (&str, &str) = ("<think>", "</think>");

/// The form of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// Words, perhaps after thoughts.
    Words,
    /// One value, under a grammar.
    Json,
    /// Calls, under a grammar; the first gets this number, and none of the ids that are taken.
    Calls { form: CallForm, taken: Vec<String> },
}

/// Reads one answer.
#[derive(Debug)]
pub(super) struct Reader {
    form: Form,
    /// Bytes that are no whole character yet.
    bytes: Vec<u8>,
    /// Text not handed on yet; of calls all of it, since only whole ones are.
    text: String,
    /// Bytes of it that were handed on as a draft.
    drafted: usize,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing but white space, or the first letters of a mark, has come.
    Beginning,
    Thought,
    Answer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    name: String,
    #[serde(borrow)]
    arguments: &'a RawValue,
}

impl Reader {
    pub(super) fn new(form: Form) -> Self {
        let place = if form == Form::Words { Place::Beginning } else { Place::Answer };
        Self { form, bytes: Vec::new(), text: String::new(), drafted: 0, place }
    }

    /// Whether what comes now is thought.
    pub(super) fn is_thinking(&self) -> bool {
        self.place == Place::Thought
    }

    /// What can be handed on after these bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<ModelEvent> {
        self.bytes.extend_from_slice(bytes);
        self.take_characters(false);
        match self.form {
            Form::Calls { .. } => self.draft(),
            Form::Words | Form::Json => self.next(false),
        }
    }

    /// What was written of the calls since the last time.
    fn draft(&mut self) -> Option<ModelEvent> {
        let more = self.text.get(self.drafted..).unwrap_or_default().to_owned();
        self.drafted = self.text.len();
        Some(more).filter(|more| !more.is_empty()).map(|more| ModelEvent::Draft { call: 0, more })
    }

    /// Moves whole characters from the bytes to the text; what can never become one is replaced.
    fn take_characters(&mut self, all: bool) {
        loop {
            let (valid, broken) = match std::str::from_utf8(&self.bytes) {
                Ok(text) => (text.len(), None),
                Err(error) => (error.valid_up_to(), Some(error.error_len())),
            };
            self.text += &String::from_utf8_lossy(&self.bytes[..valid]);
            self.bytes.drain(..valid);
            let wrong = match broken {
                None => return,
                Some(Some(wrong)) => wrong,
                // Perhaps the rest of the character is still to come.
                Some(None) if all => self.bytes.len(),
                Some(None) => return,
            };
            self.text.push('\u{FFFD}');
            self.bytes.drain(..wrong);
        }
    }

    fn next(&mut self, all: bool) -> Option<ModelEvent> {
        if self.place == Place::Beginning {
            let begun = self.text.trim_start();
            if let Some(rest) = begun.strip_prefix(THOUGHT.0) {
                self.text = rest.to_owned();
                self.place = Place::Thought;
            } else if all || !THOUGHT.0.starts_with(begun) {
                self.place = Place::Answer;
            }
        }
        match self.place {
            Place::Beginning => None,
            Place::Answer => Some(std::mem::take(&mut self.text)).filter(|text| !text.is_empty()).map(ModelEvent::Text),
            Place::Thought => {
                let thought = match self.text.split_once(THOUGHT.1) {
                    Some((thought, answer)) => {
                        self.place = Place::Answer;
                        let parts = (thought.to_owned(), answer.trim_start().to_owned());
                        self.text = parts.1;
                        parts.0
                    }
                    None if all => std::mem::take(&mut self.text),
                    None => {
                        // What may be the beginning of the closing mark is kept back.
                        let kept = (1..THOUGHT.1.len()).rev().find(|length| self.text.ends_with(&THOUGHT.1[..*length]));
                        let rest = self.text.split_off(self.text.len() - kept.unwrap_or(0));
                        std::mem::replace(&mut self.text, rest)
                    }
                };
                Some(thought).filter(|thought| !thought.is_empty()).map(ModelEvent::Thinking)
            }
        }
    }

    /// What is left at the end.
    ///
    /// # Errors
    /// What is wrong with the calls; a grammar lets that happen only by a fault of its own.
    pub(super) fn finish(mut self) -> Result<Vec<ModelEvent>, String> {
        self.take_characters(true);
        match &self.form {
            Form::Words | Form::Json => {
                // Thoughts may end in the same piece as the answer begins.
                Ok(std::iter::from_fn(|| self.next(true)).collect())
            }
            Form::Calls { form, taken } => {
                let text = chat::call_texts(*form, &self.text);
                let calls: Vec<Written<'_>> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
                let ids = (1_u64..).map(|number| format!("call_{number}")).filter(|id| !taken.contains(id));
                let calls = calls.into_iter().zip(ids).map(|(call, id)| {
                    ModelEvent::Call(Call { id, tool: call.name, arguments: call.arguments.get().to_owned() })
                });
                Ok(calls.collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use common_ground::port::model::ModelEvent::{self, Call, Draft, Text, Thinking};

    use super::{CallForm, Form, Reader};

    fn read(form: Form, pieces: &[&[u8]]) -> Result<Vec<ModelEvent>, String> {
        let mut reader = Reader::new(form);
        let mut events: Vec<ModelEvent> = pieces.iter().filter_map(|piece| reader.push(piece)).collect();
        events.extend(reader.finish()?);
        Ok(events)
    }

    fn text(text: &str) -> ModelEvent {
        Text(text.to_owned())
    }

    #[test]
    fn characters_are_whole_and_thoughts_apart() {
        for (pieces, events) in [
            (&[b"a".as_slice(), b"\xC3", b"\xA4b"][..], vec![text("a"), text("äb")]),
            (&[b"a\xFFb\xC3"], vec![text("a\u{FFFD}b"), text("\u{FFFD}")]),
            (
                &[b" <thi", b"nk>hm</t", b"x</think", b">\n\nyes"],
                vec![Thinking("hm".to_owned()), Thinking("</tx".to_owned()), text("yes")],
            ),
            (&[b"<think>hm</think>a"], vec![Thinking("hm".to_owned()), text("a")]),
            (&[b"<thin", b"g"], vec![text("<thing")]),
            (&[b"<think>never"], vec![Thinking("never".to_owned())]),
        ] {
            assert_eq!(read(Form::Words, pieces), Ok(events), "{pieces:?}");
        }
        assert_eq!(read(Form::Json, &[b"\"<think>\""]), Ok(vec![text("\"<think>\"")]));
    }

    #[test]
    fn calls_are_whole_have_new_ids_and_the_arguments_as_written() {
        let array = Form::Calls { form: CallForm::Array, taken: vec!["call_1".to_owned(), "x".to_owned()] };
        let events = read(
            array.clone(),
            &[b"[{\"name\":\"a\",\"argu", b"ments\":{\"x\": 1.0}},{\"name\":\"b\",\"arguments\":{}}]"],
        );
        let (mut drafted, mut calls) = (Vec::new(), Vec::new());
        for event in events.expect("calls") {
            match event {
                Call(call) => calls.push((call.id, call.tool, call.arguments)),
                Draft { call: 0, more } => drafted.push(more),
                other => panic!("{other:?} is no call"),
            }
        }
        let pieces = ["[{\"name\":\"a\",\"argu", "ments\":{\"x\": 1.0}},{\"name\":\"b\",\"arguments\":{}}]"];
        assert_eq!(drafted, pieces, "what is written is shown as it comes");
        let expected = [("call_2", "a", "{\"x\": 1.0}"), ("call_3", "b", "{}")];
        assert_eq!(calls, expected.map(|(id, tool, arguments)| (id.to_owned(), tool.to_owned(), arguments.to_owned())));
        let tagged = Form::Calls { form: CallForm::Tagged, taken: Vec::new() };
        let one = "<tool_call>\n{\"name\":\"a\",\"arguments\":{}}\n</tool_call>";
        let events = read(tagged, &[format!("{one}\n{one}").as_bytes()]).expect("calls");
        assert_eq!(events.iter().filter(|event| matches!(event, Call(_))).count(), 2);
        assert!(read(array, &[b"[{\"name\":"]).is_err());
    }
}
