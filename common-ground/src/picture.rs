//! A picture that the person gives with a question. Its bytes are a content of the run; here is only what it is.

use receipts::Digest;
use serde::{Deserialize, Serialize};

/// The most pictures of one question.
pub const MOST_PICTURES: usize = 8;

/// What a picture is written in: what every model that sees reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Media {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// GIF; models see its first frame.
    Gif,
    /// WebP.
    Webp,
}

impl Media {
    /// Its media type by RFC 6838.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
        }
    }
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// The name of its file, or what stands for one.
    pub name: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// What it is written in.
    pub media: Media,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

impl Picture {
    /// The picture in a line, as people and models read it.
    pub fn label(&self) -> String {
        format!("{} ({}×{})", self.name, self.width, self.height)
    }

    /// The most tokens that it costs a model: a token for each patch of 28 by 28 pixels, as Qwen's models count, and never
    /// fewer than the 6,404 that Together's bill for four tiles of a Llama. OpenAI's models shrink what is larger than their
    /// 1,445, or 3,779 tokens of the small ones.
    pub fn most_tokens(&self) -> u64 {
        const PATCH: u32 = 28;
        const LEAST: u64 = 6_404;
        (u64::from(self.width.div_ceil(PATCH)) * u64::from(self.height.div_ceil(PATCH))).max(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::{Media, Picture};
    use receipts::Digest;

    #[test]
    fn tokens_grow_with_what_there_is_to_see() {
        let of = |width, height| Picture {
            name: "a.png".to_owned(),
            digest: Digest::of(b""),
            media: Media::Png,
            width,
            height,
        };
        assert_eq!(of(1, 1).most_tokens(), 6_404);
        assert_eq!(of(2_801, 2_800).most_tokens(), 101 * 100);
        assert_eq!(of(u32::MAX, u32::MAX).most_tokens(), 153_391_690 * 153_391_690);
    }
}
