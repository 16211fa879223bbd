//! The load generator and consistency checker.

pub mod check;
mod settings;
mod times;
mod faults;
mod scenario;
mod keys;
mod values;
mod form;
mod mix;
mod pace;
mod skim;
mod control;
mod client;
mod connector;
mod measure;
mod interrupt;
mod progress;
mod thread;
mod members;
mod beside;
mod run;
mod outcome;
mod gathered;
mod compare;
mod capture;
mod repeat;
mod replay;
mod record;
mod ready;
mod report;
mod front;

pub use front::main;
pub use settings::{Flags, Settings};
