//! How credentials reach the command that needs them: as variables, as files, and hidden in what it prints.

pub(crate) mod env;
pub(crate) mod files;
pub(crate) mod github;
pub(crate) mod mask;
pub(crate) mod naming;
