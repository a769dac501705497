//! Looks for model servers on this very machine, and says what it found. It never uses one: that is the person's choice.
//!
//! **Invariant:** asks only the addresses it is given, and they are loopback's unless a test says otherwise.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use super::openai::{Dialect, json_within, loopback_client};

/// Where a server of some kind usually listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The provider's name in configuration.
    pub provider: &'static str,
    /// Which server program it would be.
    pub dialect: Dialect,
    /// `http://HOST:PORT`.
    pub root: String,
}

/// A server that answered as its kind does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub place: Place,
    /// Names of its models, in its own order.
    pub models: Vec<String>,
}

/// Longest time of the whole search.
pub const WITHIN: Duration = Duration::from_millis(300);
/// Most models listed of one server.
const MOST_MODELS: usize = 200;

/// The usual ports of the servers we know.
pub fn usual_places() -> Vec<Place> {
    [
        ("llama-server", Dialect::LlamaServer, 8080),
        ("ollama", Dialect::Ollama, 11434),
        ("lmstudio", Dialect::LmStudio, 1234),
        ("vllm", Dialect::Vllm, 8000),
    ]
    .map(|(provider, dialect, port)| Place { provider, dialect, root: format!("http://127.0.0.1:{port}") })
    .to_vec()
}

/// Asks all places at once; those that do not answer as their kind does, or not in time, are not there.
pub async fn discover(places: Vec<Place>, within: Duration) -> Vec<Found> {
    let Some(http) = loopback_client(within) else { return Vec::new() };
    let asked = places.into_iter().map(|place| {
        let http = http.clone();
        async move {
            let answer = json_within(http.get(format!("{}{}", place.root, path(place.dialect))), within).await?;
            let models = models(place.dialect, &answer)?;
            Some(Found { place, models })
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Where a server of this kind lists its models.
fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Ollama => "/api/tags",
        Dialect::LmStudio => "/api/v0/models",
        Dialect::LlamaServer | Dialect::Vllm | Dialect::OpenAi | Dialect::Compatible => "/v1/models",
    }
}

/// The names in a list of models; none when another program answered on that port.
fn models(dialect: Dialect, answer: &Value) -> Option<Vec<String>> {
    let (list, key) = match dialect {
        Dialect::Ollama => (answer.get("models")?, "name"),
        Dialect::LlamaServer | Dialect::Vllm | Dialect::LmStudio | Dialect::OpenAi | Dialect::Compatible => {
            (answer.get("data")?, "id")
        }
    };
    let owner = match dialect {
        Dialect::LlamaServer => Some("llamacpp"),
        Dialect::Vllm => Some("vllm"),
        Dialect::Ollama | Dialect::LmStudio | Dialect::OpenAi | Dialect::Compatible => None,
    };
    let is_its_own = |model: &&Value| {
        owner.is_none_or(|owner| model.get("owned_by").and_then(Value::as_str).is_some_and(|by| by == owner))
    };
    let listed = list.as_array()?;
    let names: Vec<String> = listed
        .iter()
        .filter(is_its_own)
        .filter_map(|model| model.get(key)?.as_str())
        .take(MOST_MODELS)
        .map(str::to_owned)
        .collect();
    (listed.is_empty() || !names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Dialect, models};

    #[test]
    fn a_server_is_known_by_how_it_lists_its_models() {
        let llama = json!({"data": [{"id": "a.gguf", "owned_by": "llamacpp"}]});
        let vllm = json!({"data": [{"id": "b", "owned_by": "vllm"}]});
        let ollama = json!({"models": [{"name": "c:latest"}, {"nameless": 1}]});
        assert_eq!(models(Dialect::LlamaServer, &llama), Some(vec!["a.gguf".to_owned()]));
        assert_eq!(models(Dialect::LlamaServer, &vllm), None);
        assert_eq!(models(Dialect::Vllm, &vllm), Some(vec!["b".to_owned()]));
        assert_eq!(models(Dialect::Vllm, &json!({"hello": "world"})), None);
        assert_eq!(models(Dialect::Ollama, &ollama), Some(vec!["c:latest".to_owned()]));
        assert_eq!(models(Dialect::Ollama, &json!({"models": []})), Some(Vec::new()));
    }
}
