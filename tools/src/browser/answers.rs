//! Answers of the protocol, as far as they are read.

use serde::Deserialize;
use serde_json::Value;

use super::tree::Node;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Context {
    pub browser_context_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Created {
    pub target_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attached {
    pub session_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Navigated {
    pub error_text: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Quads {
    pub quads: Vec<[f64; 8]>,
}

#[derive(Deserialize)]
pub(super) struct Object {
    pub object: ObjectId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectId {
    pub object_id: String,
}

#[derive(Deserialize)]
pub(super) struct Returned {
    pub result: ReturnedValue,
}

#[derive(Deserialize)]
pub(super) struct ReturnedValue {
    #[serde(default)]
    pub value: Value,
}

#[derive(Deserialize)]
pub(super) struct Tree {
    pub nodes: Vec<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct History {
    pub current_index: usize,
    pub entries: Vec<Entry>,
}

#[derive(Deserialize)]
pub(super) struct Entry {
    pub id: i64,
    pub url: String,
    pub title: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metrics {
    pub css_visual_viewport: Viewport,
    pub css_content_size: Size,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Viewport {
    pub page_y: f64,
    pub client_height: f64,
}

#[derive(Deserialize)]
pub(super) struct Size {
    pub height: f64,
}

#[derive(Deserialize)]
pub(super) struct Snapshot {
    pub documents: Vec<Document>,
}

#[derive(Deserialize)]
pub(super) struct Document {
    pub nodes: DocumentNodes,
    pub layout: Layout,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DocumentNodes {
    #[serde(default)]
    pub backend_node_id: Vec<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Layout {
    pub node_index: Vec<usize>,
    pub bounds: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Frames {
    pub frame_tree: Frame,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Frame {
    pub frame: FrameId,
    #[serde(default)]
    pub child_frames: Vec<Frame>,
}

#[derive(Deserialize)]
pub(super) struct FrameId {
    pub id: String,
    pub url: String,
}
