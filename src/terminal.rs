//! A person at the terminal is asked for what must not be seen.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{Errno, read},
    stdio::stdin,
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr},
};
use signal_hook::{
    SigId,
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag::register_conditional_default,
    low_level::{pipe, unregister},
};
use zeroize::Zeroizing;

use crate::auth::Secret;

/// The longest text that is taken: what a key's file may have.
const LONGEST: usize = 64 << 10;

/// The terminal on stdin while it shows nothing of what is typed. It is as it was again when this is dropped; what was typed
/// or pasted too much is thrown away then, so that no rest of a secret becomes the shell's next command. (A panic ends the
/// process without that: `stty sane` brings the echo back, and nothing that was stored is lost.)
pub struct Hidden {
    before: Termios,
    signals: UnixStream,
    handlers: Vec<SigId>,
    /// A signal does again what it does to a process that does not ask.
    done: Arc<AtomicBool>,
    typed: Zeroizing<Vec<u8>>,
    taken: usize,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// Ctrl-C, or a signal.
    Interrupted,
    /// Ctrl-D, or the terminal is gone.
    End,
    /// More than any key is long.
    TooLong,
    /// The terminal can not be read or set.
    Terminal(io::Error),
}

/// Whether a person can be asked.
#[must_use]
pub fn is_there() -> bool {
    io::stdin().is_terminal()
}

impl Hidden {
    /// Nothing that is typed is shown from here on.
    ///
    /// # Errors
    /// When stdin is no terminal, or does not take it.
    pub fn begin() -> Result<Self, AskError> {
        let before = tcgetattr(stdin())?;
        let (signals, sender) = UnixStream::pair()?;
        // Read byte by byte: a canonical line ends at 4096 bytes, and Ctrl-C is a byte like others, so that no signal can
        // come between the keys and us. Signals that others send are waited for beside them.
        let (mut handlers, done) = (Vec::new(), Arc::<AtomicBool>::default());
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            handlers.push(pipe::register(signal, sender.try_clone()?)?);
            // Stays for good: to unregister the other does not bring the default back.
            register_conditional_default(signal, done.clone())?;
        }
        let hidden = Self {
            before,
            signals,
            handlers,
            done,
            // Never grows, so that it leaves no copy behind.
            typed: Zeroizing::new(Vec::with_capacity(LONGEST)),
            taken: 0,
        };
        tcsetattr(stdin(), OptionalActions::Now, &silent(&hidden.before))?;
        Ok(hidden)
    }

    /// Asks, and takes lines until `is_whole` says that it has all of the answer. Empty lines before it do not count.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn ask(&mut self, question: &str, is_whole: impl Fn(&str) -> bool) -> Result<Secret, AskError> {
        let _ = write!(io::stderr(), "{question}: ");
        let mut answer = Zeroizing::new(String::with_capacity(LONGEST));
        loop {
            let line = self.line()?;
            // A person would be told of what is no text by what the key's reader says of it.
            answer.push_str(&String::from_utf8_lossy(&line));
            if answer.trim().is_empty() {
                answer.clear();
                let _ = write!(io::stderr(), "\n{question}: ");
            } else if is_whole(&answer) {
                let _ = writeln!(io::stderr());
                return Ok(Secret::new(std::mem::take(&mut *answer)));
            } else {
                answer.push('\n');
            }
            // A line has half of it at most, so that the next one fits still.
            if answer.len() > LONGEST / 2 {
                return Err(AskError::TooLong);
            }
        }
    }

    /// Asks for one line, which may be empty. What ended the answer before, and was pasted with it, is no answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn ask_line(&mut self, question: &str) -> Result<Secret, AskError> {
        let _ = write!(io::stderr(), "{question}: ");
        while matches!(self.typed.get(self.taken), Some(b'\n' | b'\r')) {
            self.taken += 1;
        }
        let line = self.line()?;
        let _ = writeln!(io::stderr());
        Ok(Secret::new(String::from_utf8_lossy(&line).into_owned()))
    }

    fn line(&mut self) -> Result<Zeroizing<Vec<u8>>, AskError> {
        /// As a terminal's own line editing has them.
        const CTRL_C: u8 = 0x03;
        const CTRL_D: u8 = 0x04;
        const BACKSPACE: u8 = 0x08;
        const CTRL_U: u8 = 0x15;
        const CTRL_BACKSLASH: u8 = 0x1c;
        const DELETE: u8 = 0x7f;
        let mut line = Zeroizing::new(Vec::with_capacity(LONGEST / 2));
        loop {
            match self.byte()? {
                b'\n' | b'\r' => return Ok(line),
                CTRL_C | CTRL_BACKSLASH => return Err(AskError::Interrupted),
                CTRL_D if line.is_empty() => return Err(AskError::End),
                CTRL_D => return Ok(line),
                CTRL_U => line.clear(),
                BACKSPACE | DELETE => {
                    line.pop();
                }
                _ if line.len() == line.capacity() => return Err(AskError::TooLong),
                byte => line.push(byte),
            }
        }
    }

    fn byte(&mut self) -> Result<u8, AskError> {
        while self.taken == self.typed.len() {
            self.hear()?;
        }
        self.taken += 1;
        Ok(self.typed[self.taken - 1])
    }

    /// Waits for keys, as long as the person takes.
    fn hear(&mut self) -> Result<(), AskError> {
        let stdin = stdin();
        let mut ready = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
        match poll(&mut ready, None) {
            Err(Errno::INTR) => return Ok(()),
            waited => waited?,
        };
        if !ready[1].revents().is_empty() {
            return Err(AskError::Interrupted);
        }
        self.typed.clear();
        self.taken = 0;
        self.typed.resize(LONGEST, 0);
        let count = read(stdin, &mut self.typed[..])?;
        self.typed.truncate(count);
        if count == 0 { Err(AskError::End) } else { Ok(()) }
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Flush, &self.before);
        for handler in self.handlers.drain(..) {
            unregister(handler);
        }
        self.done.store(true, Relaxed);
    }
}

/// The same terminal, showing nothing and leaving every key to us.
fn silent(before: &Termios) -> Termios {
    let mut silent = before.clone();
    let ours = LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN;
    silent.local_modes.remove(ours);
    silent
}

impl From<io::Error> for AskError {
    fn from(error: io::Error) -> Self {
        Self::Terminal(error)
    }
}

impl From<Errno> for AskError {
    fn from(error: Errno) -> Self {
        Self::Terminal(error.into())
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => f.write_str("interrupted"),
            Self::End => f.write_str("the input ended before the answer was whole"),
            Self::TooLong => f.write_str("what was typed is longer than any key: paste the key alone"),
            Self::Terminal(error) => write!(f, "the terminal does not answer: {error}"),
        }
    }
}

impl std::error::Error for AskError {}
