//! The real binary at a venue that sends as fast as it is read: whatever else there is to do gets its turn.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio_tungstenite::tungstenite::{
    self, Message, WebSocket,
    protocol::{
        Role,
        frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The half of a stream that is read: what would be said on it is lost, as another thread is talking.
struct Ear(TcpStream);

impl Read for Ear {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Ear {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Half a megabyte of what a venue says, in frames.
fn block() -> Vec<u8> {
    let mut block = Vec::new();
    for number in 0.. {
        let text = format!("{{\"channel\":\"ticker\",\"timestamp\":\"2026-08-09T21:05:48Z\",\"events\":[{number}]}}");
        let frame = Frame::message(text, OpCode::Data(Data::Text), true);
        frame.format(&mut block).expect("memory");
        if block.len() > 512 * 1024 {
            break;
        }
    }
    block
}

/// Serves one client, and answers nothing but its goodbye: the built-in exchange makes each message anew, and a client that
/// is faster finds its socket empty now and then. What it heard is told.
fn flood(listener: &TcpListener, heard: &Sender<Message>) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    drop(tungstenite::accept(stream.try_clone()?).expect("an upgrade"));
    let mut mouth = stream.try_clone()?;
    let over = Arc::new(AtomicBool::new(false));
    let talking = thread::spawn({
        let over = over.clone();
        move || -> io::Result<()> {
            let block = block();
            while !over.load(Relaxed) {
                mouth.write_all(&block)?;
            }
            Frame::close(None).format(&mut mouth).expect("a goodbye");
            mouth.shutdown(Shutdown::Write)
        }
    });
    let mut socket = WebSocket::from_raw_socket(Ear(stream), Role::Server, None);
    while let Ok(message) = socket.read() {
        over.fetch_or(message.is_close(), Relaxed);
        let _ = heard.send(message);
    }
    talking.join().expect("no panic")
}

/// waifu-capital's collector always looked at the socket first, and a busy one starved its pings. Here a subscribe, a ping,
/// which is due after five seconds, and the stop get their turn. (tickerd was not better: with 1,024 messages a turn its task
/// never waited, and for as long nobody looked whether there was a signal.)
#[test]
fn a_socket_that_is_always_ready_starves_neither_subscribes_nor_pings_nor_the_stop() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("bound"));
    let (tell, told) = channel();
    let venue = thread::spawn(move || flood(&listener, &tell));
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
    command.args(["run", "--channel", "ticker", "--product", "BTC-USD", "--url", &url]);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = Running(command.spawn().expect("starts"));
    let mut stdout = run.0.stdout.take().expect("piped");
    let reader = thread::spawn(move || io::copy(&mut stdout, &mut io::sink()).expect("reads"));

    let hears = |what: &str, is_it: fn(&Message) -> bool| {
        while !is_it(&told.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("it heard no {what}"))) {}
    };
    hears("subscribe", |message| message.to_text().is_ok_and(|text| text.contains("\"ticker\"")));
    hears("ping", Message::is_ping);
    kill_process(Pid::from_child(&run.0), Signal::TERM).expect("alive");
    hears("goodbye", Message::is_close);
    let ended = run.0.wait().expect("ends");
    let mut log = String::new();
    run.0.stderr.take().expect("piped").read_to_string(&mut log).expect("UTF-8");
    assert!(ended.success(), "{log}");
    venue.join().expect("no panic").expect("it was talking to the end");
    let bytes = reader.join().expect("all of it");
    assert!(bytes > 10_000_000, "a flood it was: {bytes} bytes");
}
