//! What a tool gave, as a model reads it: text whole, everything else by kind and size.
//!
//! **Invariant:** bytes of images, sounds and files are not passed on.

use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};

/// The text of a result, and whether the tool says that it failed.
pub(super) fn read(result: CallToolResult) -> (Vec<u8>, bool) {
    let mut blocks: Vec<String> = result.content.iter().map(block).collect();
    let has_text = result.content.iter().any(|one| matches!(one, ContentBlock::Text(_)));
    if !has_text && let Some(structured) = &result.structured_content {
        blocks.insert(0, structured.to_string());
    }
    (blocks.join("\n").into_bytes(), result.is_error.unwrap_or(false))
}

fn block(block: &ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(image) => named("image", &image.mime_type, &image.data),
        ContentBlock::Audio(audio) => named("audio", &audio.mime_type, &audio.data),
        ContentBlock::Resource(embedded) => match &embedded.resource {
            ResourceContents::TextResourceContents { uri, text, .. } => {
                format!("[resource {uri}, text, {} bytes, not passed on]", text.len())
            }
            ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
                named(&format!("resource {uri}"), mime_type.as_deref().unwrap_or("unknown type"), blob)
            }
            _newer => "[a resource of a kind newer than this program, not passed on]".to_owned(),
        },
        ContentBlock::ResourceLink(link) => format!("[a link to the resource {}, not followed]", link.uri),
        _newer => "[content of a kind newer than this program, not passed on]".to_owned(),
    }
}

/// What is said of bytes in base64.
fn named(what: &str, kind: &str, data: &str) -> String {
    let padding = data.bytes().rev().take_while(|byte| *byte == b'=').count();
    let bytes = (data.len() / 4 * 3 + (data.len() % 4).saturating_sub(1)).saturating_sub(padding);
    format!("[{what}, {kind}, {bytes} bytes, not passed on]")
}

#[cfg(test)]
mod tests {
    use rmcp::model::CallToolResult;
    use serde_json::{Value, json};

    use super::read;

    fn given(result: Value) -> (String, bool) {
        let (text, failed) = read(serde_json::from_value::<CallToolResult>(result).expect("a result"));
        (String::from_utf8(text).expect("text"), failed)
    }

    #[test]
    fn text_is_passed_on_and_all_else_is_named() {
        for (result, text, failed) in [
            (json!({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}), "a\nb", false),
            (json!({"content": [{"type": "text", "text": "no"}], "isError": true}), "no", true),
            (json!({"content": [], "structuredContent": {"b": 1, "a": 2}}), r#"{"a":2,"b":1}"#, false),
            (json!({"content": [{"type": "text", "text": "t"}], "structuredContent": {"a": 2}}), "t", false),
            (json!({"content": []}), "", false),
            (
                json!({"content": [{"type": "image", "mimeType": "image/png", "data": "AAECAw=="}]}),
                "[image, image/png, 4 bytes, not passed on]",
                false,
            ),
            (
                json!({"content": [{"type": "audio", "mimeType": "audio/wav", "data": "AAEC"}]}),
                "[audio, audio/wav, 3 bytes, not passed on]",
                false,
            ),
            (
                json!({"content": [{"type": "resource", "resource": {"uri": "file:///a", "text": "secret"}}]}),
                "[resource file:///a, text, 6 bytes, not passed on]",
                false,
            ),
            (
                json!({"content": [{"type": "resource", "resource": {"uri": "file:///a", "blob": "AAE="}}]}),
                "[resource file:///a, unknown type, 2 bytes, not passed on]",
                false,
            ),
            (
                json!({"content": [{"type": "resource_link", "uri": "file:///a", "name": "a"}]}),
                "[a link to the resource file:///a, not followed]",
                false,
            ),
        ] {
            assert_eq!(given(result), (text.to_owned(), failed));
        }
    }
}
