//! `tickerd simulator`: the built-in exchange alone, for testing any client.

use std::{
    fmt, fs,
    future::Future,
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
};

use tokio::net::TcpListener;
use tracing::{Level, info};

use super::{block_on, venue_named};
use crate::{
    auth::Credentials,
    cli::{self, Cli},
    clock::Clock,
    config::{self, Log, LogFormat, Surroundings},
    exit::{Failure, Status},
    log,
    service::Signals,
    simulator::{
        self, FaultError, Faults, Recording, RecordingError, Simulator,
        tls::{Identity, IdentityError},
    },
    venue::Product,
};

/// What the command line asks for.
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether clients come by wss://.
    pub tls: bool,
    /// Names of hosts that the certificate is for, beside loopback's.
    pub names: Vec<String>,
    /// A file to be played instead of the market; "-" is standard input.
    pub recording: Option<PathBuf>,
    /// Faults as they were typed.
    pub faults: Vec<String>,
    /// The exchange; its recording and faults are set from those above.
    pub exchange: simulator::Options,
}

/// Why there is no exchange.
#[derive(Debug)]
pub enum SimulatorError {
    /// The address can not be listened on.
    Listen(SocketAddr, io::Error),
    /// The recording can not be played.
    Recording(RecordingError),
    /// A fault is not known.
    Fault(FaultError),
    /// No certificate could be made.
    Identity(IdentityError),
    /// The certificate could not be written.
    Certificate(PathBuf, io::Error),
    /// Nobody could be told the URL.
    Output(io::Error),
}

/// Reads what was typed and serves until TERM or INT.
///
/// # Errors
/// As [`serve`], and when the configuration whose credentials are to be known is wrong.
pub fn run(cli: &Cli, typed: &cli::Simulator) -> Result<(), Failure> {
    log::start(Log { level: cli.level(Level::INFO), format: LogFormat::Auto });
    let credentials = match &cli.config {
        Some(file) => known(file)?,
        None => Vec::new(),
    };
    let venue = venue_named(&typed.venue)?;
    let products = typed.product.iter().map(|id| Product::parse(id)).collect::<Result<_, _>>();
    block_on(async {
        let exchange = simulator::Options {
            venue,
            speed: typed.speed,
            credentials,
            products: products.map_err(|error| Failure::new(Status::Usage, error))?,
            repeat: typed.again,
            seed: typed.seed,
            ..simulator::Options::new(Clock::system())
        };
        let options = Options {
            listen: typed.listen,
            tls: typed.tls,
            names: typed.name.clone(),
            recording: typed.recording.clone(),
            faults: typed.fault.clone(),
            exchange,
        };
        let mut signals = Signals::listen().map_err(|error| Failure::new(Status::Bug, error))?;
        let served = serve(options, &mut io::stdout().lock(), signals.stop()).await;
        served.map_err(|error| Failure::new(error.status(), error))
    })?
}

fn known(file: &Path) -> Result<Vec<Arc<Credentials>>, Failure> {
    let surroundings = Surroundings::of_process().map_err(|error| Failure::new(Status::Config, error))?;
    config::credentials(file, &surroundings).map_err(|error| Failure::new(Status::Config, error))
}

/// Serves until `shutdown`. The first line of `out` is the URL, the second, with TLS, the path of the certificate that
/// clients are to trust.
///
/// # Errors
/// When it can not start, or `out` takes no line.
pub async fn serve(
    options: Options,
    out: &mut (impl Write + ?Sized),
    shutdown: impl Future<Output = ()>,
) -> Result<(), SimulatorError> {
    let mut exchange = options.exchange;
    exchange.faults = Faults::parse(&options.faults).map_err(SimulatorError::Fault)?;
    exchange.recording = match options.recording {
        Some(path) => Some(Arc::new(Recording::open(&path).map_err(SimulatorError::Recording)?)),
        None => None,
    };
    let in_use = |error| SimulatorError::Listen(options.listen, error);
    let listener = TcpListener::bind(options.listen).await.map_err(in_use)?;
    let address = listener.local_addr().map_err(in_use)?;

    let mut certificate = None;
    let mut acceptor = None;
    if options.tls {
        let identity = Identity::generate(&options.names).map_err(SimulatorError::Identity)?;
        certificate = Some(Certificate::write(&identity.certificate)?);
        acceptor = Some(identity.acceptor);
    }
    announce(out, address, certificate.as_ref().map(|certificate| certificate.path.as_path()))
        .map_err(SimulatorError::Output)?;
    info!(%address, "the exchange is open");

    let listening = pin!(Simulator::new(exchange).listen(listener, acceptor));
    futures::future::select(listening, pin!(shutdown)).await;
    info!("the exchange closes");
    Ok(())
}

fn announce(out: &mut (impl Write + ?Sized), address: SocketAddr, certificate: Option<&Path>) -> io::Result<()> {
    match certificate {
        Some(path) => writeln!(out, "wss://{address}\n{}", path.display())?,
        None => writeln!(out, "ws://{address}")?,
    }
    out.flush()
}

/// A file in the temporary folder, for as long as the exchange is open.
struct Certificate {
    path: PathBuf,
}

impl Certificate {
    /// Two exchanges of one process can not have the same name; one that was killed leaves its file behind.
    fn write(pem: &str) -> Result<Self, SimulatorError> {
        let folder = std::env::temp_dir();
        let mut failed = io::Error::from(io::ErrorKind::AlreadyExists);
        for attempt in 0..100 {
            let path = folder.join(format!("tickerd-simulator-{}-{attempt}.pem", std::process::id()));
            // Never through a link that somebody else put there.
            match fs::File::create_new(&path) {
                Ok(mut file) => {
                    let wrote = file.write_all(pem.as_bytes());
                    wrote.map_err(|error| SimulatorError::Certificate(path.clone(), error))?;
                    return Ok(Self { path });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => failed = error,
                Err(error) => return Err(SimulatorError::Certificate(path, error)),
            }
        }
        Err(SimulatorError::Certificate(folder, failed))
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        // It is good for nothing any more; that it stays is no harm.
        let _ = fs::remove_file(&self.path);
    }
}

impl SimulatorError {
    fn status(&self) -> Status {
        match self {
            Self::Fault(_) | Self::Recording(_) => Status::Usage,
            Self::Listen(..) => Status::Unreachable,
            Self::Identity(_) => Status::Bug,
            Self::Certificate(..) | Self::Output(_) => Status::Output,
        }
    }
}

impl fmt::Display for SimulatorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address, error) => {
                write!(f, "can not listen on {address}: {error}; --listen 127.0.0.1:0 takes a free port")
            }
            Self::Recording(error) => error.fmt(f),
            Self::Fault(error) => error.fmt(f),
            Self::Identity(error) => error.fmt(f),
            Self::Certificate(path, error) => {
                write!(f, "the certificate can not be written to {}: {error}; TMPDIR says where else", path.display())
            }
            Self::Output(error) => write!(f, "the URL can not be printed: {error}"),
        }
    }
}

impl std::error::Error for SimulatorError {}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;
    use crate::clock::Clock;

    fn options(tls: bool) -> Options {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let exchange = simulator::Options::new(Clock::system());
        Options { listen, tls, names: Vec::new(), recording: None, faults: Vec::new(), exchange }
    }

    /// Hands each line on as it is written.
    struct Lines(futures::channel::mpsc::UnboundedSender<String>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.0.unbounded_send(text).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.close_channel();
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_first_line_is_a_url_that_can_be_connected_to() {
        let (sender, lines) = futures::channel::mpsc::unbounded();
        let client = async {
            let text: String = lines.collect().await;
            let url = text.lines().next().expect("a line").to_owned();
            tokio_tungstenite::connect_async(url).await.expect("connects");
        };
        serve(options(false), &mut Lines(sender), client).await.expect("serves");
    }

    #[tokio::test]
    async fn with_tls_the_second_line_is_a_certificate_that_goes_away_again() {
        let (sender, lines) = futures::channel::mpsc::unbounded();
        let (tell, told) = futures::channel::oneshot::channel();
        let client = async {
            let text: String = lines.collect().await;
            assert!(text.starts_with("wss://127.0.0.1:"), "{text}");
            let path = PathBuf::from(text.lines().nth(1).expect("a second line"));
            assert!(fs::read_to_string(&path).expect("readable").starts_with("-----BEGIN CERTIFICATE-----"));
            tell.send(path).expect("somebody listens");
        };
        serve(options(true), &mut Lines(sender), client).await.expect("serves");
        assert!(!told.await.expect("told").exists());
    }

    #[test]
    fn an_unknown_venue_is_refused_with_those_that_there_are() {
        let error = venue_named("gdax").expect_err("unknown");
        assert_eq!(error.status, Status::Usage);
        assert!(error.message.contains("gdax") && error.message.contains("exchange"), "{}", error.message);
        assert_eq!(venue_named("exchange").expect("known").name, "exchange");
    }

    #[tokio::test]
    async fn an_unknown_fault_is_refused_before_anything_is_opened() {
        let mut wrong = options(false);
        wrong.faults = vec!["explode".to_owned()];
        let error = serve(wrong, &mut Vec::new(), async {}).await.expect_err("refused");
        assert!(error.to_string().contains("explode"), "{error}");
    }
}
