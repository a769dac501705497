//! What a bundle takes out of the schema `ii_commons`.

use super::Session;
use crate::{
    error::StoreError,
    store::rows::{Carried, CarriedPassage, CarriedVector, Columns as _, Kept, signed},
};

impl Session {
    pub(crate) async fn kept(&mut self) -> Result<Option<Kept>, StoreError> {
        let query = sqlx::query("SELECT origin, vkey FROM collections WHERE collection = $1 AND origin IS NOT NULL");
        self.one(query.bind(self.collection), |row| Kept::of(row)).await
    }

    pub(crate) async fn came(&mut self, revision: i64, after: i64, most: u64) -> Result<Vec<Carried>, StoreError> {
        let query = sqlx::query(
            "SELECT * FROM documents WHERE collection = $1 AND since = $2 AND id > $3 ORDER BY id LIMIT $4",
        );
        let query = query.bind(self.collection).bind(revision).bind(after).bind(signed(most));
        self.all(query, |row| Carried::of(row)).await
    }

    pub(crate) async fn went(&mut self, revision: i64) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query("SELECT path FROM documents WHERE collection = $1 AND until = $2 ORDER BY path");
        self.all(query.bind(self.collection).bind(revision), |row| row.text("path")).await
    }

    pub(crate) async fn passages_of(&mut self, document: i64) -> Result<Vec<CarriedPassage>, StoreError> {
        let query =
            sqlx::query("SELECT id, start, stop, headings, sentences FROM passages WHERE document = $1 ORDER BY start");
        self.all(query.bind(document), |row| CarriedPassage::of(row)).await
    }

    pub(crate) async fn vectors_of(&mut self, document: i64) -> Result<Vec<CarriedVector>, StoreError> {
        let query = sqlx::query(
            "SELECT v.passage, v.space, v.half FROM spaces s JOIN passages p ON p.document = $2
             JOIN vectors v ON v.space = s.id AND v.passage = p.id WHERE s.collection = $1 ORDER BY v.passage, v.space",
        );
        self.all(query.bind(self.collection).bind(document), |row| CarriedVector::of(row)).await
    }
}
