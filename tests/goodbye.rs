//! What a venue still sends once tickerd has said goodbye.

use std::{
    io::Write,
    net::TcpListener,
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    sync::mpsc::channel,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio_tungstenite::tungstenite::{Message, accept};

/// A text frame of less than 126 bytes, as a server sends it.
fn frame(text: &[u8]) -> Vec<u8> {
    [&[0x81, u8::try_from(text.len()).expect("short")], text].concat()
}

/// A goodbye that nobody answers takes two seconds; a signal that comes a second after the first wants it sooner.
#[test]
fn a_signal_that_comes_later_than_the_first_kills() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("bound"));
    let (tell, told) = channel();
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut socket) = accept(stream.expect("somebody")) else { continue };
            while !matches!(socket.read(), Ok(Message::Text(_))) {}
            held.push(socket);
            let _ = tell.send(());
        }
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
    command.args(["run", "--channel", "ticker", "--product", "BTC-USD", "--url", &url]).env_clear();
    let mut run = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    told.recv().expect("it subscribes");
    let ended = loop {
        kill_process(Pid::from_child(&run), Signal::TERM).expect("not waited for yet");
        let _ = told.recv_timeout(Duration::from_millis(100));
        if let Some(ended) = run.try_wait().expect("a child") {
            break ended;
        }
    };
    assert_eq!(ended.signal(), Some(Signal::TERM.as_raw()), "{ended}");
}

/// What could not be handed over after the goodbye was in no count: a message that the venue sent, and nobody knew of.
#[test]
fn a_message_that_breaks_off_the_goodbye_is_counted_as_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            // Whoever asks by REST gets nothing.
            let Ok(mut socket) = accept(stream.expect("somebody")) else { continue };
            let ticker = r#"{"channel":"ticker","sequence_num":0,"events":[]}"#;
            while !matches!(socket.read(), Ok(Message::Text(_))) {}
            socket.send(Message::text(ticker)).expect("is read");
            while socket.read().is_ok_and(|message| !message.is_close()) {}
            socket.get_mut().write_all(&frame(&[0xff, 0xfe])).expect("is read");
        }
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
    let arguments = ["run", "--channel", "ticker", "--product", "BTC-USD", "--record", "envelope", "--url", &url];
    command.args(arguments).args(["--seconds", "0.5"]).env_clear().stdin(Stdio::null());
    let folder = tempfile::tempdir().expect("a folder");
    let output = command.current_dir(folder.path()).output().expect("runs");
    let told = String::from_utf8(output.stdout).expect("UTF-8");
    let last: Value = serde_json::from_str(told.lines().last().expect("lines")).expect("JSON");
    assert_eq!(last["event"], "disconnected", "{told}");
    let counts = ["received", "written", "dropped"].map(|count| last["data"][count].as_u64());
    assert_eq!(counts, [Some(2), Some(1), Some(1)], "{told}");
    assert!(told.contains(r#""event":"dropped""#), "{told}");
}
