//! Classes of benefit: what a receipt claims credit for.
//!
//! **Invariant:** one list for receipts and ledgers, so that neither knows a class that the other does not.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A class of benefit.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum BenefitClass { $($(#[$doc])* $name,)* }

        impl BenefitClass {
            /// Every class.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The class as receipts have it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

classes! {
    /// Work of agents; the class of this program's own receipts.
    AgentOrchestration = "Agent-Orchestration",
    /// Answers of models.
    ComputeInference = "Compute-Inference",
    /// Training of models.
    ComputeTraining = "Compute-Training",
    /// Data made fit for use.
    DataCuration = "Data-Curation",
}

impl BenefitClass {
    /// The class that a text names.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.as_str() == text)
    }
}

impl Serialize for BenefitClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for BenefitClass {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is no class of benefit")))
    }
}

#[cfg(test)]
mod tests {
    use super::BenefitClass;

    #[test]
    fn each_class_has_one_name_and_no_other_name_is_one() {
        for class in BenefitClass::ALL {
            assert_eq!(BenefitClass::parse(class.as_str()), Some(*class));
            let json = serde_json::to_string(class).expect("JSON");
            assert_eq!(serde_json::from_str::<BenefitClass>(&json).expect("a class"), *class);
        }
        assert_eq!(BenefitClass::parse("data-curation"), None);
        assert!(serde_json::from_str::<BenefitClass>("\"Data\"").is_err());
    }
}
