//! The verbs of the command line, one file each.

pub(crate) mod audit;
pub(crate) mod env;
pub(crate) mod exec;
pub(crate) mod kill;
pub(crate) mod lease;
pub(crate) mod login;
mod obtain;
pub(crate) mod policy;
pub(crate) mod read;
pub(crate) mod reconcile;
pub(crate) mod release;
pub(crate) mod secret;
pub(crate) mod switch;
pub(crate) mod whoami;
