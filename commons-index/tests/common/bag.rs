//! A model that needs no file: what it makes of a text can be reckoned by hand.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use common_ground::port::{
    BoxFuture,
    embedder::{EmbedError, Embedder, Purpose},
};
use receipts::Digest;

const DIMENSIONS: usize = 32;

/// A word is a direction, and a text the sum of its words; so texts with words in common are near.
pub struct Bag {
    name: &'static str,
    /// Texts embedded so far, and how many are allowed.
    pub made: AtomicUsize,
    pub most: AtomicUsize,
}

impl Bag {
    pub fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, made: AtomicUsize::new(0), most: AtomicUsize::new(usize::MAX) })
    }
}

pub fn bag(text: &str) -> Vec<f32> {
    let mut sum = [0.0_f32; DIMENSIONS];
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        for (number, byte) in sum.iter_mut().zip(Digest::of(word.to_lowercase().as_bytes()).0) {
            *number += f32::from(byte) - 127.5;
        }
    }
    let length = sum.iter().map(|number| number * number).sum::<f32>().sqrt().max(1e-9);
    sum.iter().map(|number| number / length).collect()
}

impl Embedder for Bag {
    fn id(&self) -> &str {
        self.name
    }

    fn space(&self) -> Digest {
        Digest::of(self.name.as_bytes())
    }

    fn dimensions(&self) -> u32 {
        DIMENSIONS as u32
    }

    fn embed<'a>(&'a self, texts: &'a [String], _: Purpose) -> BoxFuture<'a, Result<Vec<Vec<f32>>, EmbedError>> {
        Box::pin(async move {
            let made = self.made.fetch_add(texts.len(), Ordering::Relaxed);
            if made + texts.len() > self.most.load(Ordering::Relaxed) {
                self.made.fetch_sub(texts.len(), Ordering::Relaxed);
                let (model, reason) = (self.name.to_owned(), "it is switched off".to_owned());
                return Err(EmbedError::Unreachable { model, reason });
            }
            Ok(texts.iter().map(|text| bag(text)).collect())
        })
    }
}
