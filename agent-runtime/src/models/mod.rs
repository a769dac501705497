//! Models behind the one port. A wire format stays in the folder that speaks it.

use std::sync::Arc;

use common_ground::{
    port::model::{Model, Price},
    role::Role,
    run,
};

pub mod discover;
pub mod extractive;
pub mod llama;
pub mod openai;

/// Which model plays which role. The Partner writes nothing of its own and has none.
#[derive(Clone)]
pub struct RoleModels {
    /// Plans.
    pub principal: Arc<dyn Model>,
    /// Works.
    pub associate: Arc<dyn Model>,
    /// Finds on criteria that need judgement.
    pub verifier: Arc<dyn Model>,
}

impl RoleModels {
    /// One model for all roles.
    pub fn one(model: Arc<dyn Model>) -> Self {
        Self { principal: Arc::clone(&model), associate: Arc::clone(&model), verifier: model }
    }

    /// Their ids, as a task names them.
    pub fn ids(&self) -> run::Models {
        run::Models {
            principal: self.principal.id().to_owned(),
            associate: self.associate.id().to_owned(),
            verifier: self.verifier.id().to_owned(),
        }
    }

    /// Whether any of them costs money.
    pub fn have_prices(&self) -> bool {
        [&self.principal, &self.associate, &self.verifier].iter().any(|model| model.price() != Price::default())
    }

    /// The model a role asks.
    pub(crate) fn of(&self, role: Role) -> &Arc<dyn Model> {
        match role {
            Role::Person | Role::Partner | Role::Principal | Role::Node => &self.principal,
            Role::Associate => &self.associate,
            Role::Verifier => &self.verifier,
        }
    }
}
