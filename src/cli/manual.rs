//! What is made of the command line for others to read: manual pages, and what shells complete it
//! by.

use clap::Command;
use clap::error::{Error, ErrorKind};
use clap_complete::{Shell, generate};
use clap_mangen::Man;

/// What this shell completes a command line by.
pub fn completions(mut command: Command, shell: Shell) -> Vec<u8> {
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    generate(shell, &mut command, name, &mut text);
    text
}

/// The manual page of a program, or of one of its subcommands.
pub fn page(mut program: Command, subcommand: Option<&str>) -> Result<Vec<u8>, Error> {
    program.build();
    let shown = match subcommand {
        None => &program,
        Some(name) => match program.find_subcommand(name) {
            Some(found) => found,
            None => {
                let why = format!("there is no subcommand `{name}`");
                return Err(program.error(ErrorKind::InvalidSubcommand, why));
            }
        },
    };
    let mut text = Vec::new();
    let rendered = Man::new(shown.clone()).render(&mut text);
    rendered.expect("a buffer takes everything");
    Ok(text)
}
