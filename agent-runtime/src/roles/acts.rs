//! The acts a model answers a role with, as tools it can call: `plan` and `submit`. They run nowhere; the role reads them.

use common_ground::port::tool::ToolSpec;

use super::talk::{PLAN, SUBMIT};

/// JSON Schema of [`super::talk::Plan`], canonical.
const PLAN_SCHEMA: &str = r#"{"additionalProperties":false,"properties":{"modules":{"items":{"additionalProperties":false,"properties":{"handover":{"enum":["conclusions","transcript"]},"inputs":{"items":{"maxLength":40,"type":"string"},"maxItems":16,"type":"array"},"kind":{"enum":["answer","merge"]},"name":{"maxLength":40,"minLength":1,"type":"string"},"question":{"maxLength":800,"minLength":1,"type":"string"}},"required":["name","kind","question","inputs"],"type":"object"},"maxItems":16,"minItems":1,"type":"array"},"reason":{"anyOf":[{"additionalProperties":false,"properties":{"reason":{"const":"single"}},"required":["reason"],"type":"object"},{"additionalProperties":false,"properties":{"parts":{"maximum":16,"minimum":2,"type":"integer"},"reason":{"const":"independent_parts"}},"required":["reason","parts"],"type":"object"},{"additionalProperties":false,"properties":{"reason":{"const":"comparison"},"sides":{"maximum":16,"minimum":2,"type":"integer"}},"required":["reason","sides"],"type":"object"}]}},"required":["reason","modules"],"type":"object"}"#;

/// JSON Schema of [`common_ground::deliverable::Deliverable`], canonical.
const SUBMIT_SCHEMA: &str = r##"{"$defs":{"citation":{"additionalProperties":false,"properties":{"document":{"type":"string"},"path":{"type":"string"},"quote":{"type":"string"},"span":{"properties":{"end":{"type":"integer"},"start":{"type":"integer"}},"required":["start","end"],"type":"object"},"text":{"type":"string"}},"required":["path","document","text","span","quote"],"type":"object"}},"additionalProperties":false,"properties":{"also":{"items":{"$ref":"#/$defs/citation"},"type":"array"},"claims":{"items":{"additionalProperties":false,"properties":{"citations":{"items":{"$ref":"#/$defs/citation"},"type":"array"},"text":{"type":"string"}},"required":["text","citations"],"type":"object"},"type":"array"},"question":{"type":"string"}},"required":["question","claims","also"],"type":"object"}"##;

/// JSON Schema of [`super::claims::Claims`], canonical.
const CLAIMS_SCHEMA: &str = r#"{"additionalProperties":false,"properties":{"claims":{"items":{"additionalProperties":false,"properties":{"citations":{"items":{"additionalProperties":false,"properties":{"passage":{"maxLength":5,"minLength":2,"pattern":"^p[0-9]{1,4}$","type":"string"},"quote":{"maxLength":600,"minLength":1,"type":"string"}},"required":["passage","quote"],"type":"object"},"maxItems":4,"minItems":1,"type":"array"},"text":{"maxLength":800,"minLength":1,"type":"string"}},"required":["text","citations"],"type":"object"},"maxItems":12,"type":"array"}},"required":["claims"],"type":"object"}"#;

/// The act that makes a plan.
pub fn plan() -> ToolSpec {
    ToolSpec {
        name: PLAN.to_owned(),
        description:
            "Hand in the plan: one module, unless the question has parts that do not need each other's answers \
            or sets things side by side. Say which as the reason."
                .to_owned(),
        arguments: PLAN_SCHEMA.to_owned(),
        idempotent: true,
    }
}

/// The act that hands in a deliverable.
pub fn submit() -> ToolSpec {
    ToolSpec {
        name: SUBMIT.to_owned(),
        description:
            "Hand in the answer as claims, each with the passages that bear it out, quoted byte for byte with \
            their spans as commons_read gave them. No claim when no answer was found; then cite the nearest passages."
                .to_owned(),
        arguments: SUBMIT_SCHEMA.to_owned(),
        idempotent: true,
    }
}

/// The same act for a language model, which cites passages by name.
pub fn submit_claims() -> ToolSpec {
    ToolSpec {
        name: SUBMIT.to_owned(),
        description:
            "Hand in the answer as claims, each with the passages that bear it out by name and the words quoted from \
            them byte for byte. No claims when no answer was found."
                .to_owned(),
        arguments: CLAIMS_SCHEMA.to_owned(),
        idempotent: true,
    }
}

#[cfg(test)]
mod tests {
    use common_ground::deliverable::Deliverable;

    use super::{CLAIMS_SCHEMA, PLAN_SCHEMA, SUBMIT_SCHEMA};
    use crate::roles::{claims::Claims, talk::Plan};

    /// The schema a model decodes under and the type the role parses into accept the same example and refuse the same.
    #[test]
    fn schemas_fit_the_types() {
        let plan = r#"{"reason":{"reason":"independent_parts","parts":2},"modules":[{"name":"a","kind":"answer","question":"q","inputs":[]}]}"#;
        let deliverable = r#"{"question":"q","claims":[{"text":"t","citations":[{"path":"p","document":"00","text":"00","span":{"start":0,"end":1},"quote":"t"}]}],"also":[]}"#
            .replace("\"00\"", &format!("\"{}\"", "0".repeat(64)));
        let claims = r#"{"claims":[{"text":"t","citations":[{"passage":"p1","quote":"t"}]}]}"#;
        for (schema, text) in [(PLAN_SCHEMA, plan), (SUBMIT_SCHEMA, deliverable.as_str()), (CLAIMS_SCHEMA, claims)] {
            let schema = serde_json::from_str(schema).expect("a schema is JSON");
            let validator = jsonschema::validator_for(&schema).expect("a schema");
            let good: serde_json::Value = serde_json::from_str(text).expect("JSON");
            assert!(validator.is_valid(&good), "{text}");
            let more: serde_json::Value = serde_json::from_str(&text.replacen('{', "{\"more\":1,", 1)).expect("JSON");
            assert!(!validator.is_valid(&more));
        }
        serde_json::from_str::<Plan>(plan).expect("fits the type");
        serde_json::from_str::<Claims>(claims).expect("fits the type");
        serde_json::from_str::<Deliverable>(&deliverable).expect("fits the type");
    }
}
