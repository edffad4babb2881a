use crate::arguments::ConfigWhat;
use crate::config::{Config, Layers, example, print};
use crate::failure::Failure;
use crate::out::Out;

pub(crate) fn config(what: ConfigWhat, out: &mut Out) -> Result<(), Failure> {
    match what {
        ConfigWhat::Check(flags) => {
            let config = Config::read(&Layers::gather(&flags, std::env::vars_os())?)?;
            let file = config.file.map(|file| file.display().to_string());
            let file = file.unwrap_or_else(|| "the defaults (there is no ./switchboard.toml)".to_owned());
            Ok(out.line(format!("valid: {file}"))?)
        }
        ConfigWhat::Print(flags) => {
            let config = Config::read(&Layers::gather(&flags, std::env::vars_os())?)?;
            Ok(out.line(print(&config.effective).trim_end())?)
        }
        ConfigWhat::Example => Ok(out.line(example().trim_end())?),
    }
}
