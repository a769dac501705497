//! What a site asks programs to leave alone.
//!
//! **Invariant:** a page that robots.txt disallows to us is not asked for; where robots.txt cannot be read for the server's
//! own fault, none is.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use common_ground::id::RunId;
use texting_robots::Robot;

use crate::egress::{EgressError, Line, Request, Target};

/// Whom robots.txt calls us.
const AGENT: &str = "ii";
/// Most of a robots.txt that is read, by RFC 9309.
const LONGEST: usize = 500 << 10;
/// Most that is received of one.
const MOST: usize = 4 << 20;
/// Most sites kept.
const MOST_KEPT: usize = 256;

/// What one site asks for.
#[derive(Debug)]
enum Rules {
    /// Only this.
    Some(Box<Robot>),
    /// Nothing: it has no robots.txt.
    None,
}

/// What the sites of each run ask for, read once.
#[derive(Debug, Default)]
pub(super) struct Robots {
    // Held for one look or one entry.
    known: Mutex<BTreeMap<(RunId, String), Arc<Rules>>>,
}

impl Robots {
    /// Whether a page may be read.
    ///
    /// # Errors
    /// It may not, or nobody can tell.
    pub async fn check(&self, line: &Line<'_>, target: &Target) -> Result<(), EgressError> {
        let key = (line.work().key().run, target.origin());
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let rules = match known {
            Some(rules) => rules,
            None => {
                let rules = Arc::new(read(line, target).await?);
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                if known.len() >= MOST_KEPT {
                    known.pop_first();
                }
                known.insert(key, Arc::clone(&rules));
                rules
            }
        };
        match rules.as_ref() {
            Rules::Some(robot) if !robot.allowed(target.url().as_str()) => {
                let why = format!("robots.txt of {} disallows {} to {AGENT}", target.authority(), target.url().path());
                Err(line.refuse(target.url().as_str(), why))
            }
            Rules::Some(_) | Rules::None => Ok(()),
        }
    }
}

async fn read(line: &Line<'_>, target: &Target) -> Result<Rules, EgressError> {
    let response = line.request(Request::get(target.join("/robots.txt")?, MOST)).await?;
    let unreadable = |why: String| line.refuse(target.origin(), format!("its robots.txt cannot be read: {why}"));
    match response.status.as_u16() {
        200..=299 => {
            let text = &response.body[..response.body.len().min(LONGEST)];
            let robot = Robot::new(AGENT, text).map_err(|error| unreadable(error.to_string()))?;
            Ok(Rules::Some(Box::new(robot)))
        }
        500..=599 => Err(unreadable(response.status.to_string())),
        _others => Ok(Rules::None),
    }
}
