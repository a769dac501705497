//! Markers of secrets in headers, replaced where the grant says so and nowhere else.

use common_ground::grant::Item;
use http::{HeaderMap, HeaderValue};
use secrecy::ExposeSecret;

use super::{EgressError, Line, Target};

const OPENS: &str = "{{secret:";
const CLOSES: &str = "}}";

/// The names of all secrets whose markers a text has.
pub(crate) fn named(text: &str) -> Vec<&str> {
    text.split(OPENS).skip(1).filter_map(|rest| rest.split_once(CLOSES)).map(|(name, _)| name).collect()
}

impl Line<'_> {
    /// The headers with secrets in the places of their markers. `private` says whether nobody else reads them on the way.
    pub(super) fn with_secrets(
        &self,
        target: &Target,
        headers: &HeaderMap,
        private: bool,
    ) -> Result<HeaderMap, EgressError> {
        let mut filled = HeaderMap::with_capacity(headers.len());
        for (header, value) in headers {
            let text = value.to_str().unwrap_or_default();
            let names = named(text);
            if names.is_empty() {
                filled.append(header.clone(), value.clone());
                continue;
            }
            let mut text = text.to_owned();
            for name in names {
                let secret = self.secret(target, header.as_str(), name, private)?;
                text = text.replace(&format!("{OPENS}{name}{CLOSES}"), secret);
            }
            // The error would be about the value; its words are not passed on.
            let mut value = HeaderValue::from_str(&text).map_err(|_unprintable| {
                self.refuse(format!("the header {header}"), "a secret that no header can hold")
            })?;
            value.set_sensitive(true);
            filled.append(header.clone(), value);
        }
        Ok(filled)
    }

    fn secret(&self, target: &Target, header: &str, name: &str, private: bool) -> Result<&str, EgressError> {
        let need = Item::Secret { name: name.to_owned(), host: target.host().to_owned(), header: header.to_owned() };
        if self.work.grant().covering(&need).is_none() {
            return Err(self.refuse(need.to_string(), "no grant covers it"));
        }
        if !private {
            return Err(self.refuse(need.to_string(), "a secret goes over https only"));
        }
        let known = self.dialler.secrets.iter().find(|(known, _)| known == name);
        let (_, value) = known.ok_or_else(|| self.refuse(need.to_string(), "the settings have no such secret"))?;
        Ok(value.expose_secret())
    }
}
