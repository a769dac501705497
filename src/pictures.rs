//! Pictures that a person gives with a question: read from a file or from what the clipboard holds, checked, and made a
//! content of the run. Nothing here looks at more of a picture than its kind and its size.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use agent_runtime::journal::Blob;
use common_ground::picture::{MOST_PICTURES, Media, Picture};
use imagesize::ImageType;
use receipts::Digest;

use crate::{
    exit::{Exit, Failure},
    show,
};

/// The largest picture, in bytes: what the strictest of the usual providers takes.
const LARGEST: u64 = 5 << 20;
/// The longest side, in pixels, for the same reason.
const LONGEST_SIDE: usize = 8_000;
/// The longest name that a model is told, in characters.
const LONGEST_NAME: usize = 100;

const FIX: &str = "give a PNG, JPEG, GIF or WebP of at most 5 MiB and 8000 pixels a side";

/// A picture with its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// What it is.
    pub picture: Picture,
    /// Its bytes.
    pub content: Blob,
}

/// Reads the pictures of these files.
///
/// # Errors
/// Too many of them, one that cannot be read, one that is no picture that models read, or is too large (2).
pub fn read(paths: &[PathBuf]) -> Result<Vec<Given>, Failure> {
    if paths.len() > MOST_PICTURES {
        let what = format!("{} pictures come with the question", paths.len());
        return Err(Failure::new(Exit::Usage, what, format!("give at most {MOST_PICTURES}")));
    }
    paths.iter().map(|path| read_one(path)).collect()
}

fn read_one(path: &Path) -> Result<Given, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(Exit::Usage, format!("the picture {}: {error}", path.display()), "name a file that is there")
    };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    checked(&name, bytes)
}

/// The picture that these bytes are.
///
/// # Errors
/// They are none that models read, or too large (2).
pub fn checked(name: &str, bytes: Vec<u8>) -> Result<Given, Failure> {
    let bad = |what: &str| Failure::new(Exit::Usage, format!("the picture {} {what}", show::plain(name)), FIX);
    if bytes.len() as u64 > LARGEST {
        return Err(bad("has more than 5 MiB"));
    }
    let media = match imagesize::image_type(&bytes) {
        Ok(ImageType::Png) => Media::Png,
        Ok(ImageType::Jpeg) => Media::Jpeg,
        Ok(ImageType::Gif) => Media::Gif,
        Ok(ImageType::Webp) => Media::Webp,
        Ok(_) | Err(_) => return Err(bad("is none that models read")),
    };
    let size = imagesize::blob_size(&bytes).map_err(|_cut| bad("is damaged: its size cannot be read"))?;
    if size.width == 0 || size.height == 0 || size.width.max(size.height) > LONGEST_SIDE {
        return Err(bad(&format!("is {} by {} pixels large", size.width, size.height)));
    }
    let pixels = |side: usize| u32::try_from(side).map_err(Failure::internal);
    let digest = Digest::of(&bytes);
    let name = show::plain(name).chars().take(LONGEST_NAME).collect();
    let picture = Picture { name, digest, media, width: pixels(size.width)?, height: pixels(size.height)? };
    Ok(Given { picture, content: Blob { digest, bytes } })
}

#[cfg(test)]
mod tests {
    use super::{LARGEST, checked, read};
    use common_ground::picture::Media;

    /// The first bytes of a PNG of this size.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let chunk: &[&[u8]] =
            &[b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &width.to_be_bytes(), &height.to_be_bytes(), b"\x08\x02\0\0\0"];
        chunk.concat()
    }

    #[test]
    fn what_it_is_is_read_from_the_bytes() {
        let given = checked("a\u{1b}[2J.jpg", png(640, 480)).expect("a picture");
        let picture = &given.picture;
        assert_eq!((picture.media, picture.width, picture.height), (Media::Png, 640, 480));
        assert_eq!((picture.label().as_str(), picture.digest), ("a�[2J.jpg (640×480)", given.content.digest));
        let gif = checked("a.gif", b"GIF89a\x03\0\x02\0\0\0\0\0\0\0".to_vec()).expect("a picture").picture;
        assert_eq!((gif.media, gif.width, gif.height), (Media::Gif, 3, 2));
    }

    #[test]
    fn what_models_do_not_read_is_refused_with_the_reason() {
        let mut large = png(10, 10);
        large.resize(usize::try_from(LARGEST).expect("small") + 1, 0);
        for (bytes, why) in [
            (b"<svg></svg>".to_vec(), "is none that models read"),
            (Vec::new(), "is none that models read"),
            (b"BM\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(), "is none that models read"),
            (png(10, 10)[..18].to_vec(), "is damaged"),
            (png(0, 10), "is 0 by 10 pixels large"),
            (png(10, 8_001), "is 10 by 8001 pixels large"),
            (large, "has more than 5 MiB"),
        ] {
            let refused = checked("a.png", bytes).expect_err(why).to_string();
            assert!(refused.contains(why), "{refused}");
        }
        let missing = read(&["/nowhere/a.png".into()]).expect_err("missing").to_string();
        assert!(missing.contains("/nowhere/a.png"), "{missing}");
        assert!(read(&vec!["/nowhere/a.png".into(); 9]).expect_err("many").to_string().contains("at most 8"));
    }
}
