//! Text of a PDF, page by page, within bounds.
//!
//! **Invariant:** no stream is inflated to more than [`MOST_INFLATED`] bytes, however small it came.

use std::time::{Duration, Instant};

use lopdf::{Document, LoadOptions};

/// Most bytes of one inflated stream.
const MOST_INFLATED: usize = 8 << 20;
/// Most pages read.
const MOST_PAGES: usize = 1_000;
/// Longest text.
const LONGEST_TEXT: usize = 4 << 20;
/// Longest time; looked at between pages.
const LONGEST: Duration = Duration::from_secs(10);

/// The text of a PDF, and where it was left off.
///
/// # Errors
/// It is no PDF, it is encrypted, or it inflates to too much; the words say which.
pub(super) fn text(bytes: &[u8]) -> Result<String, String> {
    let began = Instant::now();
    let options = LoadOptions { max_decompressed_size: Some(MOST_INFLATED), ..LoadOptions::default() };
    let document = Document::load_mem_with_options(bytes, options).map_err(|error| format!("the PDF: {error}"))?;
    if document.is_encrypted() {
        return Err("the PDF is encrypted".to_owned());
    }
    let pages: Vec<u32> = document.get_pages().into_keys().collect();
    let mut text = String::new();
    for (read, page) in pages.iter().enumerate() {
        if read >= MOST_PAGES || text.len() >= LONGEST_TEXT || began.elapsed() > LONGEST {
            text.push_str(&format!("\n[pages {page} to {} left out]\n", pages.len()));
            break;
        }
        let part = document.extract_text_with_limit(&[*page], MOST_INFLATED);
        let part = part.unwrap_or_else(|error| format!("[page {page} cannot be read: {error}]\n"));
        text.push_str(&format!("[page {page}]\n{part}\n"));
    }
    Ok(text)
}
