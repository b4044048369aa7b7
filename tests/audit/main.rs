//! `tickerd audit`: what is whole is said to be, and what is not is found, whatever was done to it.

mod command;
mod damage;
mod packed;
mod raw;
mod tape;
mod told;
