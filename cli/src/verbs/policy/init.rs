//! `daypass policy init`: a first set for a job that there is already.

mod github;

use std::path::{Path, PathBuf};

use clap::Args;
use domain::policy::SourceFile;
use domain::policy::init::{NoStart, Start, init, of_repository, of_token};
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::input::read;
use crate::policy::claims_of_token;

#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("from").required(true).args(["from_token", "github"])))]
pub(crate) struct Init {
    /// The folder to make; it must not be there
    #[arg(default_value = "policies")]
    folder: PathBuf,
    /// A token of the job, or - for standard input; it is not verified
    #[arg(long, value_name = "FILE")]
    from_token: Option<PathBuf>,
    /// A repository on GitHub, whose ids are asked for; GITHUB_TOKEN is used where it is set
    #[arg(long, value_name = "OWNER/REPO")]
    github: Option<String>,
    /// GitHub's API, where it is not that of github.com
    #[arg(long, value_name = "URL", env = "GITHUB_API_URL", default_value = "https://api.github.com", hide_env_values = true)]
    github_api: String,
    /// The broker's audience; the token's own or the broker's address unless told
    #[arg(long, env = "DAYPASS_AUDIENCE", value_name = "AUDIENCE", hide_env_values = true)]
    audience: Option<String>,
    /// What to call the role; after the project unless told
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
}

#[derive(Serialize)]
struct Made<'a> {
    folder: &'a Path,
    role: &'a str,
    files: Vec<&'a str>,
}

pub(super) async fn run(context: &Context, ask: Init) -> Result<u8> {
    if ask.folder.exists() {
        return Err(Failure::usage(format!("{} is there already", ask.folder.display()))
            .fix("name a folder that is not there; nothing is ever overwritten"));
    }
    let start = start(context, &ask).await?;
    let files = init(&start).map_err(|error| refused(&error))?;
    write(&ask.folder, &files)?;
    let made = Made { folder: &ask.folder, role: &start.role, files: files.iter().map(|file| file.path.as_str()).collect() };
    if context.out.is_json() {
        context.out.json(&made)?;
        return Ok(0);
    }
    let rows: Vec<[String; 1]> = made.files.iter().map(|file| [ask.folder.join(file).display().to_string()]).collect();
    context.out.table(["MADE"], &rows)?;
    context.out.note(&format!(
        "put what the job needs into {}.toml, then: daypass policy check {}",
        start.role,
        ask.folder.display()
    ));
    Ok(0)
}

async fn start(context: &Context, ask: &Init) -> Result<Start> {
    let audience = ask.audience.clone().filter(|audience| !audience.is_empty());
    let made = match (&ask.from_token, &ask.github) {
        (Some(file), _) => of_token(claims_of_token(read(file)?.text.trim_end())?, audience, ask.role.clone()),
        (None, Some(repository)) => {
            let audience = audience.or_else(|| context.global.address.clone()).ok_or_else(|| {
                Failure::usage("the broker's audience is not known").fix("name it with --audience, as its issuers will have it")
            })?;
            let (repository, api) = github::ask(context, repository, &ask.github_api).await?;
            of_repository(&repository, &api, audience, ask.role.clone())
        }
        (None, None) => return Err(Failure::usage("nothing to start from").fix("name --from-token or --github")),
    };
    made.map_err(|error| refused(&error))
}

fn refused(error: &NoStart) -> Failure {
    Failure::usage(error.reason.clone()).fix(error.remedy.clone())
}

fn write(folder: &Path, files: &[SourceFile]) -> Result<()> {
    let failed =
        |path: &Path, error: &std::io::Error| Failure::local(format!("{} cannot be made", path.display())).because(error);
    // Made here and now: what another has put there in the meantime is not ours to fill.
    std::fs::create_dir(folder).map_err(|error| failed(folder, &error))?;
    for file in files {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        }
        std::fs::write(&path, &file.text).map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}
